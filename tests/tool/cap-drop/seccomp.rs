//! Filters of system calls, installed for real.

use std::fmt::Write;
use std::fs;

use arbtest::arbitrary::{self, Unstructured};
use cap_drop::seccomp::bpf::{Data, run};
use cap_drop::seccomp::{Arch, Facts, Program, compile, compile_docker};
use cap_drop::sets::CapSet;
use kit::{Run, expect, need};

/// Makes the calls of its arguments, `NUMBER,ARG…` each, `x86,…` by `int 0x80`, and prints
/// the errno of each, 0 for none.
const CALLER: &str = r"
import ctypes, mmap, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def narrow(*words):
    # push rbx; mov eax, edi; mov ebx, esi; mov ecx, edx; int 0x80; pop rbx; cdqe; ret
    code = b'\x53\x89\xf8\x89\xf3\x89\xd1\xcd\x80\x5b\x48\x98\xc3'
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    at = ctypes.addressof(ctypes.c_char.from_buffer(page))
    call = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_uint] * 3)(at)
    result = call(*(list(words) + [0, 0])[:3])
    return -result if result < 0 else 0
for arg in sys.argv[1:]:
    words = arg.split(',')
    if words[0] == 'x86':
        print(narrow(*map(int, words[1:])))
        continue
    ctypes.set_errno(0)
    result = libc.syscall(*[ctypes.c_ulong(int(word)) for word in words])
    print(ctypes.get_errno() if result == -1 else 0)
";

fn caller(options: &[&str], calls: &[&str]) -> Run {
    let run = Run::tool("cap-drop").arg("--no-new-privs").args(options);
    run.args(["--", "python3", "-c", CALLER]).args(calls)
}

fn errnos(run: Run) -> Vec<u32> {
    run.run().ok().lines().map(|line| line.parse().unwrap()).collect()
}

/// A filter for a program without capabilities, which an ordinary user is anyway.
fn without_capabilities(profile: &'static str) -> Vec<&'static str> {
    let keep: &[&str] =
        if nix::unistd::geteuid().is_root() { &["--keep", "none"] } else { &[] };
    [keep, &["--seccomp", profile]].concat()
}

#[test]
fn a_filter_is_there_and_is_counted() {
    let text = Run::tool("cap-drop")
        .args(["--no-new-privs", "--seccomp", "docker", "--", "grep", "-E"])
        .args(["Seccomp", "/proc/self/status"])
        .run()
        .ok();

    assert!(text.starts_with("Seccomp:\t2\n"), "{text}");
    let here = fs::read_to_string("/proc/self/status").unwrap();
    let count = |text: &str| -> Option<u32> {
        text.lines()
            .find_map(|line| line.strip_prefix("Seccomp_filters:"))
            .map(|number| number.trim().parse().unwrap())
    };
    assert_eq!(count(&text), count(&here).map(|before| before + 1));
}

#[cfg(target_arch = "x86_64")]
#[test]
fn docker_forbids_what_docker_forbids() {
    need!("program:python3");
    let calls = [
        "435,0,0",        // clone3
        "272,0x10000000", // unshare CLONE_NEWUSER, see below
        "250,0,0",        // keyctl
        "600",            // of tomorrow
        "41,1,1,0",       // socket AF_UNIX
        "41,38,5,0",      // AF_ALG
        "41,40,1,0",      // AF_VSOCK
        "135,0xffffffff", // personality, asked for
        "135,1",          // another one
        "1073742074,0,0", // keyctl of x32
        "x86,20",         // getpid
        "x86,288,0,0",    // keyctl
        "x86,435,0,0",    // clone3
    ];
    let calls = calls.map(|call| {
        let decimal = |word: &str| match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).unwrap().to_string(),
            None => word.to_owned(),
        };
        call.split(',').map(decimal).collect::<Vec<_>>().join(",")
    });
    let calls: Vec<_> = calls.iter().map(String::as_str).collect();

    assert_eq!(
        errnos(caller(&without_capabilities("docker"), &calls)),
        [38, 1, 1, 38, 0, 1, 1, 0, 1, 1, 0, 1, 38]
    );
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_by_a_convention_that_the_profile_does_not_name_kills() {
    need!("program:python3");
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#;
    let run = caller(&["--seccomp", "profile"], &["x86,20"]);
    fs::write(run.tmp().join("profile"), profile).unwrap();

    let _ = run.run().signal(nix::libc::SIGSYS);
}

