use std::ffi::OsString;

use super::*;

fn cli(args: &[&str]) -> Cli {
    let args = ["ns-enter", "-t", "7"].iter().chain(args).map(OsString::from);
    crate::cli::parse(args.collect()).unwrap()
}

/// The plan where every kind is entered by the process's descriptor.
fn plan(args: &[&str], host: &Host) -> Plan {
    let cli = cli(args);
    let kinds: Vec<_> = wanted(&cli, &[]).into_iter().map(|(ns, _)| ns).collect();
    let kinds = if host.kinds.is_empty() { kinds } else { host.kinds.clone() };
    Plan::new(&cli, &Host { kinds, ..host.clone() })
}

fn enter(kinds: &[Ns]) -> Step {
    Step::Enter { process: kinds.to_vec(), files: vec![] }
}

#[test]
fn all_wants_what_is_foreign_and_what_was_named() {
    let cli = cli(&["-a", "-u", "-n/x", "true"]);

    let wanted = wanted(&cli, &[Ns::Mount, Ns::Net]);

    assert_eq!(
        wanted,
        [
            (Ns::Mount, Whose::Process),
            (Ns::Uts, Whose::Process),
            (Ns::Net, Whose::Given(&Place::File("/x".into()))),
        ]
    );
}

#[test]
fn a_name_of_ip_netns_is_a_net_namespace_and_nothing_else() {
    for option in ["-a", "-n"] {
        let args = ["ns-enter", "-t", "netns:blue", option, "true"].map(OsString::from);
        let cli = crate::cli::parse(args.to_vec()).unwrap();

        let net = (Ns::Net, Whose::Netns(OsStr::new("blue")));
        assert_eq!(wanted(&cli, &[]), [net], "{option}");
    }
}

#[test]
fn the_namespaces_of_children_are_those_that_differ() {
    let cli = cli(&["-a", "--for-children", "true"]);

    let wanted = wanted(&cli, &[Ns::Pid, Ns::Net]);

    assert_eq!(wanted, [(Ns::Pid, Whose::Children), (Ns::Net, Whose::Process)]);
}

#[test]
fn without_namespaces_nothing_is_entered() {
    assert_eq!(plan(&["true"], &Host::default()).steps, []);
}

#[test]
fn a_user_namespace_makes_root_and_leaves_the_groups_inside() {
    let plan = plan(&["-U", "-p", "true"], &Host::default());

    assert_eq!(plan.last, [Step::LeaveGroups, Step::Gid(0), Step::Uid(0)]);
    assert_eq!(plan.fork, Some(Memory::Lent));
}

#[test]
fn groups_are_left_outside_where_that_is_denied_inside() {
    let host =
        |may_setgroups, setgroups| Host { setgroups, may_setgroups, ..Host::default() };
    let of = |may, setgroups| plan(&["-U", "true"], &host(may, setgroups));

    let (root, user) = (of(true, Setgroups::Denied), of(false, Setgroups::Denied));
    let (unknown, last) = (of(true, Setgroups::Unknown), of(false, Setgroups::Unknown));

    assert_eq!(root.steps, [Step::Hide, Step::LeaveGroups, enter(&[Ns::User])]);
    assert_eq!(user.steps, [Step::Hide, enter(&[Ns::User])]);
    assert_eq!(root.last, [Step::Gid(0), Step::Uid(0)]);
    assert_eq!(root.last, user.last);
    assert_eq!(unknown.steps, root.steps);
    assert_eq!(unknown.last.first(), Some(&Step::TryLeaveGroups));
    assert_eq!(last.last, unknown.last);
}

#[test]
fn ids_that_were_named_are_set_also_where_the_others_are_preserved() {
    let five = Host { uid: Some(5), ..Host::default() };

    assert_eq!(plan(&["-n", "true"], &five).last, [Step::Uid(5)]);
    let kept = plan(&["-U", "--preserve-credentials", "true"], &five);
    assert_eq!(kept.last, [Step::Uid(5)]);
    let all = plan(&["-U", "--preserve-credentials", "true"], &Host::default());
    assert!(all.last.is_empty());
}

#[test]
fn capabilities_are_kept_over_the_uid_and_the_exec() {
    let plan = |args: &[&str]| plan(args, &Host::default()).last;

    let kept = plan(&["-U", "--keep-caps", "true"]);
    assert_eq!(kept[2..], [Step::HoldCaps, Step::Uid(0), Step::KeepCaps]);
    let ids = plan(&["-U", "--keep-caps", "--preserve-credentials", "true"]);
    assert_eq!(ids, [Step::KeepCaps]);
    assert_eq!(plan(&["-n", "--keep-caps", "true"]), []);
}

#[test]
fn our_tools_are_kept_where_the_rest_names_one() {
    let first = |args: &[&str]| plan(args, &Host::default()).steps.remove(0);

    assert_eq!(first(&["-m", "cap-drop", "true"]), Step::KeepTools);
    assert_eq!(first(&["-m", "true"]), Step::Hide);
    assert_eq!(first(&["-n", "cap-drop", "true"]), Step::Hide);
}

#[test]
fn what_the_child_does_comes_in_the_order_that_its_rights_last() {
    let host = Host { cgroups: vec!["/c".into()], uid: Some(5), ..Host::default() };

    let plan = plan(&["-p", "--mount-proc", "-S5", "-e", "true"], &host);

    assert_eq!(
        plan.last,
        [
            Step::JoinCgroup("/c".into()),
            Step::MountProc("/proc".into()),
            Step::Uid(5),
            Step::Environment,
        ]
    );
}
