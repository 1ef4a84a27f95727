//! Programs of classic BPF as seccomp(2) takes them, and what they answer.

use super::Flag;

/// One instruction, `struct sock_filter` of linux/filter.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn {
    /// What to do, one of [`code`].
    pub code: u16,
    /// How many to pass over where the comparison holds.
    pub jt: u8,
    /// How many where it does not.
    pub jf: u8,
    /// The constant.
    pub k: u32,
}

/// The instructions that the kernel lets a filter have, of linux/bpf_common.h.
pub mod code {
    /// Loads a word of `struct seccomp_data`.
    pub const LOAD: u16 = 0x20;
    /// Goes on `k` instructions further.
    pub const JUMP: u16 = 0x05;
    /// Compares for equality.
    pub const EQ: u16 = 0x15;
    /// Compares for greater.
    pub const GT: u16 = 0x25;
    /// Compares for greater or equal.
    pub const GE: u16 = 0x35;
    /// Keeps the bits of the constant.
    pub const AND: u16 = 0x54;
    /// Ends with the constant.
    pub const RETURN: u16 = 0x06;
}

/// The kernel takes no longer program, `BPF_MAXINSNS`.
pub const MAX: usize = 4096;

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The instructions.
    pub code: Vec<Insn>,
    /// How it is to be installed.
    pub flags: Vec<Flag>,
}

impl Program {
    /// Reads the instructions of a file, in the machine's byte order.
    ///
    /// # Errors
    /// Where it can be none; the kernel looks more closely.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let (records, rest) = bytes.as_chunks::<8>();
        if records.is_empty() || !rest.is_empty() {
            return Err("not a whole number of 8-byte instructions".to_owned());
        }
        if records.len() > MAX {
            return Err(too_long(records.len()));
        }
        let code = records.iter().map(|[c0, c1, jt, jf, k @ ..]| Insn {
            code: u16::from_ne_bytes([*c0, *c1]),
            jt: *jt,
            jf: *jf,
            k: u32::from_ne_bytes(*k),
        });
        Ok(Self { code: code.collect(), flags: Vec::new() })
    }
}

/// Why a program of this length is refused.
pub(super) fn too_long(length: usize) -> String {
    format!("it makes {length} instructions, and the kernel takes {MAX}")
}

/// A system call as a filter sees it, `struct seccomp_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Data {
    /// The number.
    pub number: u32,
    /// `AUDIT_ARCH_*`.
    pub audit: u32,
    /// The arguments.
    pub args: [u64; 6],
}

impl Data {
    /// The word at an offset; the instruction pointer is 0.
    fn word(&self, offset: u32) -> Option<u32> {
        match offset {
            0 => return Some(self.number),
            4 => return Some(self.audit),
            8 | 12 => return Some(0),
            _ => {}
        }
        let place = offset.checked_sub(16).filter(|place| place.is_multiple_of(4))?;
        let index = usize::try_from(place.checked_div(8)?).ok()?;
        let arg = *self.args.get(index)?;
        let word = if place.is_multiple_of(8) { arg } else { arg >> 32 };
        u32::try_from(word & 0xffff_ffff).ok()
    }
}

/// What a filter answers, and after how many instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// `SECCOMP_RET_*` with its data.
    pub value: u32,
    /// How long it took.
    pub steps: usize,
}

/// Runs a filter as the kernel does, as far as [`code`] goes: nothing where a program that
/// we did not make has other instructions.
pub fn run(program: &[Insn], data: &Data) -> Option<Answer> {
    let (mut at, mut a, mut steps) = (0_usize, 0_u32, 0_usize);
    loop {
        let insn = program.get(at)?;
        steps = steps.checked_add(1)?;
        let branch = |holds: bool| usize::from(if holds { insn.jt } else { insn.jf });
        let skip = match insn.code {
            code::LOAD => {
                a = data.word(insn.k)?;
                0
            }
            code::AND => {
                a &= insn.k;
                0
            }
            code::JUMP => usize::try_from(insn.k).ok()?,
            code::EQ => branch(a == insn.k),
            code::GT => branch(a > insn.k),
            code::GE => branch(a >= insn.k),
            code::RETURN => return Some(Answer { value: insn.k, steps }),
            _ => return None,
        };
        at = at.checked_add(1)?.checked_add(skip)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_lies_in_memory() {
        let mut bytes = Vec::new();
        for (code, jt, jf, k) in [(code::EQ, 1, 2, 0x1234_5678_u32), (6, 0, 0, 0)] {
            bytes.extend(code.to_ne_bytes());
            bytes.extend([jt, jf]);
            bytes.extend(k.to_ne_bytes());
        }

        let program = Program::read(&bytes).unwrap();

        assert_eq!(
            program.code,
            [
                Insn { code: code::EQ, jt: 1, jf: 2, k: 0x1234_5678 },
                Insn { code: code::RETURN, jt: 0, jf: 0, k: 0 }
            ]
        );
    }

    #[test]
    fn what_can_be_no_program_is_refused() {
        let whole = "not a whole number of 8-byte instructions";

        assert_eq!(Program::read(b"").unwrap_err(), whole);
        assert_eq!(Program::read(&[0; 9]).unwrap_err(), whole);
        assert_eq!(
            Program::read(&vec![0; 8 * 4097]).unwrap_err(),
            "it makes 4097 instructions, and the kernel takes 4096"
        );
        assert!(Program::read(&vec![0; 8 * 4096]).is_ok());
    }
}
