//! The program: what cannot be run is told with what it lacks.

use super::*;

/// A file of the run's directory as the image's program.
fn program(name: &str, mode: u32, content: &str) -> Run {
    let run = image("{}").arg(me());
    let path = run.tmp().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    let dir = run.tmp().display().to_string();
    run.args(["-e", &format!("PATH=/none:{dir}"), "--entrypoint", name])
}

#[test]
fn a_missing_interpreter_is_named() {
    program("script", 0o755, "#!/no/such/interpreter -x\n").run().refused(
        127,
        expect![[r#"
            img-exec: cannot run 'script': No such file or directory; its interpreter '/no/such/interpreter' is missing
        "#]],
    );
}

#[test]
fn a_missing_loader_is_named() {
    need!("program:python3");
    // An ELF header with one program header, PT_INTERP, behind which is the name.
    let make = "import struct, sys; name = b'/no/such/ld.so\\0'
head = b'\\x7fELF\\2\\1\\1' + bytes(9) + struct.pack('<HHIQQQIHHHHHH', 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
interp = struct.pack('<IIQQQQQQ', 3, 4, 120, 0, 0, len(name), len(name), 1)
open('program', 'wb').write(head + interp + name)";
    let run = program("program", 0o755, "");
    let made = Run::program("python3").args(["-c", make]).cwd(run.tmp()).run();
    assert_eq!(made.ok(), "");

    run.run().refused(
        127,
        expect![[r#"
            img-exec: cannot run 'program': No such file or directory; its loader '/no/such/ld.so' is missing
        "#]],
    );
}

#[test]
fn a_file_without_a_first_line_is_no_program_here() {
    program("script", 0o755, "echo ran\n").run().refused(
        126,
        expect![[r#"
            img-exec: cannot run 'script': Exec format error; it is no program and has no #! line: name its interpreter
        "#]],
    );
    program("empty", 0o755, "").run().refused(
        126,
        expect![[r#"
            img-exec: cannot run 'empty': Exec format error; it is empty or cannot be read
        "#]],
    );
}

#[test]
fn what_is_there_and_not_executable_is_126() {
    program("script", 0o644, "#!/bin/sh\n").run().refused(
        126,
        expect![[r#"
            img-exec: cannot run 'script': Permission denied; it is not executable: chmod +x
        "#]],
    );
    image("{}").args([&me(), "--entrypoint", "/"]).run().refused(
        126,
        expect![[r#"
            img-exec: cannot run '/': Permission denied; it is a directory
        "#]],
    );
}

#[test]
fn a_directory_in_path_is_not_found_but_passed_over() {
    let run = image("{}").arg(me());
    fs::create_dir_all(run.tmp().join("one/tool")).unwrap();
    let one = format!("PATH={}", run.tmp().join("one").display());

    run.args(["-e", &one, "--entrypoint", "tool"]).run().refused(
        127,
        expect![[r#"
            img-exec: cannot run 'tool': No such file or directory
        "#]],
    );
}

#[test]
fn a_path_with_a_slash_is_relative_to_the_working_directory() {
    let run = image("{}").arg(me());
    fs::create_dir(run.tmp().join("bin")).unwrap();
    symlink("/bin/sh", run.tmp().join("bin/shell")).unwrap();
    let dir = run.tmp().to_owned();
    let run = run.arg("--workdir").arg(dir);

    let out = run.args(["--entrypoint", "bin/shell", "--", "-c", "echo $0"]).run();

    assert_eq!(out.ok(), "bin/shell\n");
}
