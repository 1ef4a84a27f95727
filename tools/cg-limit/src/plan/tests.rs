//! Whole plans, as `--explain` prints them.

use std::ffi::OsString;

use expect_test::{Expect, expect};

use super::*;
use crate::discover::Place;
use crate::host::Level;

fn tree(version: Version, controllers: &[&str], mount: &str, own: &str) -> Tree {
    Tree {
        version,
        controllers: controllers.iter().map(|c| (*c).to_owned()).collect(),
        place: Some(Place { mount: mount.into(), own: own.into() }),
        own: Some(own.into()),
        is_given: false,
        is_evacuated: false,
        levels: Vec::new(),
        cpuset: None,
    }
}

fn level(dir: &str, available: &str, enabled: &str) -> Level {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
    Level {
        dir: dir.into(),
        available: words(available),
        enabled: words(enabled),
        is_root: dir == "/cg",
        limits: Vec::new(),
    }
}

fn v1() -> Vec<Tree> {
    vec![
        tree(Version::V1, &["memory"], "/cg/memory", "/cg/memory/a"),
        tree(Version::V1, &["cpu", "cpuacct", "pids"], "/cg/cpu", "/cg/cpu"),
        tree(Version::V2, &[], "/cg/unified", "/cg/unified"),
    ]
}

fn v2(levels: Vec<Level>) -> Vec<Tree> {
    let own = levels[0].dir.display().to_string();
    vec![Tree { levels, ..tree(Version::V2, &[], "/cg", &own) }]
}

fn plan(args: &[&str], trees: Vec<Tree>) -> Result<Plan, Fail> {
    let args = ["cg-limit"].iter().chain(args).map(OsString::from).collect();
    let cli = common::cli::parse::<Cli>(args)?.finish();
    let name = cli.name.clone().unwrap_or("cg-limit.7.a".to_owned());
    let facts = Facts {
        page: 4096,
        memory: 1 << 30,
        swap: 1 << 20,
        tasks: 32768,
        disks: vec![
            ("/dev/vda".into(), Ok((8, 0))),
            ("/tmp".into(), Err("its file system is on no disk of its own".to_owned())),
        ],
        nodes: Vec::new(),
    };
    Plan::new(&cli, &Host { name, trees, facts })
}

#[allow(clippy::needless_pass_by_value, reason = "reads as a sentence")]
fn check(args: &[&str], trees: Vec<Tree>, expected: Expect) {
    let text = match plan(args, trees) {
        Ok(plan) => plan.steps.iter().map(|s| s.call() + "\n").collect(),
        Err(fail) => fail.text,
    };
    expected.assert_eq(&text);
}

