//! What the tracepoint capability:cap_capable tells, in the text of tracefs.

use std::collections::BTreeMap;

use caps::Capability;

use crate::sets::CapSet;

/// The kernel asks for CAP_SYS_ADMIN here whenever memory is mapped, for the bit that it
/// would reserve for it; no answer fails anything.
const NO_USE: &str = "security_vm_enough_memory_mm";

/// Reads the text as it comes and remembers what was used.
#[derive(Debug, Default)]
pub struct Events {
    /// The last line of what came, without its end yet.
    rest: Vec<u8>,
    /// The user namespace of COMMAND as the kernel prints it: that of the first event.
    own: Option<String>,
    used: CapSet,
    /// Threads whose use of CAP_SYS_ADMIN still lacks its stack.
    doubtful: BTreeMap<u32, Doubt>,
    /// Whose stack comes just now.
    stack_of: Option<u32>,
    lost: bool,
}

/// A use of which it is not known yet whether it is one.
#[derive(Debug, Default)]
struct Doubt {
    is_no_use: bool,
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The capabilities that were asked for and there.
    pub used: CapSet,
    /// Whether some of it went by unseen.
    pub lost: bool,
}

/// One check.
#[derive(Debug, PartialEq, Eq)]
struct Check<'t> {
    thread: u32,
    target: &'t str,
    capability: u8,
    granted: bool,
}

impl Events {
    /// Takes the next bytes of the text.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.rest.extend_from_slice(bytes);
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = self.rest.split_off(end.saturating_add(1));
        let text = std::mem::replace(&mut self.rest, rest);
        String::from_utf8_lossy(&text).lines().for_each(|line| self.line(line));
    }

    /// What came so far. A use whose stack did not come is one.
    pub fn seen(mut self) -> Seen {
        self.feed(b"\n");
        for thread in self.doubtful.keys().copied().collect::<Vec<_>>() {
            self.settle(thread);
        }
        Seen { used: self.used, lost: self.lost }
    }

    fn line(&mut self, line: &str) {
        if let Some(frame) = line.strip_prefix(" => ") {
            let doubt = self.stack_of.and_then(|thread| self.doubtful.get_mut(&thread));
            if let Some(doubt) = doubt {
                doubt.is_no_use |= frame.trim_end() == NO_USE;
            }
            return;
        }
        if let Some(thread) = self.stack_of.take() {
            self.settle(thread);
        }
        if line.trim_end().ends_with(": <stack trace>") {
            self.stack_of = thread(line);
        } else if line.contains(" EVENTS]") && line.starts_with("CPU:") {
            self.lost = true;
        } else if let Some(check) = parse(line) {
            self.check(&check);
        }
    }

    fn check(&mut self, check: &Check<'_>) {
        if self.own.is_none() {
            self.own = Some(check.target.to_owned());
            return;
        }
        // What is asked of a user namespace that COMMAND has made is no use of ours.
        if !check.granted || self.own.as_deref() != Some(check.target) {
            return;
        }
        if check.capability == Capability::CAP_SYS_ADMIN.index() {
            // One whose stack did not come is one.
            self.settle(check.thread);
            self.doubtful.insert(check.thread, Doubt::default());
        } else {
            self.used = self.used.or(CapSet::one(check.capability));
        }
    }

    fn settle(&mut self, thread: u32) {
        if self.doubtful.remove(&thread).is_some_and(|doubt| !doubt.is_no_use) {
            self.used = self.used.or(Capability::CAP_SYS_ADMIN.into());
        }
    }
}

/// `COMM-PID [CPU] FLAGS TIME: …`; a name may have anything in it, and 15 bytes.
fn thread(line: &str) -> Option<u32> {
    let head = line.get(..line.find(" [")?)?;
    head.rsplit_once('-')?.1.trim().parse().ok()
}

fn parse(line: &str) -> Option<Check<'_>> {
    let (_, fields) = line.rsplit_once(": cap_capable: cred ")?;
    let mut target = None;
    let (mut capability, mut granted) = (None, None);
    for field in fields.split(", ") {
        match field.split_once(' ') {
            Some(("target_ns", value)) => target = Some(value),
            Some(("cap", value)) => capability = value.parse().ok(),
            Some(("ret", value)) => granted = Some(value.trim() == "0"),
            _ => {}
        }
    }
    Some(Check {
        thread: thread(line)?,
        target: target?,
        capability: capability?,
        granted: granted?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(thread: u32, target: &str, capability: u8, ret: i32) -> String {
        format!(
            "  some-name-{thread}   [001] ..... 13065.411197: cap_capable: cred 00000000426cd7d6, target_ns {target}, capable_ns {target}, cap {capability}, ret {ret}\n"
        )
    }

    fn stack(thread: u32, frames: &[&str]) -> String {
        let mut text =
            format!("  some-name-{thread}   [001] ..... 13065.411214: <stack trace>\n");
        text.extend(frames.iter().map(|frame| format!(" => {frame}\n")));
        text
    }

    fn seen(text: &str) -> CapSet {
        let mut events = Events::default();
        // In pieces, as a pipe has them.
        text.as_bytes().chunks(7).for_each(|piece| events.feed(piece));
        let Seen { used, lost } = events.seen();
        assert!(!lost);
        used
    }

    const FIRST: (u32, &str, u8) = (9, "0000aaaa", 6);

    fn first() -> String {
        let (thread, target, capability) = FIRST;
        event(thread, target, capability, 0)
    }

    #[test]
    fn what_was_granted_in_the_own_namespace_was_used() {
        let text = first()
            + &event(9, "0000aaaa", 0, 0)
            + &event(9, "0000aaaa", 7, -1)
            + &event(9, "0000bbbb", 12, 0)
            + &event(10, "0000aaaa", 29, 0);

        assert_eq!(seen(&text), CapSet::one(0).or(CapSet::one(29)));
    }

    #[test]
    fn the_first_check_is_our_own_and_tells_the_namespace_only() {
        assert_eq!(seen(&first()), CapSet::NONE);
        assert_eq!(seen(""), CapSet::NONE);
    }

    #[test]
    fn mapping_memory_is_no_use_of_sys_admin() {
        let memory = stack(9, &["cap_capable", NO_USE, "__mmap_region"]);
        let mount = stack(9, &["cap_capable", "ns_capable", "path_mount"]);
        let admin = event(9, "0000aaaa", 21, 0);

        assert_eq!(seen(&(first() + &admin + &memory)), CapSet::NONE);
        assert_eq!(
            seen(&(first() + &admin + &mount + &admin + &memory)),
            CapSet::one(21)
        );
        assert_eq!(seen(&(first() + &admin)), CapSet::one(21));
    }

    #[test]
    fn a_stack_is_that_of_the_thread_it_names() {
        let text = first()
            + &event(9, "0000aaaa", 21, 0)
            + &event(11, "0000aaaa", 21, 0)
            + &stack(11, &["cap_capable", NO_USE])
            + &stack(9, &["cap_capable", "do_mount"]);

        assert_eq!(seen(&text), CapSet::one(21));
    }

    #[test]
    fn a_name_cannot_pass_for_an_event() {
        let text = first().replace("some-name", ": cap_capable: ") + "cap 5, ret 0\n";

        assert_eq!(seen(&(first() + &text)), CapSet::one(6));
    }

    #[test]
    fn what_the_kernel_lost_is_told() {
        let mut events = Events::default();
        events.feed(b"CPU:1 [LOST 12 EVENTS]\n");

        assert!(events.seen().lost);
    }
}