#[test]
fn podmans_profile_is_understood_and_in_force() {
    need!("file:/usr/share/containers/seccomp.json", "program:python3");
    let profile = without_capabilities("/usr/share/containers/seccomp.json");

    // A socket of the audit system takes CAP_AUDIT_WRITE, clock_settime CAP_SYS_TIME: it
    // would fail for its arguments.
    let calls: &[&str] = if cfg!(target_arch = "x86_64") {
        &["41,16,3,9", "41,16,3,0", "227,0,0", "600"]
    } else {
        &["198,16,3,9", "198,16,3,0", "112,0,0", "600"]
    };
    assert_eq!(errnos(caller(&profile, calls)), [22, 0, 1, 38]);
}

const BOUNDING: [CapSet; 3] = [CapSet::NONE, CapSet::DOCKER, CapSet(0x1ff_ffff_ffff)];

/// All that a filter answers, as a number: FNV-1a.
fn answers(program: &Program) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for (arch, bit) in Arch::ALL.map(|arch| (arch.audit(), arch.bit())) {
        for number in 0..600 {
            for arg in [0, 1, 8, 37, 38, 39, 40, 41, 0x2_0008, 0x200_0000, 0xffff_ffff] {
                let data = Data { number: number | bit, audit: arch, args: [arg; 6] };
                let value = run(&program.code, &data).unwrap().value;
                for byte in value.to_le_bytes() {
                    hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
                }
            }
        }
    }
    hash
}

/// What the default.json of moby/profiles seccomp/v0.2.3 answers was recorded; where that
/// text is at hand, it makes the very same filter.
#[test]
fn the_built_in_profile_is_dockers() {
    let recorded = [
        [0x969a_b458_2d7e_1dc4, 0xe5f5_6270_9002_1892, 0xb114_4b9d_c18f_aba9],
        [0x9548_9b27_685b_1d94, 0x622d_14d6_c9e4_b960, 0xafde_fb42_8b09_32b2],
    ];
    let text = need::have_more("file:../shared/seccomp/docker.json").then(|| {
        fs::read(need::project().join("../shared/seccomp/docker.json")).unwrap()
    });

    for (arch, recorded) in [Arch::X86_64, Arch::Aarch64].into_iter().zip(recorded) {
        for (bounding, recorded) in BOUNDING.into_iter().zip(recorded) {
            let facts = Facts { arch, kernel: (6, 1), bounding };
            let own = compile_docker(&facts).unwrap();
            assert_eq!(answers(&own), recorded, "{facts:?}");
            if let Some(text) = &text {
                let theirs = compile("docker.json".into(), text.clone(), &facts);
                assert_eq!(theirs.unwrap(), own, "{facts:?}");
            }
        }
    }
}

/// Calls that do nothing whatever their arguments are: by name and by number.
#[cfg(target_arch = "x86_64")]
const HARMLESS: [(&str, u32); 5] = [
    ("getpgid", 121),
    ("getsid", 124),
    ("getpriority", 140),
    ("sched_get_priority_max", 146),
    ("sched_get_priority_min", 147),
];

const VALUES: [u64; 8] =
    [0, 1, 2, 0x7fff_ffff, 0xffff_ffff, 1 << 32, 0x1_0000_0001, u64::MAX];

#[cfg(target_arch = "x86_64")]
fn random_profile(u: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    let mut entries = String::new();
    for number in 0..u.int_in_range(1..=10)? {
        let (name, _) = u.choose(&HARMLESS)?;
        let mut args = Vec::new();
        for _ in 0..*u.choose(&[0, 1, 1, 2, 3])? {
            let op = u.choose(&["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"])?;
            let index = u.int_in_range(0..=2)?;
            let (value, two) = (u.choose(&VALUES)?, u.choose(&VALUES)?);
            args.push(format!(
                r#"{{"index": {index}, "value": {value}, "valueTwo": {two}, "op": "SCMP_CMP_{op}"}}"#
            ));
        }
        let comma = if number == 0 { "" } else { ",\n" };
        let (args, errno) = (args.join(", "), 3000_u32.saturating_add(number));
        write!(
            entries,
            r#"{comma}{{"names": ["{name}"], "action": "SCMP_ACT_ERRNO", "errnoRet": {errno}, "args": [{args}]}}"#
        )
        .unwrap();
    }
    Ok(format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{entries}]}}"#))
}

