//! Man pages, completions, README and command lines say the same.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's errors are failed tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use kit::need::project;

/// Every tool's command line.
fn tools() -> Vec<Command> {
    let mut all = vec![
        cap_drop::cli::Cli::command(),
        cg_limit::cli::Cli::command(),
        img_exec::cli::Cli::command(),
        img_unpack::cli::Cli::command(),
        mkdev::cli::Cli::command(),
        ns_enter::cli::Cli::command(),
        ns_run::cli::Cli::command(),
        ovl_mount::cli::Cli::command(),
        root_pivot::cli::Cli::command(),
    ];
    for command in &mut all {
        command.build();
    }
    all
}

fn read(path: impl AsRef<Path>) -> String {
    let path = project().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn page(command: &Command) -> String {
    read(format!("man/{}.1", command.get_name()))
}

/// An option as both the command line and the man page tell it.
type Spelling = (Option<char>, Option<String>, Option<String>);

fn of_cli(arg: &Arg) -> Spelling {
    let takes = arg.get_num_args().is_some_and(|n| n.takes_values());
    let value =
        takes.then(|| arg.get_value_names().map(|v| v.first().unwrap().to_string()));
    (arg.get_short(), arg.get_long().map(str::to_owned), value.flatten())
}

/// `.It Fl s , -long Ns = Ns Ar VALUE`
fn of_man(line: &str) -> Option<Spelling> {
    let line = line.strip_prefix(".It Fl ")?;
    let words: Vec<_> = line.split_whitespace().collect();
    let long = words.iter().find_map(|w| w.strip_prefix('-')).map(str::to_owned);
    let short = words.first().filter(|w| w.len() == 1).and_then(|w| w.chars().next());
    let value = words.iter().skip_while(|w| **w != "Ar").nth(1).map(|w| (*w).to_owned());
    Some((short, long, value))
}

#[test]
fn every_option_is_in_the_man_page_and_no_other() {
    for command in tools() {
        let shown =
            command.get_arguments().filter(|a| !a.is_positional() && !a.is_hide_set());
        let cli: BTreeSet<_> = shown.map(of_cli).collect();
        let man: BTreeSet<_> = page(&command).lines().filter_map(of_man).collect();

        let name = command.get_name();
        let missing: Vec<_> = cli.difference(&man).collect();
        let stale: Vec<_> = man.difference(&cli).collect();
        assert!(missing.is_empty(), "man/{name}.1 lacks {missing:?}, has {stale:?}");
        assert!(stale.is_empty(), "{name} has no {stale:?}");
    }
}

/// The old names, each with its options; what else stands in their pages is of no form.
fn old_names() -> Vec<(&'static str, Vec<(Spelling, &'static str)>)> {
    let long = |name: &str| Some(name.trim_matches(['-', '=']).to_owned());
    let value = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    let capsh = cap_drop::capsh::ARGUMENTS.iter();
    let capsh = capsh.map(|a| ((None, long(a.spelling), value(a.value)), a.help));
    let others = cap_drop::capsh::OTHERS.iter().filter(|(name, _)| name.len() > 2);
    let others = others
        .map(|(name, help)| ((None, long(name.split(',').next().unwrap()), None), *help));
    let setpriv = cap_drop::setpriv::OPTIONS.iter();
    let setpriv = setpriv.map(|o| ((o.short, long(o.long), value(o.value)), o.help));
    let getpcaps = cap_drop::getpcaps::OPTIONS.iter();
    let getpcaps = getpcaps.map(|(name, help)| ((None, long(name), None), *help));
    vec![
        ("capsh", capsh.chain(others).collect()),
        ("setpriv", setpriv.collect()),
        ("getpcaps", getpcaps.collect()),
    ]
}

