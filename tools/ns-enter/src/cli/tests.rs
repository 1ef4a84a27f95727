use clap::CommandFactory;

use super::*;

#[test]
fn the_command_line_is_sound_and_its_help_short() {
    Cli::command().debug_assert();
    for arg in Cli::command().get_arguments() {
        let help = arg.get_help().unwrap().to_string();
        assert!(help.len() <= 60, "{help}");
    }
}

const WORDS: [&str; 30] = [
    "-a",
    "-t",
    "-t7",
    "-at",
    "7",
    "0",
    "-7",
    "-t=7",
    "--target",
    "--target=7",
    "--target=0",
    "--target=file:/x",
    "--all",
    "-mn",
    "-x",
    "--",
    "",
    "-",
    "--net",
    "--net=x",
    "--net=:x",
    "--net=",
    "-n=/x",
    "-an=x",
    "-rwF",
    "--root=/x",
    "-r=/x",
    "-ecZ",
    "--preserve-credentials",
    "--pid",
];

#[test]
fn what_is_read_without_clap_is_what_clap_reads() {
    kit::quick::agrees_with_clap("ns-enter", &TABLE, with_command, &WORDS);
}

fn read(words: &[&str]) -> Result<Cli, Fail> {
    parse(["ns-enter"].iter().chain(words).map(OsString::from).collect())
}

#[test]
fn options_cluster_and_abbreviate_as_in_nsenter() {
    for args in [
        &["-at", "7", "--preserve", "id", "-u"][..],
        &["-a", "-t7", "--preserve", "--", "id", "-u"],
    ] {
        let cli = read(args).unwrap();

        assert!(cli.all && cli.preserve_credentials);
        assert_eq!(cli.target, Some(Target::Pid(7, None)));
        assert_eq!(cli.link.command, ["id", "-u"]);
    }
}

#[test]
fn a_file_can_be_written_in_four_ways() {
    let file = Some(Some(Place::File("/x/y".into())));
    for word in ["-n/x/y", "-n=/x/y", "--net=/x/y"] {
        let cli = read(&[word, "--keep", "id"]).unwrap();

        assert_eq!(cli.net, file, "{word}");
        assert_eq!(cli.link.command, ["id"]);
    }
    assert_eq!(read(&["-n:40", "id"]).unwrap().net, Some(Some(Place::Id(40))));
    assert_eq!(read(&["-w/x", "id"]).unwrap().wd, Some(Some("/x".into())));
    assert_eq!(read(&["-W/x", "id"]).unwrap().wdns, Some(Some("/x".into())));
}

#[test]
fn what_is_a_processes_needs_one() {
    let error = |words: &[&str]| read(words).unwrap_err().text;

    assert_eq!(
        error(&["-n", "id"]),
        "missing --target <TARGET>: --net takes one; try 'ns-enter --help'"
    );
    assert_eq!(
        error(&["-t", "netns:blue", "-m", "id"]),
        "cannot do --mount: a net namespace is no process; leave all but --net away"
    );
    assert!(read(&["-t", "netns:blue", "-a", "id"]).is_ok());
    assert!(read(&["--net=/x", "--root=/y", "id"]).is_ok());
    assert!(read(&["id"]).is_ok());
}

/// The long options of nsenter 2.43.
const PEERS: [&str; 25] = [
    "all",
    "cgroup",
    "env",
    "follow-context",
    "help",
    "ipc",
    "join-cgroup",
    "keep-caps",
    "mount",
    "net",
    "net-socket",
    "no-fork",
    "pid",
    "preserve-credentials",
    "root",
    "setgid",
    "setuid",
    "target",
    "time",
    "user",
    "user-parent",
    "uts",
    "version",
    "wd",
    "wdns",
];

#[test]
fn every_abbreviation_that_nsenter_takes_means_the_same_here() {
    let read = |word: &str| {
        let takes = ["net-socket", "setgid", "setuid", "target"].iter();
        let takes = takes.filter(|long| long.starts_with(&word[2..])).count() == 1;
        let args: &[&str] = if takes { &[word, "7"] } else { &[word] };
        let args = ["ns-enter"].iter().chain(args).map(OsString::from);
        let args: Vec<OsString> = args.collect();
        let quick = quick::read_all(&args, &TABLE);
        let quick = quick.and_then(|(cli, rest)| with_command(cli, rest));
        match quick.map_or_else(|| common::cli::parse::<Cli>(args), Ok) {
            Ok(cli) => format!("{cli:?}"),
            // Help and version.
            Err(fail) => format!("{} {}", fail.output, fail.text),
        }
    };
    for long in PEERS {
        for end in 1..long.len() {
            let is_only =
                PEERS.iter().filter(|l| l.starts_with(&long[..end])).count() == 1;
            if is_only {
                let (short, full) = (format!("--{}", &long[..end]), format!("--{long}"));
                assert_eq!(read(&short), read(&full), "{short}");
            }
        }
    }
}
