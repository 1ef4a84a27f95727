//! Namespaces that outlive their processes, or do not where no COMMAND came to run.

use kit::{Run, World, expect, need, tool};

mod root {
    use super::*;

    /// A script in a mount namespace whose mounts are shared.
    fn sandboxed(script: &str) -> Run {
        let run = Run::shared_mounts(script);
        run.env("NS_RUN", tool("ns-run")).env("PROBE", tool("probe"))
    }

    #[test]
    fn nothing_is_kept_for_a_command_that_cannot_run() {
        need!("root");
        let out = sandboxed(
            "touch old; printf '\\177ELF for no machine' >bad; chmod +x bad
            for how in '' -f -pf '-p --init' '-f -S65534 --new-session'; do
                $NS_RUN --net=old --uts=new --persist=dir --pid-file=pid $how /none || echo $?
            done 2>/dev/null
            $NS_RUN --net=old --persist=dir ./bad 2>/dev/null || echo $?
            $NS_RUN --net=old --persist=dir / 2>/dev/null || echo $?
            # One that is no longer the user's to remove is empty at least.
            cat pid; rm pid
            ls; grep -c nsfs /proc/self/mountinfo || :",
        )
        .run();

        let _ = out.code(0).stdout(expect![[r#"
            127
            127
            127
            127
            127
            126
            126
            bad
            old
            0
        "#]]);
    }

    #[test]
    fn nothing_is_kept_where_it_cannot_be_told_that_all_is_set_up() {
        need!("root");
        let out = sandboxed(
            "for how in '' -f '-p --init'; do
                $NS_RUN --net=new --pid-file=pid --ready-fd=5 $how true 5>/dev/full || echo $?
            done
            ls; grep -c nsfs /proc/self/mountinfo || :",
        )
        .run();

        let _ = out.code(0).stdout(expect![[r#"
            125
            125
            125
            0
        "#]]);
    }

    #[test]
    fn the_one_that_keeps_them_is_no_child_of_commands() {
        need!("root");
        let script = "$NS_RUN --net=f --uts=g sh -c 'read x </proc/$$/task/$$/children
            echo \"children: $x\"'; umount f g";

        assert_eq!(sandboxed(script).run().ok(), "children: \n");
    }

    #[test]
    fn a_mount_namespace_can_be_kept_whatever_cpu_it_is_made_on() {
        need!("root", "program:taskset");
        // Numbers are dealt out by CPU: one of the orders is the wrong one.
        let script = "
            cpus=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
            for cpu in $(echo \"$cpus\" | tr ',-' '  '); do
                for other in $(echo \"$cpus\" | tr ',-' '  '); do
                    taskset -c $cpu $NS_RUN -m --propagation=unchanged \
                        taskset -c $other sh -ec 'taskset -pc $1 $$ >/dev/null
                            $NS_RUN --mount=f grep Cpus_allowed_list /proc/self/status
                            umount f; umount f 2>/dev/null || :; rm f' sh $cpus
                done
            done | sort -u | grep -c \"$cpus\"; ls";

        assert_eq!(sandboxed(script).run().ok(), "1\n");
    }

    #[test]
    fn without_a_command_the_shell_is_the_one_that_is_known_inside() {
        need!("root", "program:setpriv");
        let world = |args: &str| {
            let script = format!(
                "printf 'root:x:0:0::/:%s\\nno:x:65534:65534::/:/none\\n' $PROBE >passwd
                mount --bind passwd /etc/passwd; export SHELL=$SHELL_WAS
                exec {args}"
            );
            World::of(sandboxed(&script).env("SHELL_WAS", "/none"))
        };
        let of_user = "setpriv --reuid=65534 --regid=65534 --clear-groups env -u SHELL";

        // util-linux looks for SHELL in what is left of the environment, then for the user.
        let all = [
            world("$NS_RUN --clear-env"),
            world("$NS_RUN --whitelist-env PATH -f"),
            world("env SHELL=$PROBE $NS_RUN --whitelist-env SHELL"),
            world(&format!("{of_user} $NS_RUN -r")),
            world("env -u SHELL $NS_RUN -m"),
        ];

        for world in all {
            assert_eq!(world.get("argv").to_string(), r#"["-probe"]"#);
        }
    }
}
