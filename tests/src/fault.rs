//! Makes system calls of a tool fail, by strace.

use crate::{Out, Run, tool};

/// A tool of ours below `sandbox` with these flags, and both below strace, which has
/// `inject` (`inject=CALL:error=EPERM` …) as an option.
pub fn injected(inject: &str, flags: &[&str], name: &str) -> Run {
    let run = Run::program("strace").args(["-f", "-o", "/dev/null", "-e", inject]);
    run.arg(tool("sandbox")).args(flags).arg("--").arg(tool(name))
}

/// Lets the first such call fail, then the second …, until there is no such call any more
/// and all goes well. `start` makes a run of an `inject`; `look` sees each failure.
///
/// # Panics
/// When a failure is not status 125, one line on stderr and nothing on stdout, or when
/// there is no such call at all.
pub fn each_call(
    call: &str,
    error: &str,
    start: impl Fn(&str) -> Run,
    look: impl Fn(&str, &Out),
) {
    for n in 1.. {
        let inject = format!("inject={call}:error={error}:when={n}");

        let out = start(&inject).run();

        if out.status.success() {
            assert!(n > 1, "{call} is not called");
            return;
        }
        let out = out.code(125);
        let stderr = String::from_utf8_lossy(&out.stderr);
        assert_eq!(stderr.lines().count(), 1, "{inject}: {stderr}");
        assert!(out.stdout.is_empty(), "{inject}");
        look(&inject, &out);
    }
}
