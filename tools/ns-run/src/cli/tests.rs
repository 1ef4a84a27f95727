use clap::CommandFactory;
use common::nstype::Ns;

use super::*;

fn read(words: &[&str]) -> Cli {
    let args = std::iter::once(&"ns-run").chain(words).map(OsString::from);
    parse(args.collect()).unwrap()
}

fn read_by_clap(words: &[&str]) -> Cli {
    let args = std::iter::once(&"ns-run").chain(words).map(OsString::from);
    common::cli::parse(args.collect()).unwrap()
}

#[test]
fn the_command_line_is_sound_and_its_help_short() {
    Cli::command().debug_assert();
    for arg in Cli::command().get_arguments() {
        let help = arg.get_help().unwrap().to_string();
        assert!(help.len() <= 60, "{help}");
    }
}

#[test]
fn every_option_is_read_without_clap() {
    for arg in Cli::command().get_arguments().filter(|arg| !arg.is_positional()) {
        let (long, short) = (arg.get_long().unwrap(), arg.get_short());

        let option = TABLE.iter().find(|option| option.long == long);

        assert_eq!(option.map(|option| option.short), Some(short), "{long}");
    }
}

#[test]
fn the_last_of_a_repeated_option_counts_and_lists_grow() {
    for read in [read, read_by_clap] {
        let args = ["-U", "-U", "--hostname", "a", "--hostname", "b"];
        let maps = ["--map-users=all", "--map-users=auto"];

        let cli = read(&[&args, &maps[..]].concat());

        assert_eq!(cli.hostname, Some("b".into()));
        assert_eq!(cli.map_users, [Source::All, Source::Auto]);
    }
}

#[test]
fn the_last_word_on_an_id_counts_for_that_id() {
    let (id, current) = (Inside::Id, Inside::Current);
    for read in [read, read_by_clap] {
        let own = |words: &[&str]| {
            let Own { uid, gid } = read(words).own;
            (uid, gid)
        };

        assert_eq!(own(&[]), (None, None));
        assert_eq!(own(&["-r", "-c"]), (Some(current), Some(current)));
        assert_eq!(own(&["-c", "-r"]), (Some(id(0)), Some(id(0))));
        assert_eq!(own(&["-r", "--map-user=5"]), (Some(id(5)), Some(id(0))));
        assert_eq!(own(&["--map-user=5", "-c"]), (Some(current), Some(current)));
        assert_eq!(own(&["--map-group=5"]), (None, Some(id(5))));
    }
}

/// Words of a command line, of which most make sense.
const WORDS: [&str; 67] = [
    "-m",
    "-u",
    "-U",
    "-r",
    "-c",
    "-Urmnpuif",
    "-rT",
    "-C",
    "-x",
    "-",
    "--",
    "---",
    "",
    "--mount",
    "--mount=x",
    "-n=x",
    "-mp=/x",
    "--map-root-user",
    "--map-root",
    "--map-current-user",
    "--map-user",
    "--map-group=7",
    "--mount-proc",
    "--mount-proc=/p",
    "--mount-proc=",
    "--mount-binfmt",
    "--mount-binfmt=/b",
    "-l",
    "--hostname",
    "--hostname=box",
    "--hostname=",
    "box",
    "--status-fd",
    "--status-fd=3",
    "--status-fd=-3",
    "3",
    "-3",
    "--map-users",
    "--map-users=auto",
    "all",
    "0:0:1",
    "--map-groups=0,0,1",
    "--owner=1:2",
    "--propagation",
    "slave",
    "--propagation=none",
    "--map-auto",
    "--map-subids",
    "--lo",
    "--no-lo",
    "--kill-child",
    "--kill-child=TERM",
    "--kill-child=x",
    "--setuid",
    "--uid=5",
    "-S5",
    "-G",
    "--groups=1,2",
    "--monotonic=5",
    "--monotonic=-5",
    "--whitelist-env=A,B",
    "--join",
    "net=5",
    "--try-user",
    "--init",
    "--keep-caps",
    "--explain",
];

#[test]
fn what_is_read_without_clap_is_what_clap_reads() {
    kit::quick::agrees_with_clap("ns-run", &TABLE, with_command, &WORDS);
}

#[test]
fn options_cluster_and_abbreviate_as_in_unshare() {
    let cli = read(&["-Urmnpf", "--prop", "slave", "--mount-proc", "--ne", "id", "-u"]);

    assert_eq!(cli.user, Some(New::Passing));
    assert!(cli.mount.is_some() && cli.pid.is_some() && cli.fork);
    assert_eq!(cli.net, Some(New::Passing));
    assert!(!cli.new_session);
    assert_eq!(cli.propagation, Spread::Slave);
    assert_eq!(cli.mount_proc, Some("/proc".into()));
    assert_eq!(cli.link.command, ["id", "-u"]);
}

#[test]
fn a_file_that_keeps_a_namespace_stands_behind_either_spelling() {
    for words in [["--net=/f", "x"], ["-n=/f", "x"], ["-n/f", "x"], ["-Un/f", "x"]] {
        assert_eq!(read(&words).net, Some(New::Kept("/f".into())), "{words:?}");
    }
    assert_eq!(read(&["-nU", "x"]).net, Some(New::Passing));
}

#[test]
fn paths_need_not_be_text() {
    use std::os::unix::ffi::OsStringExt;
    let odd = OsString::from_vec(b"caf\xe9".to_vec());
    let args = vec!["ns-run".into(), "--root".into(), odd.clone(), "true".into()];

    assert_eq!(parse(args).unwrap().root, Some(odd.into()));
}

#[test]
fn joins_and_tries_are_kinds() {
    let cli = read(&["--join", "net=7", "--try-user", "--try-time", "x"]);

    assert_eq!(cli.join, [Join { ns: Ns::Net, file: "/proc/7/ns/net".into() }]);
    assert_eq!(cli.tries.kinds(), [Ns::User, Ns::Time]);
}
