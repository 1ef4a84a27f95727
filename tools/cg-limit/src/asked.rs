//! What was asked for, by option, by systemd's name or by the file's.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::parse::timeout;
use crate::row::Row;
use crate::table::TABLE;
use crate::value::Value;

/// A limit and what it was given.
#[derive(Clone)]
pub struct Setting {
    /// Which.
    pub row: &'static Row,
    /// What.
    pub value: Value,
}

impl std::fmt::Debug for Setting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={:?}", self.row.name, self.value)
    }
}

/// All of them, in the order of the command line.
#[derive(Debug, Clone, Default)]
pub struct Asked(pub Vec<Setting>);

/// Controllers and what v1 has for them, in the order in which their groups are made.
///
/// The cgroup controller is the core of v2; cpuacct, devices and freezer belong to it there.
pub const CONTROLLERS: [&str; 14] = [
    "memory", "cpu", "cpuset", "io", "pids", "hugetlb", "rdma", "misc", "devices",
    "net_cls", "net_prio", "cpuacct", "freezer", "cgroup",
];

impl Setting {
    /// The controllers that it needs.
    pub fn controllers(&self) -> Vec<&'static str> {
        if let Value::Account(names) = &self.value {
            return names.clone();
        }
        if let Value::Raw(file, _) = &self.value {
            return controller_of(file).into_iter().collect();
        }
        vec![self.row.controller]
    }
}

impl Asked {
    /// The last that was given of a limit.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let last = self.0.iter().rev().find(|setting| setting.row.name == name);
        last.map(|setting| &setting.value)
    }

    /// In the order of the table; of what is no list the last alone.
    pub fn in_order(&self) -> impl Iterator<Item = &Setting> {
        TABLE.iter().flat_map(|row| {
            let all = self.0.iter().filter(|s| std::ptr::eq(s.row, row));
            let count = all.clone().count();
            let skipped = if row.is_list() { 0 } else { count.saturating_sub(1) };
            all.skip(skipped)
        })
    }

    /// The controllers of all, in their order.
    pub fn controllers(&self) -> Vec<&'static str> {
        let used: Vec<_> = self.0.iter().flat_map(Setting::controllers).collect();
        CONTROLLERS.into_iter().filter(|name| used.contains(name)).collect()
    }
}

/// The controller that a file belongs to: `blkio.weight` is of io.
fn controller_of(file: &str) -> Option<&'static str> {
    let prefix = file.split('.').next()?;
    let name = if prefix == "blkio" { "io" } else { prefix };
    CONTROLLERS.into_iter().find(|known| *known == name)
}

/// `FILE=VALUE` of `--set`.
///
/// Not what starts programs as root (CVE-2022-0492) or moves and kills processes.
pub(crate) fn raw(text: &str) -> Result<Value, String> {
    let (file, value) = text.split_once('=').ok_or("not FILE=VALUE")?;
    if file.contains('/') {
        return Err("a file of another group".to_owned());
    }
    if matches!(file, "release_agent" | "notify_on_release" | "tasks")
        || file.starts_with("cgroup.")
    {
        return Err("not a limit".to_owned());
    }
    if value.contains(['\n', '\0']) || file.contains('\0') {
        return Err("one line at a time".to_owned());
    }
    match controller_of(file) {
        Some(_) if file.contains('.') => {
            Ok(Value::Raw(file.to_owned(), value.to_owned()))
        }
        _ => Err("the file's name does not begin with a controller's".to_owned()),
    }
}

/// What one of systemd's properties comes to.
#[derive(Debug, Clone)]
pub enum Property {
    /// A limit.
    Limit(Setting),
    /// RuntimeMaxSec.
    Timeout(std::time::Duration),
    /// What is so in any case.
    Nothing,
}

/// `NAME=VALUE` of systemd.resource-control(5).
pub(crate) fn property(text: &str) -> Result<Property, String> {
    let (name, value) = text.split_once('=').ok_or("not NAME=VALUE")?;
    let rows = TABLE.iter().flat_map(|row| row.systemd.iter().map(move |p| (row, p)));
    if let Some((row, (_, parse))) = rows.clone().find(|(_, (known, _))| *known == name) {
        return parse(value).map(|value| Property::Limit(Setting { row, value }));
    }
    let account = |what: &str| match value {
        "1" | "yes" | "true" | "on" => {
            let row =
                TABLE.iter().find(|row| row.name == "account").ok_or("no such limit")?;
            (row.parse)(what).map(|value| Property::Limit(Setting { row, value }))
        }
        _ => Ok(Property::Nothing),
    };
    match name {
        "MemoryAccounting" => account("memory"),
        "CPUAccounting" => account("cpu"),
        "IOAccounting" | "BlockIOAccounting" => account("io"),
        "TasksAccounting" => account("pids"),
        "RuntimeMaxSec" => timeout(value).map(Property::Timeout),
        // COMMAND may make groups below its own, as far as it may write there.
        "Delegate" | "CollectMode" => Ok(Property::Nothing),
        _ => Err("no property that limits a group".to_owned()),
    }
}

