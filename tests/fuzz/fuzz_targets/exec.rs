//! A config.json, /etc/passwd and /etc/group to what img-exec would do.
#![no_main]

use std::ffi::OsString;

use img_exec::config::Config;
use img_exec::plan::{Host, Plan, Step};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let [kind, text @ ..] = data else { return };
    let mut parts = text.splitn(4, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default().to_vec();
    let config = Config::parse(&part());
    let config = match config {
        Ok(config) => config,
        Err(why) => return fuzz::is_one_line(&img_exec_says(&why)),
    };
    let [passwd, group, env] = [part(), part(), part()];
    let host = Host {
        config,
        passwd,
        group,
        env_files: vec![("env".into(), env)],
        hostname: "box".into(),
        terminal: kind & 1 != 0,
        ..Host::default()
    };
    let words: &[&str] = match kind % 5 {
        0 => &[],
        1 => &["ls", "-l"],
        2 => &["--user", "web:adm"],
        3 => &["--entrypoint", "sh", "--workdir", "/srv", "--env", "A=1"],
        _ => &["--group-add", "adm", "--entrypoint", ""],
    };
    let words = ["img-exec"].iter().chain(words).map(OsString::from);
    let cli = img_exec::cli::parse(words.collect()).expect("these are right");
    match Plan::new(&cli, &host) {
        Ok(plan) => {
            for step in &plan.steps {
                if let Step::Exec { argv, .. } = step {
                    assert!(!argv.is_empty());
                }
            }
        }
        Err(fail) => fuzz::is_one_line(&fail.text),
    }
});

/// As it is put into a message.
fn img_exec_says(why: &str) -> String {
    common::Fail::cannot("read", "config.json", why).text
}
