//! From verdicts to instructions.
//!
//! Jumps go forwards only, so the program is made from its end: what is jumped to is there
//! already. A call is found by bisection over the spans of its section.

use super::Action;
use super::bpf::{Insn, MAX, code, too_long};
use super::condition::{Condition, Op, Width};
use super::rules::{FOREIGN, Rule, Section, Verdict};

/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const AUDIT: u32 = 4;
const ARGS: u32 = 16;

/// Makes the program.
///
/// # Errors
/// Where it is longer than the kernel takes.
pub fn emit(sections: &[Section]) -> Result<Vec<Insn>, String> {
    let mut code = Code::default();
    let mut entries = Vec::new();
    // The machine's own section comes to lie first, and is asked for first.
    for section in sections.iter().rev() {
        let inside = code.tree(&section.spans);
        entries.push((section.audit, code.load(NUMBER, inside)));
    }
    let mut next = code.action(FOREIGN);
    for (audit, entry) in entries {
        next = code.branch(code::EQ, audit, entry, next);
    }
    code.load(AUDIT, next);
    code.finish()
}

/// A place in the program, counted from its end.
type Label = usize;

#[derive(Default)]
struct Code {
    /// The last instruction first.
    reversed: Vec<Insn>,
    /// Where each value is returned, the last place of each.
    returns: Vec<(u32, Label)>,
}

impl Code {
    fn finish(mut self) -> Result<Vec<Insn>, String> {
        if self.reversed.len() > MAX {
            return Err(too_long(self.reversed.len()));
        }
        self.reversed.reverse();
        Ok(self.reversed)
    }

    fn put(&mut self, code: u16, k: u32) -> Label {
        self.reversed.push(Insn { code, jt: 0, jf: 0, k });
        self.last()
    }

    fn last(&self) -> Label {
        self.reversed.len().saturating_sub(1)
    }

    /// Falls through to `next`.
    fn before(&mut self, next: Label, code: u16, k: u32) -> Label {
        if next != self.last() {
            self.jump(next);
        }
        self.put(code, k)
    }

    fn load(&mut self, offset: u32, next: Label) -> Label {
        self.before(next, code::LOAD, offset)
    }

    fn jump(&mut self, to: Label) -> Label {
        let over = self.last().saturating_sub(to);
        self.put(code::JUMP, u32::try_from(over).unwrap_or(u32::MAX))
    }

    fn action(&mut self, action: Action) -> Label {
        let value = action.value();
        let known = self.returns.iter().find(|(known, _)| *known == value);
        let known = known.map(|(_, label)| *label);
        known.unwrap_or_else(|| self.return_again(value))
    }

    fn return_again(&mut self, value: u32) -> Label {
        let label = self.put(code::RETURN, value);
        self.returns.retain(|(known, _)| *known != value);
        self.returns.push((value, label));
        label
    }

    fn branch(&mut self, code: u16, k: u32, yes: Label, no: Label) -> Label {
        if yes == no {
            return yes;
        }
        // Two more instructions may come to lie between.
        let no = self.near(no, 2);
        let yes = self.near(yes, 1);
        let over = |label: Label| {
            u8::try_from(self.last().saturating_sub(label)).unwrap_or(u8::MAX)
        };
        let (jt, jf) = (over(yes), over(no));
        self.reversed.push(Insn { code, jt, jf, k });
        self.last()
    }

    /// A place within reach of a branch that leads there.
    fn near(&mut self, to: Label, spare: usize) -> Label {
        let reach = usize::from(u8::MAX).saturating_sub(spare);
        if self.last().saturating_sub(to) <= reach {
            return to;
        }
        match self.reversed.get(to) {
            Some(Insn { code: code::RETURN, k, .. }) => self.return_again(*k),
            _ => self.jump(to),
        }
    }

    fn tree(&mut self, spans: &[(u32, Verdict)]) -> Label {
        match spans {
            [] => self.action(FOREIGN),
            [(_, verdict)] => self.verdict(verdict),
            _ => {
                let (low, high) = spans.split_at(spans.len().div_ceil(2));
                let start = high.first().map_or(0, |(start, _)| *start);
                let high = self.tree(high);
                let low = self.tree(low);
                self.branch(code::GE, start, high, low)
            }
        }
    }

    fn verdict(&mut self, verdict: &Verdict) -> Label {
        let mut next = self.action(verdict.otherwise);
        for rule in verdict.rules.iter().rev() {
            next = self.rule(rule, next);
        }
        next
    }

    fn rule(&mut self, rule: &Rule, no: Label) -> Label {
        let mut yes = self.action(rule.action);
        for condition in rule.conditions.iter().rev() {
            yes = self.condition(*condition, yes, no);
        }
        yes
    }

    fn condition(&mut self, condition: Condition, yes: Label, no: Label) -> Label {
        let Condition { index, op, value, width } = condition;
        let offset = ARGS.saturating_add(u32::from(index).saturating_mul(8));
        let halves = Halves { offset, value: split(value), width };
        match op {
            Op::Eq => halves.equal(self, halves.all(), yes, no),
            Op::Ne => halves.equal(self, halves.all(), no, yes),
            Op::Masked(mask) => halves.equal(self, split(mask), yes, no),
            Op::Gt => halves.order(self, code::GT, yes, no),
            Op::Le => halves.order(self, code::GT, no, yes),
            Op::Ge => halves.order(self, code::GE, yes, no),
            Op::Lt => halves.order(self, code::GE, no, yes),
        }
    }
}

/// The high and the low word.
fn split(value: u64) -> [u32; 2] {
    let word = |n: u64| u32::try_from(n & 0xffff_ffff).unwrap_or_default();
    [word(value >> 32), word(value)]
}

/// An argument and what it is compared with: registers have 32 bits.
#[derive(Clone, Copy)]
struct Halves {
    offset: u32,
    value: [u32; 2],
    width: Width,
}

impl Halves {
    fn all(self) -> [u32; 2] {
        match self.width {
            Width::Whole => [u32::MAX; 2],
            Width::Low => [0, u32::MAX],
        }
    }

    fn load_high(self, code: &mut Code, next: Label) -> Label {
        code.load(self.offset.saturating_add(4), next)
    }

    fn equal(self, code: &mut Code, mask: [u32; 2], yes: Label, no: Label) -> Label {
        let [high, low] = self.value;
        let [high_mask, low_mask] = mask;
        let mut next = yes;
        if low_mask != 0 {
            next = code.branch(code::EQ, low & low_mask, next, no);
            next = masked(code, low_mask, next);
            next = code.load(self.offset, next);
        }
        if high_mask != 0 {
            next = code.branch(code::EQ, high & high_mask, next, no);
            next = masked(code, high_mask, next);
            next = self.load_high(code, next);
        }
        next
    }

    /// The high words decide unless they are equal.
    fn order(self, code: &mut Code, op: u16, yes: Label, no: Label) -> Label {
        let [high, low] = self.value;
        let mut next = code.branch(op, low, yes, no);
        next = code.load(self.offset, next);
        if self.width == Width::Low {
            return next;
        }
        next = code.branch(code::EQ, high, next, no);
        next = code.branch(code::GT, high, yes, next);
        self.load_high(code, next)
    }
}

fn masked(code: &mut Code, mask: u32, next: Label) -> Label {
    if mask == u32::MAX { next } else { code.before(next, code::AND, mask) }
}
