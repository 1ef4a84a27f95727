//! What is planned, without a kernel.

use std::ffi::OsString;

use super::*;

fn plan(args: &[&str], layers: &[&str], initial_userns: bool) -> Result<Plan, Fail> {
    let args = ["ovl-mount"].iter().chain(args).map(OsString::from).collect();
    let cli: Cli = common::cli::parse(args)?;
    let layers = layers.iter().map(PathBuf::from).collect();
    Plan::new(&cli, Host { initial_userns, layers })
}

fn plain(xattrs: Xattrs) -> Step {
    Step::Overlay { xattrs, settings: Vec::new() }
}

fn lower(path: &str) -> Step {
    Step::Lower(path.into())
}

#[test]
fn an_image_is_listed_bottom_first_and_stacked_topmost_first() {
    let plan = plan(&["--image", "box", "--tmpfs=1M", "root"], &["a", "b"], false);

    assert_eq!(
        plan.unwrap().steps,
        [
            Step::Config("box".into()),
            lower("b"),
            lower("a"),
            Step::Fsopen(Refused::Fail),
            Step::Tmpfs(Some(Bytes(1 << 20))),
            plain(Xattrs::User),
            Step::Attach("root".into()),
        ]
    );
}

#[test]
fn lower_directories_are_named_topmost_first() {
    let args = ["--lower", "a", "--lower", "b", "t"];
    let plan = plan(&args, &[], true);

    let rest =
        [Step::Fsopen(Refused::Fail), plain(Xattrs::Trusted), Step::Attach("t".into())];
    let all = [&[lower("a"), lower("b")], rest.as_slice()].concat();
    assert_eq!(plan.unwrap().steps, all);
}

#[test]
fn a_layer_that_occurs_again_counts_where_it_is_topmost() {
    let steps = plan(&["--layers", "-", "t"], &["a", "b", "a", "c"], true);

    let lowers = [lower("c"), lower("a"), lower("b")];
    assert_eq!(steps.unwrap().steps[..3], lowers);
}

#[test]
fn one_layer_that_nobody_may_change_is_a_bind() {
    for args in [&["--lower", "a", "t"][..], &["--ro", "--lower", "a", "t"]] {
        let steps = plan(args, &[], true).unwrap().steps;

        assert_eq!(steps[1..], [Step::Bind(Refused::Fail), Step::Attach("t".into())]);
    }
}