#[test]
fn v1_has_a_group_in_each_hierarchy_that_is_needed() {
    check(
        &["--memory=1M", "--swap=1M", "--cpus=2", "--pids=5"],
        v1(),
        expect![[r#"
        mkdir('/cg/memory/a/cg-limit.7.a', 0755)
        memory.limit_in_bytes=1048576
        memory.memsw.limit_in_bytes=2097152
        mkdir('/cg/cpu/cg-limit.7.a', 0755)
        cpu.cfs_period_us=100000
        cpu.cfs_quota_us=200000
        pids.max=5
        clone3(CLONE_PIDFD)
        write('/cg/memory/a/cg-limit.7.a/tasks', "0")
        write('/cg/cpu/cg-limit.7.a/tasks', "0")
    "#]],
    );
}

#[test]
fn v1_has_no_limit_for_swap_alone() {
    check(
        &["--swap=0"],
        v1(),
        expect![
            "cannot limit swap alone on cgroup v1; v1 counts memory and swap together, give --memory too"
        ],
    );
    check(
        &["--memory=max", "--swap=max"],
        v1(),
        expect![[r#"
        mkdir('/cg/memory/a/cg-limit.7.a', 0755)
        memory.limit_in_bytes=-1
        memory.memsw.limit_in_bytes=-1
        clone3(CLONE_PIDFD)
        write('/cg/memory/a/cg-limit.7.a/tasks', "0")
    "#]],
    );
}

#[test]
fn memory_is_rounded_down_to_pages_and_a_share_is_of_what_there_is() {
    check(
        &["--memory=5000"],
        v1(),
        expect![[r#"
        mkdir('/cg/memory/a/cg-limit.7.a', 0755)
        memory.limit_in_bytes=4096
        clone3(CLONE_PIDFD)
        write('/cg/memory/a/cg-limit.7.a/tasks', "0")
    "#]],
    );
    check(
        &["--memory=75%"],
        v1(),
        expect![[r#"
        mkdir('/cg/memory/a/cg-limit.7.a', 0755)
        memory.limit_in_bytes=805306368
        clone3(CLONE_PIDFD)
        write('/cg/memory/a/cg-limit.7.a/tasks', "0")
    "#]],
    );
    check(&["--memory=4095"], v1(), expect!["cannot limit memory to less than a page"]);
    check(
        &["--memory=9223372036854775807"],
        v1(),
        expect![[r#"
        mkdir('/cg/memory/a/cg-limit.7.a', 0755)
        memory.limit_in_bytes=-1
        clone3(CLONE_PIDFD)
        write('/cg/memory/a/cg-limit.7.a/tasks', "0")
    "#]],
    );
}

#[test]
fn a_cpuset_that_shares_the_hierarchy_is_filled_first() {
    let mut trees = v1();
    trees[1].cpuset = Some(["0-3".into(), "0".into()]);
    check(
        &["--pids=5"],
        trees,
        expect![[r#"
        mkdir('/cg/cpu/cg-limit.7.a', 0755)
        cpuset.cpus=0-3
        cpuset.mems=0
        pids.max=5
        clone3(CLONE_PIDFD)
        write('/cg/cpu/cg-limit.7.a/tasks', "0")
    "#]],
    );
}

#[test]
fn v2_makes_the_group_in_the_real_root_where_we_are_there() {
    let trees = v2(vec![level("/cg", "cpu memory pids", "memory")]);
    check(
        &["--memory=1M", "--swap=0", "--pids=5"],
        trees,
        expect![[r#"
        write('/cg/cgroup.subtree_control', "+pids")
        mkdir('/cg/cg-limit.7.a', 0755)
        memory.max=1048576
        memory.swap.max=0
        pids.max=5
        clone3(CLONE_PIDFD|CLONE_INTO_CGROUP, '/cg/cg-limit.7.a')
    "#]],
    );
}

#[test]
fn v2_makes_the_group_beside_ours_and_enables_what_is_missing_from_above() {
    let trees = v2(vec![
        level("/cg/a/b/own", "", ""),
        level("/cg/a/b", "memory", "memory"),
        level("/cg/a", "memory", "memory"),
        level("/cg", "cpu memory", "memory"),
    ]);
    check(
        &["--memory=1M", "--cpus=0.5"],
        trees,
        expect![[r#"
        write('/cg/cgroup.subtree_control', "+cpu")
        write('/cg/a/cgroup.subtree_control', "+cpu")
        write('/cg/a/b/cgroup.subtree_control', "+cpu")
        mkdir('/cg/a/b/cg-limit.7.a', 0755)
        memory.max=1048576
        cpu.max=50000 100000
        clone3(CLONE_PIDFD|CLONE_INTO_CGROUP, '/cg/a/b/cg-limit.7.a')
    "#]],
    );
}

#[test]
fn the_limits_of_the_group_that_is_left_go_along() {
    let mut trees = v2(vec![
        level("/cg/a/own", "", ""),
        level("/cg/a", "cpu memory pids", "cpu memory pids"),
    ]);
    trees[0].levels[0].limits = vec![
        ("memory", "memory.max", "1048576\n".into()),
        ("cpu", "cpu.max", "10000 20000\n".into()),
        ("pids", "pids.max", "9\n".into()),
        ("memory", "memory.high", "4096\n".into()),
    ];
    let loose = ["--memory=2M", "--swap=0", "--cpus=1", "--pids=max"];
    check(
        &loose,
        trees.clone(),
        expect![[r#"
            mkdir('/cg/a/cg-limit.7.a', 0755)
            memory.max=1048576
            memory.swap.max=0
            cpu.max=10000 20000
            pids.max=9
            memory.high=4096
            clone3(CLONE_PIDFD|CLONE_INTO_CGROUP, '/cg/a/cg-limit.7.a')
        "#]],
    );
    check(
        &["--memory=4k", "--cpus=0.1"],
        trees,
        expect![[r#"
            mkdir('/cg/a/cg-limit.7.a', 0755)
            memory.max=4096
            cpu.max=10000 100000
            pids.max=9
            memory.high=4096
            clone3(CLONE_PIDFD|CLONE_INTO_CGROUP, '/cg/a/cg-limit.7.a')
        "#]],
    );
}

#[test]
fn in_a_group_of_ours_another_is_made_below() {
    let levels =
        vec![level("/cg/cg-limit.1.b", "memory", ""), level("/cg", "memory", "memory")];
    check(
        &["--memory=1M"],
        v2(levels),
        expect![[r#"
        mkdir('/cg/cg-limit.1.b/processes'); write("cgroup.procs", …)
        write('/cg/cg-limit.1.b/cgroup.subtree_control', "+memory")
        mkdir('/cg/cg-limit.1.b/cg-limit.7.a', 0755)
        memory.max=1048576
        clone3(CLONE_PIDFD|CLONE_INTO_CGROUP, '/cg/cg-limit.1.b/cg-limit.7.a')
    "#]],
    );
}

#[test]
fn a_parent_that_is_given_is_taken() {
    let mut trees =
        v2(vec![level("/cg/mine", "memory", ""), level("/cg", "memory", "memory")]);
    trees[0].is_given = true;
    check(
        &["--memory=1M"],
        trees,
        expect![[r#"
        write('/cg/mine/cgroup.subtree_control', "+memory")
        mkdir('/cg/mine/cg-limit.7.a', 0755)
        memory.max=1048576
        clone3(CLONE_PIDFD|CLONE_INTO_CGROUP, '/cg/mine/cg-limit.7.a')
    "#]],
    );
}

#[test]
fn a_parent_that_no_limit_needs_is_refused() {
    let mut trees = v1();
    trees[1].is_given = true;
    check(
        &["--memory=1M"],
        trees,
        expect![
            "cannot use parent '/cg/cpu': no limit that was given is in its hierarchy"
        ],
    );
}

#[test]
fn where_no_group_can_be_made_it_is_said_why() {
    let mut hidden = v1();
    hidden[0].place = None;
    let alone = Level { is_root: false, ..level("/cg", "memory", "") };

    check(&[], v1(), expect!["no limit given; try 'cg-limit --help'"]);
    check(
        &["--memory=1M"],
        hidden,
        expect![
            "cannot use the memory controller: no mounted cgroup file system shows the group of this process; mount it, or name a group with --parent"
        ],
    );
    check(
        &["--memory=1M"],
        Vec::new(),
        expect!["cannot use the memory controller: the kernel has no such controller"],
    );
    check(
        &["--memory=1M"],
        v2(vec![alone]),
        expect![
            "cannot make a limited group in '/cg': it has processes, and no group above it can be seen; --evacuate moves them to a group below, --parent names another"
        ],
    );
    let levels = vec![
        level("/cg/a/b", "", ""),
        level("/cg/a", "", ""),
        level("/cg", "pids", "pids"),
    ];
    check(
        &["--memory=1M"],
        v2(levels),
        expect![
            "cannot use the memory controller: it is not in '/cg/cgroup.controllers'; the kernel was started without it, or a v1 hierarchy has it"
        ],
    );
    let contained = vec![
        level("/box/b", "", ""),
        Level { is_root: false, ..level("/box", "pids", "pids") },
    ];
    check(
        &["--memory=1M"],
        v2(contained),
        expect![
            "cannot use the memory controller: it is not in '/box/cgroup.controllers'; enable it in the groups above, as root or with Delegate=memory in the systemd unit"
        ],
    );
}

#[test]
fn a_command_that_nobody_waits_for_goes_in_by_itself() {
    check(
        &["--exec", "--pids=5"],
        v2(vec![level("/cg", "pids", "pids")]),
        expect![[r#"
        mkdir('/cg/cg-limit.7.a', 0755)
        pids.max=5
        write('/cg/cg-limit.7.a/cgroup.procs', "0")
    "#]],
    );
    check(
        &["--exec", "--pids=5"],
        v1(),
        expect![[r#"
        mkdir('/cg/cpu/cg-limit.7.a', 0755)
        pids.max=5
        write('/cg/cpu/cg-limit.7.a/tasks', "0")
    "#]],
    );
}

#[test]
fn a_group_with_a_name_can_be_frozen_on_v1_as_well() {
    let mut trees = v1();
    trees.push(tree(Version::V1, &["freezer"], "/cg/freezer", "/cg/freezer"));
    check(
        &["--name=web", "--pids=5"],
        trees,
        expect![[r#"
        mkdir('/cg/cpu/web', 0755)
        pids.max=5
        mkdir('/cg/freezer/web', 0755)
        clone3(CLONE_PIDFD)
        write('/cg/cpu/web/tasks', "0")
        write('/cg/freezer/web/tasks', "0")
    "#]],
    );
    check(
        &["--name=web"],
        v2(vec![level("/cg", "pids", "pids")]),
        expect![[r#"
        mkdir('/cg/web', 0755)
        clone3(CLONE_PIDFD|CLONE_INTO_CGROUP, '/cg/web')
    "#]],
    );
}

#[test]
fn processes_move_aside_where_that_is_asked_for() {
    let mut trees = v2(vec![level("/cg/own", "pids", ""), level("/cg", "pids", "pids")]);
    trees[0].is_evacuated = true;
    check(
        &["--pids=1"],
        trees,
        expect![[r#"
        mkdir('/cg/own/processes'); write("cgroup.procs", …)
        write('/cg/own/cgroup.subtree_control', "+pids")
        mkdir('/cg/own/cg-limit.7.a', 0755)
        pids.max=1
        clone3(CLONE_PIDFD|CLONE_INTO_CGROUP, '/cg/own/cg-limit.7.a')
    "#]],
    );
}

mod limits;