impl Args for Asked {
    fn augment_args(command: Command) -> Command {
        command.args(TABLE.iter().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn arg(row: &'static Row) -> Arg {
    let arg = Arg::new(row.name).long(row.name).aliases(row.docker).help(row.help);
    let arg = if row.name == "memory" { arg.short('m') } else { arg };
    let arg = if row.name == "cpu-shares" { arg.short('c') } else { arg };
    if row.takes.is_empty() {
        return arg.action(ArgAction::SetTrue);
    }
    arg.value_name(row.takes)
        .value_parser(row.parse)
        .allow_negative_numbers(true)
        .action(ArgAction::Append)
}

impl FromArgMatches for Asked {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut asked = Self::default();
        asked.update_from_arg_matches(matches)?;
        Ok(asked)
    }

    fn update_from_arg_matches(
        &mut self,
        matches: &ArgMatches,
    ) -> Result<(), clap::Error> {
        let mut all: Vec<(usize, Setting)> = Vec::new();
        for row in TABLE {
            let at = matches.indices_of(row.name).into_iter().flatten();
            if row.takes.is_empty() {
                let is_set = matches.get_flag(row.name);
                all.extend(
                    at.filter(|_| is_set).map(|i| (i, Setting { row, value: Value::On })),
                );
                continue;
            }
            let values = matches.get_many::<Value>(row.name).into_iter().flatten();
            all.extend(
                at.zip(values.cloned()).map(|(i, value)| (i, Setting { row, value })),
            );
        }
        all.sort_by_key(|(at, _)| *at);
        self.0.extend(all.into_iter().map(|(_, setting)| setting));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_that_is_no_limit_can_be_set() {
        for text in [
            "release_agent=/x",
            "notify_on_release=1",
            "tasks=1",
            "cgroup.procs=1",
            "cgroup.subtree_control=+memory",
            "../x/memory.max=1",
            "memory.max",
            "memory=1",
            "nothing.max=1",
            "memory.max=1\n2",
        ] {
            assert!(raw(text).is_err(), "{text}");
        }
        let value = Value::Raw("blkio.bfq.weight".to_owned(), "a=b".to_owned());
        assert_eq!(raw("blkio.bfq.weight=a=b"), Ok(value));
    }

    #[test]
    fn properties_are_systemds() {
        let shown = |text: &str| format!("{:?}", property(text));

        assert_eq!(shown("MemoryMax=64M"), "Ok(Limit(memory=Amount(Of(67108864))))");
        assert_eq!(shown("CPUQuota=20%"), "Ok(Limit(cpus=Cpus(200000)))");
        assert_eq!(
            shown("CPUQuotaPeriodSec=10ms"),
            "Ok(Limit(cpu-period=Amount(Of(10000))))"
        );
        assert_eq!(shown("TasksMax=infinity"), "Ok(Limit(pids=Amount(Max)))");
        assert_eq!(
            shown("IOReadBandwidthMax=/dev/vda 5M"),
            "Ok(Limit(read-bps=Disk(\"/dev/vda\", Of(5000000))))"
        );
        assert_eq!(
            shown("MemoryAccounting=1"),
            "Ok(Limit(account=Account([\"memory\"])))"
        );
        assert_eq!(shown("RuntimeMaxSec=5"), "Ok(Timeout(5s))");
        assert_eq!(shown("Delegate=yes"), "Ok(Nothing)");
        for text in
            ["WatchdogSec=5s", "MemoryMax", "MemoryMax=x", "memorymax=1", "User=x"]
        {
            assert!(property(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic() {
        arbtest::arbtest(|u| {
            let row = u.choose(TABLE)?;
            let pieces = [
                "64",
                "M",
                "KiB",
                "%",
                ":",
                "/dev/null",
                " ",
                "max",
                "-",
                ".",
                "c",
                "1:3",
                "rwm",
                "=",
                ",",
            ];
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=5)? {
                let word =
                    if u.arbitrary()? { *u.choose(&pieces)? } else { u.arbitrary()? };
                text.push_str(word);
            }
            let _ = (row.parse)(&text);
            let name = row.systemd.first().map_or("x", |(name, _)| name);
            let _ = property(&format!("{name}={text}"));
            Ok(())
        });
    }
}