#[test]
fn every_option_of_an_old_name_is_in_its_man_page_and_no_other() {
    for (name, options) in old_names() {
        let text = read(format!("man/{name}.1"));
        let man: BTreeSet<_> = text
            .lines()
            .filter_map(of_man)
            // `--` alone is not of the form.
            .filter(|(_, long, _)| long.as_deref() != Some(""))
            .collect();
        let own: BTreeSet<_> =
            options.iter().map(|(spelling, _)| spelling.clone()).collect();

        assert_eq!(man, own, "man/{name}.1");
        for (spelling, help) in options {
            let is_one_line =
                !help.is_empty() && help.len() <= 60 && !help.ends_with('.');
            assert!(is_one_line, "{name} {spelling:?}: {help}");
        }
    }
}

#[test]
fn defaults_and_possible_values_are_in_the_man_page() {
    for command in tools() {
        let text = page(&command);
        for arg in command.get_arguments().filter(|a| !a.is_hide_set()) {
            let takes = arg.get_num_args().is_some_and(|n| n.takes_values());
            let defaults = arg.get_default_values().iter().filter(|_| takes);
            let defaults = defaults.map(|v| v.to_str().unwrap().to_owned());
            let possible = arg.get_possible_values().into_iter().filter(|_| takes);
            for value in defaults.chain(possible.map(|v| v.get_name().to_owned())) {
                let shown =
                    text.contains(&value) || text.contains(&value.replace('-', "\\-"));
                assert!(shown, "man/{}.1 lacks {value} of {arg}", command.get_name());
            }
        }
    }
}

#[test]
fn the_sections_of_a_man_page_are_in_the_one_order() {
    let order = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "ENVIRONMENT",
        "FILES",
        "EXIT STATUS",
        "EXAMPLES",
        "COMPATIBILITY",
        "SEE ALSO",
        "HISTORY",
    ];
    let tools = tools();
    let names = tools.iter().map(Command::get_name);
    for name in names.chain(old_names().into_iter().map(|(name, _)| name)) {
        let text = read(format!("man/{name}.1"));
        let sections: Vec<_> =
            text.lines().filter_map(|l| l.strip_prefix(".Sh ")).collect();

        assert_eq!(sections, order, "man/{name}.1");
    }
}

#[test]
fn help_is_one_imperative_line_an_option() {
    for command in tools() {
        let name = command.get_name().to_owned();
        for arg in command.get_arguments() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let is_one_line =
                !help.is_empty() && help.len() <= 60 && !help.ends_with('.');
            assert!(is_one_line, "{name} {arg}: {help:?} ({})", help.len());
            assert!(help.starts_with(char::is_uppercase), "{name} {arg}: {help:?}");
        }
        command.debug_assert();
    }
}

#[test]
fn every_tool_stands_in_the_readme_and_has_its_command_in_the_chain() {
    let readme = read("README.md");
    for command in tools() {
        let name = command.get_name();
        assert!(
            readme.contains(&format!("`{name}`")),
            "README.md does not mention {name}"
        );
        assert!(
            common::chain::LINKS.contains(&name),
            "common::chain does not know {name}"
        );
    }
}

#[test]
fn the_readme_quotes_the_examples_as_they_are() {
    let readme = read("README.md");
    let mut quoted = BTreeSet::new();
    for block in readme.split("```sh examples/").skip(1) {
        let (name, rest) = block.split_once('\n').unwrap();
        let (code, _) = rest.split_once("```").unwrap();
        assert!(
            read(format!("examples/{name}")).contains(code),
            "examples/{name} has not:\n{code}"
        );
        quoted.insert(name.to_owned());
    }
    assert!(!quoted.is_empty());
}

#[test]
fn completions_are_fresh() {
    use clap_complete::Shell;
    for mut command in tools() {
        let name = command.get_name().to_owned();
        for (shell, file) in [
            (Shell::Bash, format!("bash/{name}")),
            (Shell::Zsh, format!("zsh/_{name}")),
            (Shell::Fish, format!("fish/{name}.fish")),
        ] {
            let mut fresh = Vec::new();
            clap_complete::generate(shell, &mut command, &name, &mut fresh);
            let path = project().join("completions").join(file);
            if std::env::var_os("UPDATE").is_some() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &fresh).unwrap();
            }
            let stored = fs::read(&path).unwrap_or_default();
            assert!(stored == fresh, "{} is stale: ./just completions", path.display());
        }
    }
}