/// The interpreter that the compiler is tested with says what the kernel does.
#[cfg(target_arch = "x86_64")]
#[test]
fn random_filters_do_in_the_kernel_what_the_interpreter_says() {
    need!("program:python3");
    let facts = Facts { arch: Arch::HERE, kernel: (6, 1), bounding: CapSet::NONE };
    let mut refused = 0_u32;
    for seed in 0..6_u64 {
        let bytes = seeded(seed, 4096);
        let mut u = Unstructured::new(&bytes);
        let profile = random_profile(&mut u).unwrap();
        let program = compile("p".into(), profile.clone().into(), &facts).unwrap();
        let mut calls = Vec::new();
        for _ in 0..150 {
            let (_, number) = *u.choose(&HARMLESS).unwrap();
            let mut args = [0; 6];
            for arg in args.iter_mut().take(3) {
                *arg = *u.choose(&VALUES).unwrap();
            }
            calls.push(Data { number, audit: Arch::HERE.audit(), args });
        }
        let texts: Vec<_> = calls
            .iter()
            .map(|Data { number, args: [a, b, c, ..], .. }| {
                format!("{number},{a},{b},{c}")
            })
            .collect();
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let run_it = caller(&["--seccomp", "profile"], &texts);
        fs::write(run_it.tmp().join("profile"), &profile).unwrap();

        for (call, errno) in calls.iter().zip(errnos(run_it)) {
            let value = run(&program.code, call).unwrap().value;
            let expected = (value >> 16 == 5).then_some(value & 0xffff);
            let is = (errno >= 3000).then_some(errno);
            assert_eq!(is, expected, "{call:?} under {profile}");
            refused += u32::from(is.is_some());
        }
    }
    assert!(refused > 50, "{refused} of 900 were refused: too few to tell anything");
}

/// A linear congruential generator: the same filters in every run.
fn seeded(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    };
    (0..length).map(|_| next()).collect()
}

fn profile(names: &str) -> String {
    format!(
        r#"{{"defaultAction": "SCMP_ACT_KILL_PROCESS", "syscalls":
            [{{"names": [{names}], "action": "SCMP_ACT_ALLOW"}}]}}"#
    )
}

fn under(profile: &str) -> Run {
    let run =
        Run::tool("cap-drop").args(["--no-new-privs", "--seccomp", "profile", "--"]);
    fs::write(run.tmp().join("profile"), profile).unwrap();
    run
}

#[test]
fn between_the_filter_and_the_exec_there_is_no_call_but_the_exec() {
    // What a static program takes to start and end, nothing for us.
    let names = r#""execve", "arch_prctl", "set_tid_address", "poll", "ppoll", "brk", "mmap",
        "munmap", "exit_group""#;

    under(&profile(names)).arg(kit::tool("noop")).run().ok();
}

