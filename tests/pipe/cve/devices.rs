//! A /dev that the image has prepared.

use kit::need;

use super::Arena;

mod userns {
    use super::*;

    #[test]
    fn cve_2026_41579_and_47766_dev_is_a_link() {
        need!("userns");
        let naive = "mkdir -p root/dev; ln -s /proc/self/fd root/dev/fd; test -L host/fd";
        for dev in ["root/dev", "root/dev/"] {
            Arena::new().link("dev", "../host").fools(
                naive,
                |arena| arena.run(&format!("mkdev {dev} -- true")).run(),
                Some("mkdev: cannot open directory 'root/dev"),
            );
        }
    }

    #[test]
    fn cve_2026_88264_and_88265_console_and_null_are_links() {
        need!("userns");
        for name in ["console", "null", "zero", "ptmx"] {
            let naive = format!("echo x > root/dev/{name}; grep -q x host/file");
            Arena::new().link(&format!("dev/{name}"), "../../host/file").fools(
                &naive,
                |arena| {
                    arena
                        .run(&format!("mkdev root/dev -- sh -ec :>root/dev/{name}"))
                        .run()
                },
                None,
            );
        }
    }

    #[test]
    fn cve_2025_52565_the_console_is_bound_from_what_the_image_calls_a_terminal() {
        need!("userns");
        let naive = "touch root/dev/console; mount --bind root/dev/pts/0 root/dev/console; \
             echo x > root/dev/console; grep -q x host/file";
        Arena::new().link("dev/pts/0", "../../../host/file").fools(
            naive,
            |arena| {
                // With a terminal, so that there is a console to be bound.
                let run = kit::Run::program("script").args(["-qec"]);
                let script = "test -c root/dev/console; echo x >root/dev/console";
                let mkdev = arena.run("mkdev --console root/dev -- sh -ec").arg(script);
                let words = mkdev.command();
                let words: Vec<_> = std::iter::once(words.get_program())
                    .chain(words.get_args())
                    .map(|word| format!("'{}'", word.to_string_lossy()))
                    .collect();
                run.arg(words.join(" ")).arg("/dev/null").cwd(arena.0.path()).run()
            },
            None,
        );
    }
}
