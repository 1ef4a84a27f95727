//! The rules that plans are made by against those of the kernel.

mod root {
    use cap_drop::kernel;
    use cap_drop::securebits::Securebits;
    use cap_drop::sets::CapSet;
    use cap_drop::state::{Caps, State};
    use kit::{Run, need};

    use crate::{NET_RAW, own};

    const KILL: u64 = 1 << 5;
    const SETUID: u64 = 1 << 7;
    const SETPCAP: u64 = 1 << 8;
    const RIGHTS: u64 = SETUID | SETPCAP;

    /// What is done to a process, and what is to come of it.
    struct Case {
        words: String,
        state: State,
        uids: [u32; 3],
        fails: bool,
    }

    impl Case {
        /// Root with everything that this root has.
        fn new(own: u64) -> Self {
            let all = CapSet(own);
            let caps =
                Caps { bounding: all, permitted: all, effective: all, ..Caps::default() };
            let state = State { caps, ..State::default() };
            Self { words: String::new(), state, uids: [0; 3], fails: false }
        }

        fn word(&mut self, word: &str) {
            self.words.push_str(word);
            self.words.push(' ');
        }

        fn bits(&mut self, bits: u32) {
            self.word(&format!("bits={bits:x}"));
            self.state.securebits = Securebits(bits);
        }

        fn caps(&mut self, sets: [u64; 3]) {
            let words = sets.map(|set| format!("{set:x}")).join(":");
            self.word(&format!("caps={words}"));
            let [effective, permitted, inheritable] = sets.map(CapSet);
            let to = Caps { effective, permitted, inheritable, ..self.state.caps };
            self.state = kernel::capset(&self.state, &to);
        }

        fn ambient(&mut self, mask: u64) {
            self.word(&format!("amb={mask:x}"));
            self.state.caps.ambient = CapSet(mask);
            let forbids = Securebits::NO_CAP_AMBIENT_RAISE;
            self.fails |= mask != 0 && self.state.securebits.has(forbids);
        }

        fn drop(&mut self, mask: u64) {
            self.word(&format!("drop={mask:x}"));
            self.state.caps.bounding = self.state.caps.bounding.without(CapSet(mask));
        }

        fn no_new_privs(&mut self) {
            self.word("nnp");
            self.state.no_new_privs = true;
        }

        fn uid(&mut self, uid: u32) {
            self.word(&format!("uid={uid:x}"));
            self.state = kernel::setresuid(&self.state, self.uids, uid);
            self.uids = [uid; 3];
        }

        fn exec(&mut self) {
            self.word("exec");
            self.state = kernel::execve(&self.state, self.uids[1]);
        }

        fn expected(&self) -> String {
            if self.fails {
                return "EPERM".to_owned();
            }
            let State { caps, securebits, no_new_privs } = &self.state;
            let sets = [
                caps.effective,
                caps.permitted,
                caps.inheritable,
                caps.bounding,
                caps.ambient,
            ];
            let sets = sets.map(|set| format!("{:x}", set.0)).join(" ");
            format!("{sets} {:x} {}", securebits.0, u8::from(*no_new_privs))
        }
    }

    /// Securebits, the uid before and after, the sets, and what is done to them.
    fn cases(own: u64) -> Vec<Case> {
        let some = NET_RAW | KILL;
        let sets = [
            [own, own, 0],
            [own, own, some],
            [RIGHTS, RIGHTS | some, some],
            [RIGHTS | KILL, RIGHTS | KILL, NET_RAW | KILL],
        ];
        // noroot, no_setuid_fixup, keep_caps, no_cap_ambient_raise
        let bits = (0..0x80).filter(|bits| bits & !0x55 == 0);
        let mut all = Vec::new();
        for (bits, from) in bits.flat_map(|bits| [(bits, 0), (bits, 1000)]) {
            for (set, to) in sets.iter().flat_map(|set| [(set, 0), (set, 65534)]) {
                all.extend((0..16).map(|flags| case(own, (bits, from, to), *set, flags)));
            }
        }
        all
    }

    fn case(
        own: u64,
        (bits, from, to): (u32, u32, u32),
        sets: [u64; 3],
        flags: u8,
    ) -> Case {
        let [ambient, drop, nnp, execs] = [1, 2, 4, 8].map(|flag| flags & flag != 0);
        let mut case = Case::new(own);
        if from != 0 {
            case.bits(4);
            case.uid(from);
        }
        case.bits(bits);
        case.caps(sets);
        let [_, permitted, inheritable] = sets;
        case.ambient(if ambient { permitted & inheritable } else { 0 });
        if drop {
            case.drop(NET_RAW);
        }
        if nnp {
            case.no_new_privs();
        }
        case.uid(to);
        if execs {
            case.exec();
        }
        case
    }

    #[test]
    fn securebits_uids_ambient_and_keep_caps_do_what_the_kernel_does() {
        need!("root");
        let cases = cases(own());
        let lines: Vec<_> = cases.iter().map(|case| &*case.words).collect();

        let text = Run::tool("transition").stdin(lines.join("\n")).run().ok();

        let wrong: Vec<_> = cases
            .iter()
            .zip(text.lines())
            .filter(|(case, line)| case.expected() != **line)
            .map(|(case, line)| {
                format!("{}\n  is {line}\n not {}", case.words, case.expected())
            })
            .collect();
        assert_eq!(text.lines().count(), cases.len());
        assert!(
            wrong.is_empty(),
            "{} of {}:\n{}",
            wrong.len(),
            cases.len(),
            wrong.join("\n")
        );
        assert!(cases.iter().any(|c| c.fails) && cases.len() == 4096);
    }
}
