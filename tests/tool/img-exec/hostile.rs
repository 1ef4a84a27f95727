//! Working directories of an image that wants out of its root.

use super::*;

mod userns {
    use super::*;

    /// Where a process of the image starts, and what is beside the root then.
    fn start(dir: &str, before: &str) -> (String, String) {
        let config = serde_json::json!({ "WorkingDir": dir }).to_string();
        let run = chrooted(&["--user", "--mount"], &config, before).arg("/bin/probe");
        let tmp = run.tmp().to_owned();
        let out = run.run();
        let beside = fs::read_dir(&tmp).unwrap().map(|e| e.unwrap().file_name());
        let mut beside: Vec<_> =
            beside.map(|name| name.to_string_lossy().into_owned()).collect();
        beside.sort();
        let world = World(serde_json::from_str(&out.ok()).unwrap());
        (world.get("cwd").as_str().unwrap().to_owned(), beside.join(" "))
    }

    #[test]
    fn links_lead_to_places_in_the_root_that_are_made_where_they_are_missing() {
        need!("userns");
        for (dir, before, cwd) in [
            ("/link", "ln -s ../../../../../etc root/link", "/etc"),
            ("/link/x", "ln -s ../../../escaped root/link", "/escaped/x"),
            ("/a/link/x", "mkdir root/a; ln -s b root/a/link", "/a/b/x"),
            ("/one", "ln -s two root/one; ln -s /three/ root/two", "/three"),
            ("/../../../escaped", "", "/escaped"),
        ] {
            let expected = (cwd.to_owned(), "config.json root".to_owned());
            assert_eq!(start(dir, before), expected, "{dir} {before}");
        }
    }

    #[test]
    fn files_circles_and_magic_links_are_refused() {
        need!("userns");
        for (dir, before, reason) in [
            ("/etc/passwd", "", "Not a directory"),
            ("/etc/passwd/x", "", "Not a directory"),
            ("/loop/x", "ln -s loop root/loop", "Too many symbolic links encountered"),
            (
                "/a/x",
                "ln -s b/y root/a; ln -s a root/b",
                "Too many symbolic links encountered",
            ),
            (
                "/link",
                "ln -s /proc/self/fd/0 root/link",
                "Too many symbolic links encountered",
            ),
            (
                "/link/x",
                "ln -s /proc/self/cwd root/link",
                "Too many symbolic links encountered",
            ),
            ("/proc/self/root/x", "", "Too many symbolic links encountered"),
            ("/proc/none", "", "No such file or directory"),
        ] {
            let config = serde_json::json!({ "WorkingDir": dir }).to_string();
            let run = chrooted(&["--user", "--mount"], &config, before);
            let out = run.args(["/bin/probe"]).run().code(125);
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            let expected = format!("img-exec: cannot start in '{dir}': {reason}");
            assert!(said.starts_with(&expected) && said.lines().count() == 1, "{said}");
        }
    }

    #[test]
    fn a_directory_that_becomes_a_way_out_meanwhile_is_none() {
        need!("userns");
        // This shell's directory is beside the root: whatever gets there makes `new` there.
        let before = "
            (set +e; while :; do
                mkdir root/spot; rm -rf root/spot
                ln -sT /proc/$$/cwd root/spot; rm -rf root/spot
            done) >/dev/null 2>&1 & swapper=$!
            # At least a hundred times, and until both have been met.
            i=0
            until [ $i -ge 100 ] && grep -q '\"cwd\": \"/spot/new\"' seen \
                && grep -q 'Too many symbolic links' refused; do
                chroot root /bin/img-exec --config /config.json --workdir /spot/new \
                    -- /bin/probe >>seen 2>>refused || :
                i=$((i+1))
            done
            kill $swapper; wait $swapper 2>/dev/null || :
            ! [ -e new ]";

        let run = chrooted(&["--user", "--mount"], "{}", before).arg("/bin/probe");

        let world = World::of(run);
        assert_eq!(world.get("cwd"), "/");
    }
}
