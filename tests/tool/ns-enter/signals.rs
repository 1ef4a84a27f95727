//! Signals reach COMMAND, it never outlives ns-enter, and a process that ends is told.

use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;

use common::sys;
use kit::run::{SIGKILL, SIGTERM};
use kit::started::has_ended;
use kit::{Run, need, tool};

use crate::Target;

mod userns {
    use super::*;

    #[test]
    fn a_signal_to_ns_enter_reaches_command_and_is_what_it_dies_of() {
        need!("userns");
        let target = Target::new(&["-rp"]);
        let run = target.enter(&["-a"]).arg(tool("pause"));
        let mut ns_enter = run.start();
        assert_eq!(ns_enter.line(), "ready\n");

        ns_enter.signal(SIGTERM);

        assert_eq!(ns_enter.child.wait().unwrap().signal(), Some(SIGTERM));
    }

    #[test]
    fn killing_ns_enter_kills_command() {
        need!("userns");
        let target = Target::new(&["-rp"]);
        let run = target.enter(&["-a"]).arg(tool("pause"));
        let mut ns_enter = run.start();
        assert_eq!(ns_enter.line(), "ready\n");
        let command = ns_enter.children().trim().parse().unwrap();
        let command = sys::pidfd_open(command).unwrap();

        ns_enter.signal(SIGKILL);

        assert!(has_ended(command.as_fd()));
        ns_enter.child.wait().unwrap();
    }

    #[test]
    fn a_process_that_has_ended_is_told() {
        need!("userns");
        // Nobody has waited for it: a zombie.
        let zombie = Run::program("true").start();
        let id = zombie.pid().to_string();
        assert!(has_ended(sys::pidfd_open(zombie.pid()).unwrap().as_fd()));

        for option in ["-n", "-a"] {
            let out = Run::tool("ns-enter").args(["-t", &id, option, "true"]).run();

            let out = out.code(125);
            let text = String::from_utf8_lossy(&out.stderr).replace(&id, "PID");
            assert!(text.ends_with("ended\n") && text.lines().count() == 1, "{text}");
        }
    }
}

mod root {
    use super::*;

    #[test]
    fn the_bond_survives_a_change_of_ids() {
        need!("root");
        let target = Target::new(&["-p"]);

        let world = target.world(&["-p", "-S", "5", "-G", "5"]);

        assert_eq!(world.get("pdeathsig"), SIGKILL);
    }
}