#[test]
fn the_kernel_stacks_500_layers_and_no_more() {
    let names: Vec<String> = (0..=MOST_LAYERS).map(|n| n.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    assert!(plan(&["--layers", "-", "t"], &names[1..], true).is_ok());
    assert_eq!(
        plan(&["--layers", "-", "t"], &names, true).unwrap_err().text,
        "cannot mount an overlay of 501 layers; the kernel's limit is 500: img-unpack --flat makes one of all"
    );
}

#[test]
fn what_does_not_go_together_is_refused() {
    for args in [
        &["t"][..],
        &["--lower", "a", "--image", "b", "t"],
        &["--lower", "a", "--rw", "b", "--tmpfs", "t"],
        &["--lower", "a", "--upper", "b", "t"],
        &["--lower", "a", "--work", "b", "t"],
        &["--lower", "a", "--ro", "--tmpfs", "t"],
    ] {
        assert_eq!(plan(args, &[], true).unwrap_err().status, 125, "{args:?}");
    }
    assert!(plan(&["--layers", "-", "t"], &[], true).is_err());
}

#[test]
fn changes_that_are_kept_are_claimed_before_anything_is_made_of_them() {
    let args = ["--lower", "a", "--upper", "u", "--work", "w", "--reset-work", "t"];
    let steps = plan(&args, &[], true).unwrap().steps;

    let upper = Step::Upper { upper: "u".into(), work: "w".into() };
    let claimed = Step::Exclusive(Xattrs::Trusted);
    let rest = [plain(Xattrs::Trusted), Step::Attach("t".into())];
    let made = [Step::Fsopen(Refused::Fail), upper, claimed, Step::ResetWork];
    assert_eq!(steps, [&[lower("a")], made.as_slice(), &rest].concat());
}

#[test]
fn user_attributes_are_an_option_of_roots_and_a_must_for_others() {
    for (args, initial, xattrs) in [
        (&["--tmpfs", "--lower", "a", "t"][..], true, Xattrs::Trusted),
        (&["--tmpfs", "--lower", "a", "-o", "userxattr", "t"], true, Xattrs::User),
        (&["--tmpfs", "--lower", "a", "t"], false, Xattrs::User),
        (&["--tmpfs", "--lower", "a", "-o", "userxattr", "t"], false, Xattrs::User),
    ] {
        assert!(
            plan(args, &[], initial).unwrap().steps.contains(&plain(xattrs)),
            "{args:?}"
        );
    }
}

#[test]
fn options_that_cannot_be_kept_are_refused_by_name() {
    let text = |args: &[&str], initial| plan(args, &[], initial).unwrap_err().text;
    let rw = |option: &'static str| ["--lower", "a", "--rw", "rw", option, "t"];

    assert_eq!(
        text(&rw("--metacopy"), false),
        "cannot use 'metacopy=on': it excludes 'userxattr'; which overlays take in a user namespace: only root outside can have it"
    );
    assert_eq!(
        text(&["--lower", "a", "--lower", "b", "--volatile", "t"], true),
        "cannot use 'volatile': nothing can be changed without --rw, --upper or --tmpfs"
    );
    assert_eq!(
        text(&["--lower", "a", "--xino", "t"], true),
        "cannot use 'xino=on': one layer that nobody may change is a bind, not an overlay"
    );
    assert_eq!(
        text(&["--lower", "a", "--tmpfs", "--index", "--fd", "5", "--", "sh"], true),
        "cannot use 'index=on': whether the kernel keeps it shows on a mounted overlay only; leave out --fd"
    );
    assert_eq!(
        text(&["--lower", "a", "--fd", "5"], true),
        "cannot hand a mount over without COMMAND"
    );
    assert!(plan(&rw("--metacopy"), &[], true).is_ok());
}

/// Where a step stands in every plan.
fn rank(step: &Step) -> u8 {
    match step {
        Step::Reserve(_) => 0,
        Step::Config(_) => 1,
        Step::Lower(_) => 2,
        Step::Data(_) => 3,
        Step::Idmap(_) => 4,
        Step::Fsopen(_) => 5,
        Step::Upper { .. } | Step::Rw(_) | Step::Tmpfs(_) => 6,
        Step::Exclusive(_) => 7,
        Step::ResetWork => 8,
        Step::Overlay { .. } | Step::Bind(_) => 9,
        Step::Attach(_) | Step::HandOver(_) => 10,
    }
}

/// Whatever the command line, a plan is in an order that can be carried out.
#[test]
fn every_plan_opens_before_it_makes_and_makes_before_it_mounts() {
    const WORDS: [&str; 18] = [
        "--tmpfs",
        "--rw=c",
        "--upper=u",
        "--work=w",
        "--ro",
        "--volatile",
        "--metacopy",
        "--redirect-dir=nofollow",
        "--xino",
        "--index",
        "--verity",
        "-ouserxattr",
        "-onfs_export=on",
        "--data-only=d",
        "--idmap=0:1:2",
        "--fd=5",
        "--fuse",
        "--reset-work",
    ];
    let mut planned = 0;
    arbtest::arbtest(|u| {
        let mut args = vec![];
        for _ in 0..u.int_in_range(0..=4)? {
            args.push(*u.choose(&WORDS)?);
        }
        let layers = u.int_in_range(1..=3)?;
        let initial_userns = u.arbitrary()?;
        args.extend(["--layers=l", "--", "t", "sh"]);
        let names = &["x", "y", "z"][..layers];
        let Ok(Plan { steps }) = plan(&args, names, initial_userns) else {
            return Ok(());
        };
        planned += 1;
        assert!(steps.is_sorted_by_key(rank), "{args:?} {steps:?}");
        let count = |wanted: u8| steps.iter().filter(|step| rank(step) == wanted).count();
        assert_eq!((count(2), count(9), count(10)), (layers, 1, 1), "{args:?}");
        let has = |step: fn(&Step) -> bool| steps.iter().any(step);
        let is_overlay = has(|step| matches!(step, Step::Overlay { .. }));
        assert_eq!(is_overlay, has(|step| matches!(step, Step::Fsopen(_))), "{args:?}");
        let is_kept = has(|step| matches!(step, Step::Upper { .. } | Step::Rw(_)));
        assert_eq!(is_kept, has(|step| matches!(step, Step::Exclusive(_))), "{args:?}");
        let is_trusted =
            has(|step| matches!(step, Step::Overlay { xattrs: Xattrs::Trusted, .. }));
        assert!(initial_userns || !is_trusted, "{args:?}");
        Ok(())
    });
    assert!(planned > 0);
}
