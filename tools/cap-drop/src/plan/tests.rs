//! Plans of one command line each.

use common::explain::Explain;

use super::*;

fn host() -> Host {
    let own = CapSet(0x1ff_feff_ffff);
    let caps = Caps { bounding: own, permitted: own, effective: own, ..Caps::default() };
    let state = State { caps, ..State::default() };
    let passwd = b"root:x:0:0::/root:/bin/ash\nwww:x:33:33::/:\n".to_vec();
    let group = b"www:x:33:\nadm:x:4:www\n".to_vec();
    Host { state, passwd, group, ..Host::default() }
}

fn plan(args: &[&str], host: &Host) -> Result<Plan, String> {
    let args = ["cap-drop"].iter().chain(args).map(OsString::from).collect();
    let cli: Cli = common::cli::parse(args).map_err(|f| f.text)?;
    Plan::new(&cli, host).map_err(|f| f.text)
}

fn calls(args: &[&str]) -> Vec<String> {
    let plan = plan(args, &host()).unwrap();
    plan.steps.iter().map(Step::call).collect()
}

const READ_BACK: &str = "capget(); prctl(PR_CAPBSET_READ, …)";

#[test]
fn a_dropped_capability_leaves_every_set() {
    assert_eq!(
        calls(&["--drop", "net_raw,22", "--drop", "net_raw"]),
        [
            "prctl(PR_CAPBSET_DROP, cap_net_raw)",
            "prctl(PR_CAPBSET_DROP, cap_sys_boot)",
            "capset(effective=0x1fffebfdfff, permitted=0x1fffebfdfff, inheritable=0x0)",
            READ_BACK,
        ]
    );
}

#[test]
fn another_user_comes_after_the_bounding_set_and_has_nothing_left() {
    assert_eq!(
        calls(&["--user", "www", "--drop", "kill", "--no-new-privs"]),
        [
            "prctl(PR_CAPBSET_DROP, cap_kill)",
            "setgroups([33, 4])",
            "setresgid(33, 33, 33)",
            "setresuid(33, 33, 33)",
            "prctl(PR_SET_NO_NEW_PRIVS, 1)",
            READ_BACK,
        ]
    );
}

#[test]
fn the_order_of_the_options_does_not_matter() {
    let one = ["--uid", "5", "--gid", "6", "--groups", "7,8", "--keep", "chown"];
    let other = ["--keep", "chown", "--groups", "7,8", "--gid", "6", "--uid", "5"];

    assert_eq!(calls(&one), calls(&other));
}

#[test]
fn another_id_leaves_no_group_of_the_callers() {
    let here = Host { ids: Ids { groups: vec![0, 27], ..Ids::default() }, ..host() };
    let first = |args: &[&str]| plan(args, &here).unwrap().steps[0].call();

    assert_eq!(first(&["--uid", "5"]), "setgroups([])");
    assert_eq!(first(&["--uid", "5", "--groups", "27"]), "setgroups([27])");
    assert_eq!(first(&["--clear-groups"]), "setgroups([])");
    assert_eq!(first(&["--user", "www:4"]), "setgroups([4])");
}

#[test]
fn what_is_lacked_already_is_no_error_and_needs_no_step() {
    assert_eq!(calls(&["--drop", "sys_resource,41,63"]), [""; 0]);
    assert_eq!(calls(&["--keep", "all"]), [""; 0]);
    assert_eq!(calls(&[]), [""; 0]);
}

#[test]
fn what_is_permitted_only_is_made_effective_for_the_steps_that_take_it() {
    let mut host = host();
    host.state.caps.effective = CapSet::NONE;

    let plan = plan(&["--drop", "kill", "--gid", "1"], &host).unwrap();

    assert_eq!(plan.steps[0].call(), "capset(effective=0x140)");
}

#[test]
fn contradictions_are_refused() {
    for (args, text) in [
        (
            &["--keep", "kill,chown", "--drop", "all"][..],
            "cannot keep 'cap_chown': it is to be dropped as well; --keep alone drops all others",
        ),
        (
            &["--user", "nobody"],
            "cannot find user 'nobody': not in /etc/passwd; a number needs no line there",
        ),
        (
            &["--drop", "net_row"],
            "invalid value 'net_row' for '--drop <LIST>': 'net_row' is no capability, see capabilities(7); try 'cap-drop --help'",
        ),
        (
            &["--uid", "4294967295"],
            "invalid value '4294967295' for '--uid <UID>': not an id from 0 to 4294967294; try 'cap-drop --help'",
        ),
        (
            &["--user", ""],
            "invalid value '' for '--user <USER>': no user is named; try 'cap-drop --help'",
        ),
        (
            &["--groups", "1,4294967296"],
            "invalid value '4294967296' for '--groups <GIDS>': not an id from 0 to 4294967294; try 'cap-drop --help'",
        ),
        (
            &["--profile", "docker", "--keep", "kill"],
            "the argument '--profile <PROFILE>' cannot be used with '--keep <LIST>'; try 'cap-drop --help'",
        ),
    ] {
        assert_eq!(plan(args, &host()).unwrap_err(), text);
    }
}
