//! Which ids COMMAND has.

use kit::{Run, World, expect, need, tool};

use crate::Target;

mod userns {
    use super::*;

    #[test]
    fn credentials_can_be_preserved() {
        need!("userns");
        let target = Target::new(&["-U"]);

        let world = target.world(&["-U", "--preserve-credentials"]);

        assert_eq!(world.get("uid"), "65534\t65534\t65534\t65534");
    }

    #[test]
    fn an_id_that_is_not_mapped_is_refused_with_a_hint() {
        need!("userns");
        let target = Target::new(&["-U"]);

        target.enter(&["-U", "true"]).run().refused(
            125,
            expect![[r#"
                ns-enter: cannot leave the supplementary groups: Operation not permitted; no ids are mapped there, or it takes CAP_SETGID: --preserve-credentials
            "#]],
        );
    }
}

mod root {
    use super::*;

    #[test]
    fn ids_can_be_named_and_the_groups_are_left() {
        need!("root");
        let target = Target::new(&[]);

        let world = target.world(&["-S", "5", "-G", "6"]);

        assert_eq!(
            (world.get("uid"), world.get("gid")),
            ("5\t5\t5\t5".into(), "6\t6\t6\t6".into())
        );
        assert_eq!(world.get("groups"), "");
    }

    #[test]
    fn groups_are_left_before_a_namespace_that_forbids_it() {
        need!("root", "program:setpriv");
        let target = Target::new(&["-r"]);
        let script = "exec setpriv --groups 7,8 \"$@\"";
        let run = Run::program("sh").args(["-c", script, "sh"]).arg(tool("ns-enter"));

        let world = World::of(run.args(["-t", &target.pid, "-U"]).arg(tool("probe")));

        assert_eq!(world.get("groups"), "");
    }
}
