//! What util-linux 2.43 makes of the same id options, case by case.

use std::ffi::OsString;

use common::idmap::IdMap;

use crate::cli::{Cli, Setgroups};
use crate::host::{Host, Ids};
use crate::plan::Plan;
use crate::step::Step;

/// Options; uid map; gid map; what setgroups says then; what of the caller is replaced
/// by root, where unshare leaves nobody.
type Vector = (&'static str, &'static str, &'static str, &'static str, &'static str);

const ROOT: &[Vector] = &[
    ("-U", "", "", "allow", ""),
    ("-r", "0 0 1", "0 0 1", "deny", ""),
    ("-c", "0 0 1", "0 0 1", "deny", ""),
    ("--map-user 5", "5 0 1", "", "allow", ""),
    ("--map-group 5", "", "5 0 1", "deny", ""),
    ("--map-user 5 --map-group 6", "5 0 1", "6 0 1", "deny", ""),
    ("--map-auto", "0 100000 65536", "0 100000 65536", "allow", "uid gid"),
    ("--map-auto -r", "0 0 1, 1 100000 65536", "0 0 1, 1 100000 65536", "allow", ""),
    ("--map-auto -c", "0 0 1, 1 100000 65536", "0 0 1, 1 100000 65536", "allow", ""),
    (
        "--map-subids -r",
        "0 0 1, 100000 100000 65536",
        "0 0 1, 100000 100000 65536",
        "allow",
        "",
    ),
    ("--map-subids", "100000 100000 65536", "100000 100000 65536", "allow", ""),
    ("--map-users 0:100000:10", "0 100000 10", "", "allow", "uid"),
    ("--map-users 0:100000:10 -r", "0 0 1, 1 100000 9", "0 0 1", "deny", ""),
    (
        "--map-users 0:100000:10 --map-groups 0:100000:10 -r",
        "0 0 1, 1 100000 9",
        "0 0 1, 1 100000 9",
        "allow",
        "",
    ),
    (
        "--map-users 100000,0,10 --map-groups all",
        "0 100000 10",
        "0 0 4294967295",
        "allow",
        "uid",
    ),
    ("--map-users all --map-groups all", "0 0 4294967295", "0 0 4294967295", "allow", ""),
    (
        "--map-users all --map-groups all -r",
        "0 0 1, 1 1 4294967294",
        "0 0 1, 1 1 4294967294",
        "allow",
        "",
    ),
    (
        "--map-users 0:0:1000 --map-groups 0:0:1000 --map-user 500 --map-group 500",
        "500 0 1, 0 1 500, 501 501 499",
        "500 0 1, 0 1 500, 501 501 499",
        "allow",
        "",
    ),
    (
        "--map-users 0:100:10 --map-users 20:200:5",
        "0 100 10, 20 200 5",
        "",
        "allow",
        "uid",
    ),
    (
        "--map-users 0:0:10 --map-groups 0:0:10 -r",
        "0 0 1, 1 1 9",
        "0 0 1, 1 1 9",
        "allow",
        "",
    ),
    ("--owner 1000:1000 -r", "0 0 1", "0 0 1", "allow", ""),
    (
        "--owner 1000:1000 --map-users all --map-groups all",
        "0 0 4294967295",
        "0 0 4294967295",
        "allow",
        "",
    ),
    ("--owner 1000:1000", "", "", "allow", ""),
    ("--map-auto -S 3 -G 4", "0 100000 65536", "0 100000 65536", "allow", ""),
    ("-U --setgroups allow", "", "", "allow", ""),
    // unshare writes it twice, and fails.
    ("-r --setgroups deny", "0 0 1", "0 0 1", "deny", ""),
];

const UID_1000: &[Vector] = &[
    ("-U", "", "", "allow", ""),
    ("-r", "0 1000 1", "0 1000 1", "deny", ""),
    ("-c", "1000 1000 1", "1000 1000 1", "deny", ""),
    ("--map-user 5", "5 1000 1", "", "allow", ""),
    ("--map-group 5", "", "5 1000 1", "deny", ""),
    ("--map-auto", "0 200000 65536", "0 200000 65536", "allow", "uid gid"),
    (
        "--map-auto -r",
        "0 1000 1, 1 200000 65536",
        "0 1000 1, 1 200000 65536",
        "allow",
        "",
    ),
    (
        "--map-auto -c",
        "1000 1000 1, 0 200000 1000, 1001 201000 64536",
        "1000 1000 1, 0 200000 1000, 1001 201000 64536",
        "allow",
        "",
    ),
    (
        "--map-subids -r",
        "0 1000 1, 200000 200000 65536",
        "0 1000 1, 200000 200000 65536",
        "allow",
        "",
    ),
    (
        "--map-subids -c",
        "1000 1000 1, 200000 200000 65536",
        "1000 1000 1, 200000 200000 65536",
        "allow",
        "",
    ),
    ("--map-subids", "200000 200000 65536", "200000 200000 65536", "allow", ""),
    ("--map-auto --setuid 3 --setgid 4", "0 200000 65536", "0 200000 65536", "allow", ""),
    ("--map-users 0:200000:10", "0 200000 10", "", "allow", "uid"),
    ("--map-users 0:200000:10 -r", "0 1000 1, 1 200000 9", "0 1000 1", "deny", ""),
    (
        "--map-users 0:200000:10 --map-groups 0:200000:10 -c",
        "1000 1000 1, 0 200000 10",
        "1000 1000 1, 0 200000 10",
        "allow",
        "",
    ),
    ("--map-users all --map-groups all", "0 0 4294967295", "0 0 4294967295", "allow", ""),
];

fn host(uid: u32, first: u32) -> Host {
    let ids = Ids {
        subordinate: Some((first, 65536)),
        own: IdMap::from_kernel("0 0 4294967295\n"),
    };
    Host { uid, gid: uid, may_map: uid == 0, users: ids.clone(), groups: ids }
}

fn plan(options: &str, host: &Host) -> Plan {
    let args = ["ns-run"].into_iter().chain(options.split(' ')).chain(["true"]);
    let cli: Cli = crate::cli::parse(args.map(OsString::from).collect()).unwrap();
    Plan::new(&cli, host).unwrap()
}

fn outcome(plan: &Plan) -> (String, String, &'static str, String) {
    let text = |map: &IdMap| map.to_string().trim_end().replace('\n', ", ");
    let is = |want| plan.steps.contains(&Step::Become { uid: true, gid: want });
    let become_root = if is(true) {
        "uid gid"
    } else if is(false) {
        "uid"
    } else {
        ""
    };
    let maps = plan.maps.as_ref();
    let denied = maps.is_some_and(|m| m.setgroups == Some(Setgroups::Deny));
    (
        maps.map_or(String::new(), |m| text(&m.users)),
        maps.map_or(String::new(), |m| text(&m.groups)),
        if denied { "deny" } else { "allow" },
        become_root.to_owned(),
    )
}

#[test]
fn ids_are_mapped_as_unshare_maps_them() {
    for (vectors, host) in [(ROOT, host(0, 100_000)), (UID_1000, host(1000, 200_000))] {
        for (options, users, groups, setgroups, root) in vectors {
            let outcome = outcome(&plan(options, &host));

            let expected = (
                (*users).to_owned(),
                (*groups).to_owned(),
                *setgroups,
                (*root).to_owned(),
            );
            assert_eq!(outcome, expected, "uid {} {options}", host.uid);
        }
    }
}