#[test]
fn a_filter_that_forbids_the_exec_is_refused_before() {
    under(&profile(r#""read", "write", "exit_group""#)).arg("true").run().refused(
        125,
        expect![[r#"
            cap-drop: cannot run 'true': the filter forbids execve(2)
        "#]],
    );
    // A tool of ours is started by a descriptor of it.
    let run = Run::tool("cap-drop").args([
        "--no-new-privs",
        "--seccomp",
        "profile",
        "--",
        "cap-drop",
        "true",
    ]);
    fs::write(run.tmp().join("profile"), profile(r#""execve""#)).unwrap();
    run.run().refused(
        125,
        expect![[r#"
            cap-drop: cannot run 'cap-drop': the filter forbids execveat(2)
        "#]],
    );
}

#[test]
fn a_profile_that_is_none_is_refused_and_nothing_runs() {
    for (text, reason) in [
        ("", "no JSON: EOF while parsing a value at line 1 column 0"),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "sycalls": []}"#,
            "'sycalls' is no key of a seccomp profile",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#,
            "SCMP_ACT_NOTIFY takes a listener, and none outlives the start of COMMAND",
        ),
    ] {
        let out = under(text).args(["echo", "ran"]).run().code(125);
        let expected = format!("cap-drop: cannot read 'profile': {reason}\n");
        assert_eq!(String::from_utf8_lossy(&out.stderr), expected);
        assert!(out.stdout.is_empty());
    }
    Run::tool("cap-drop").args(["--seccomp", "missing", "true"]).run().refused(
        125,
        expect![[r#"
            cap-drop: cannot open 'missing': No such file or directory
        "#]],
    );
}

#[test]
fn a_filter_takes_no_new_privs_or_sys_admin() {
    for option in ["--seccomp=docker", "--landlock=scope"] {
        need!("landlock");
        Run::tool("cap-drop").args(["--keep", "none", option, "true"]).run().refused(
            125,
            expect![[r#"
                cap-drop: cannot restrict COMMAND: it takes no_new_privs, or CAP_SYS_ADMIN which is not kept; add --no-new-privs
            "#]],
        );
    }
}

/// `ld nr; jeq NUMBER, 0, 1; ret ERRNO|44; ret ALLOW` in the machine's byte order.
fn program(number: u32) -> Vec<u8> {
    let insns = [
        (0x20_u16, 0_u8, 0_u8, 0_u32),
        (0x15, 0, 1, number),
        (0x06, 0, 0, 0x5_002c),
        (0x06, 0, 0, 0x7fff_0000),
    ];
    let bytes = |(code, jt, jf, k): (u16, u8, u8, u32)| {
        [&code.to_ne_bytes()[..], &[jt, jf], &k.to_ne_bytes()].concat()
    };
    insns.into_iter().flat_map(bytes).collect()
}

#[test]
fn a_finished_filter_is_taken_from_a_file_and_from_a_descriptor() {
    need!("program:python3");
    let call = nix::libc::SYS_getpriority.to_string();
    let bytes = program(u32::try_from(nix::libc::SYS_getpriority).unwrap());
    let run = caller(&["--seccomp-bpf", "filter"], &[&call]);
    fs::write(run.tmp().join("filter"), &bytes).unwrap();

    assert_eq!(errnos(run), [44]);

    let script = format!(
        "exec {} --no-new-privs --seccomp-bpf 7 --seccomp-bpf 8 -- python3 -c \"$CALLER\" {call} 7<filter 8<other",
        kit::tool("cap-drop").display()
    );
    let run = Run::program("sh").args(["-c", &script]).env("CALLER", CALLER);
    fs::write(run.tmp().join("filter"), &bytes).unwrap();
    fs::write(run.tmp().join("other"), program(9999)).unwrap();
    assert_eq!(errnos(run), [44]);
}

#[test]
fn a_file_that_is_no_filter_is_refused() {
    let refused = |bytes: &[u8], expected| {
        let run = Run::tool("cap-drop").args([
            "--no-new-privs",
            "--seccomp-bpf",
            "filter",
            "true",
        ]);
        fs::write(run.tmp().join("filter"), bytes).unwrap();
        run.run().refused(125, expected);
    };

    refused(
        b"short",
        expect![[r#"
            cap-drop: cannot use 'filter': not a whole number of 8-byte instructions
        "#]],
    );
    refused(
        &[0xff; 8],
        expect![[r#"
            cap-drop: cannot install the seccomp filter: Invalid argument; the kernel does not take this program or flag
        "#]],
    );
}

mod userns {
    use super::*;

    #[test]
    fn sys_admin_of_a_user_namespace_is_enough() {
        need!("userns");

        let text = Run::sandboxed(&["--user"], "cap-drop")
            .args(["--seccomp", "docker", "--", "grep", "-E"])
            .args(["NoNewPrivs|Seccomp:", "/proc/self/status"])
            .run()
            .ok();

        assert_eq!(text, "NoNewPrivs:\t0\nSeccomp:\t2\n");
    }
}
