//! What cap-drop reads: its command line, lists, profiles, attributes, /proc/PID/status.
#![no_main]

use std::ffi::OsString;

use cap_drop::cli::Has;
use cap_drop::filecaps::FileCaps;
use cap_drop::plan::{Host, Plan};
use cap_drop::process::Process;
use cap_drop::sets::CapSet;
use cap_drop::state::{Caps, State};
use cap_drop::{cli, limits, securebits, sets};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = FileCaps::parse(data);
    let mut parts = data.splitn(4, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default().to_vec();
    let [line, profile, passwd, group] = [part(), part(), part(), part()];
    let line = String::from_utf8_lossy(&line).into_owned();
    lists(&line);
    let _ = Process::parse(&line);

    let words = line.split('\n').map(OsString::from);
    let args = std::iter::once("cap-drop".into()).chain(words).collect();
    let cli = match cli::parse(args) {
        Ok(cli) => cli,
        Err(fail) if fail.output => return,
        Err(fail) => return fuzz::is_one_line(&fail.text),
    };
    let all = CapSet(0x1ff_ffff_ffff);
    let caps = Caps { bounding: all, permitted: all, effective: all, ..Caps::default() };
    let state = State { caps, ..State::default() };
    let host = Host { state, profile, passwd, group, ..Host::default() };
    match Plan::new(&cli, &host) {
        Ok(plan) => {
            let end = plan.end.caps;
            assert!(all.has(end.bounding) && all.has(end.permitted));
            assert!(end.permitted.has(end.effective.or(end.ambient)));
            assert!(end.inheritable.has(end.ambient));
        }
        Err(fail) => fuzz::is_one_line(&fail.text),
    }
});

/// What is read is what is printed again.
fn lists(text: &str) {
    if let Ok(set) = sets::parse_or_none(text) {
        assert_eq!(sets::parse_or_none(&set.to_string()), Ok(set));
    }
    if let Ok(change) = securebits::parse(text) {
        let bits = change.of(securebits::Securebits::default());
        let again = securebits::parse(&bits.to_string()).expect("it was printed");
        assert_eq!(
            again
                .of(securebits::Securebits(u32::MAX))
                .without(securebits::Securebits::KEEP_CAPS),
            bits
        );
    }
    let _ = (Has::parse(text), limits::parse(text));
}
