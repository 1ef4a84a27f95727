//! What is planned, without a kernel.

use std::ffi::OsString;

use common::explain::Explain;

use super::*;

fn cli(args: &[&str]) -> Cli {
    let args = ["mkdev"].iter().chain(args).map(OsString::from).collect();
    common::cli::parse(args).unwrap()
}

fn plan_of(args: &[&str], host: &Host) -> Result<Vec<Step>, String> {
    Plan::new(&cli(args), host).map(|plan| plan.steps).map_err(|fail| fail.text)
}

fn plan(args: &[&str], can_mknod: bool) -> Vec<Step> {
    plan_of(args, &Host { can_mknod, ..Host::default() }).unwrap()
}

fn node(name: &str, minor: u64) -> Node {
    Node {
        host: format!("/dev/{name}").into(),
        name: Name::own(name),
        device: Device { kind: Kind::Character, major: 10, minor },
        mode: 0o660,
        owner: (0, 5),
        access: Access::ALL,
    }
}

#[test]
fn nodes_are_made_where_they_can_be_and_bound_elsewhere() {
    let is_made =
        |args: &[&str], can_mknod| matches!(plan(args, can_mknod)[1], Step::Mknod(_));

    assert!(is_made(&["d"], true) && !is_made(&["d"], false));
    assert!(!is_made(&["--bind", "d"], true) && is_made(&["--mknod", "d"], false));
}

#[test]
fn terminals_belong_to_the_tty_group_only_where_it_is_mapped() {
    let pts = |has_tty_gid| Plan::pts(&Host { has_tty_gid, ..Host::default() }).why();

    assert_eq!(pts(true), "ptmxmode=666,mode=620,gid=5");
    assert_eq!(pts(false), "ptmxmode=666,mode=620");
}

#[test]
fn the_minimal_set_is_six_devices_and_five_links() {
    let steps = plan(&["--minimal", "d"], true);

    assert_eq!(steps.len(), 1 + 6 + 5 + 1);
    assert!(!steps.iter().any(|step| matches!(step, Step::Mount { .. })));
    assert_eq!(plan(&["d"], true).len(), steps.len() + 3);
}

#[test]
fn in_place_nothing_is_mounted_on_the_directory() {
    let steps = plan(&["--in-place", "d"], true);

    assert_eq!(steps.first(), Some(&Step::InPlace { target: "d".into() }));
    assert!(!steps.contains(&Step::NoDevices));
}

#[test]
fn a_terminal_is_bound_where_there_is_one() {
    let with = |terminal| {
        plan_of(&["--console", "d"], &Host { terminal, ..Host::default() })
            .map(|steps| steps.contains(&Step::Console(2)))
    };

    assert_eq!(with(Some(2)), Ok(true));
    assert_eq!(
        with(None),
        Err(
            "cannot bind the terminal on 'console': no standard descriptor is a terminal"
                .into()
        )
    );
}

#[test]
fn names_that_do_not_go_together_are_refused() {
    let with = |nodes: &[Node]| {
        plan_of(
            &["d"],
            &Host { nodes: nodes.to_vec(), can_mknod: true, ..Host::default() },
        )
        .map(|steps| steps.iter().filter(|step| matches!(step, Step::Mknod(_))).count())
    };
    let refused = |name: &str, reason: &str| {
        Err(format!("cannot make device '/dev/{name}': {reason}"))
    };

    assert_eq!(with(&[node("fuse", 229), node("net/tun", 200)]), Ok(8));
    assert_eq!(with(&[node("fuse", 229), node("fuse", 229)]), Ok(7));
    assert_eq!(
        with(&[node("fuse", 229), node("fuse", 200)]),
        refused("fuse", "that name is given twice")
    );
    assert_eq!(with(&[node("null", 1)]), refused("null", "that name is given twice"));
    assert_eq!(
        with(&[node("null/x", 1)]),
        refused("null/x", "a device has no directory's name")
    );
    for name in ["pts/0", "fd", "ptmx", "shm/x"] {
        let reason = "mkdev makes something else of that name";
        assert_eq!(with(&[node(name, 1)]), refused(name, reason));
    }
}

#[test]
fn a_bound_node_cannot_be_limited() {
    let limited =
        Node { access: Access { read: true, write: false }, ..node("kvm", 232) };
    let host =
        |can_mknod| Host { can_mknod, nodes: vec![limited.clone()], ..Host::default() };

    assert!(plan_of(&["d"], &host(true)).is_ok());
    assert_eq!(
        plan_of(&["d"], &host(false)),
        Err("cannot limit device '/dev/kvm': a bound one has the host's permissions; --mknod makes one of its own".into())
    );
}

/// Whatever is asked for, nothing of ours is lost and no name is used twice.
#[test]
fn every_plan_has_each_name_once_and_the_six_devices() {
    const WORDS: [&str; 7] = [
        "--bind",
        "--mknod",
        "--in-place",
        "--minimal",
        "--shm=1M",
        "--mqueue",
        "--console",
    ];
    const NAMES: [&str; 8] =
        ["fuse", "net/tun", "net", "kvm", "null", "console", "dri/card0", "pts/1"];
    let mut planned = 0;
    arbtest::arbtest(|u| {
        let mut args = vec!["mkdev"];
        for _ in 0..u.int_in_range(0..=3)? {
            args.push(*u.choose(&WORDS)?);
        }
        args.push("d");
        let Ok(cli) =
            common::cli::parse::<Cli>(args.iter().map(OsString::from).collect())
        else {
            return Ok(());
        };
        let mut nodes = Vec::new();
        for _ in 0..u.int_in_range(0..=3)? {
            nodes.push(node(u.choose(&NAMES)?, u.int_in_range(0..=1)?));
        }
        let host = Host {
            can_mknod: u.arbitrary()?,
            nodes,
            terminal: Some(0),
            ..Host::default()
        };
        let Ok(Plan { steps }) = Plan::new(&cli, &host) else { return Ok(()) };
        planned += 1;
        let name = |step: &Step| match step {
            Step::Mknod(node) | Step::Bind(node) => Some(node.name.0.clone()),
            Step::Link { name, .. } | Step::Mount { name, .. } => Some(name.into()),
            Step::Console(_) => Some("console".into()),
            Step::Tmpfs { .. } | Step::InPlace { .. } | Step::NoDevices => None,
        };
        let names: Vec<PathBuf> = steps.iter().filter_map(name).collect();
        for (at, one) in names.iter().enumerate() {
            assert!(!names[..at].iter().any(|other| one.starts_with(other)), "{names:?}");
        }
        assert!(
            DEVICES.iter().all(|(name, _)| names.contains(&name.into())),
            "{names:?}"
        );
        assert_eq!(steps.contains(&Step::NoDevices), !cli.in_place);
        Ok(())
    });
    assert!(planned > 0);
}
