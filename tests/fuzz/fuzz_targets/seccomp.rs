//! Profiles of system calls: no text panics, and what becomes of one ends every call.
#![no_main]

use cap_drop::seccomp::bpf::{Data, MAX, run};
use cap_drop::seccomp::{Arch, Facts, compile};
use cap_drop::sets::CapSet;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let facts = Facts { arch, kernel: (6, 1), bounding: CapSet::DOCKER };
        let Ok(program) = compile("profile".to_owned(), text.to_vec(), &facts) else {
            return;
        };
        assert!(program.code.len() <= MAX);
        for (audit, bit) in Arch::ALL.map(|arch| (arch.audit(), arch.bit())) {
            for number in (0..600).chain([u32::MAX]) {
                for arg in [0, u64::MAX, 1 << 32] {
                    let data = Data { number: number | bit, audit, args: [arg; 6] };
                    assert!(run(&program.code, &data).is_some(), "{data:?}");
                }
            }
        }
    }
});
