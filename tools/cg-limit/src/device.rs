//! Which devices may be used: rules, the files of v1, the BPF program of v2.
//!
//! cgroup-v1/devices.rst, bpf(2), linux/bpf.h `struct bpf_cgroup_dev_ctx`.

use std::fmt;
use std::path::PathBuf;

use common::Fail;

use crate::file::File;
use crate::value::Value;

/// What may be used unless a rule says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Everything.
    All,
    /// What every container gets: null, zero, full, random, urandom, tty, console, ptmx, pts.
    Std,
    /// Nothing.
    None,
}

/// Character or block, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `c`
    Char,
    /// `b`
    Block,
    /// `a`
    Any,
}

/// The device that a rule is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// By type and number; none is `*`.
    Number(Kind, Option<u32>, Option<u32>),
    /// By its node.
    Path(PathBuf),
}

/// Whether some use of some devices is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Allowed or denied.
    pub is_allowed: bool,
    /// Which devices.
    pub which: Which,
    /// `BPF_DEVCG_ACC_*`: 1 to make the node, 2 to read, 4 to write.
    pub access: u8,
}

const ACCESS: [(char, u8); 3] = [('r', 2), ('w', 4), ('m', 1)];
const ALL: u8 = 7;

/// `none`, `std` or `all`.
pub(crate) fn policy(text: &str) -> Result<Value, String> {
    match text {
        "all" | "auto" => Ok(Value::Policy(Policy::All)),
        "std" | "closed" => Ok(Value::Policy(Policy::Std)),
        "none" | "strict" => Ok(Value::Policy(Policy::None)),
        _ => Err("not none, std or all".to_owned()),
    }
}

/// `c 1:3 rwm`, `/dev/null:rw` or `/dev/null rw`.
pub(crate) fn allow(text: &str) -> Result<Value, String> {
    rule(text, true).map(Value::Rule)
}

/// The same, denied.
pub(crate) fn deny(text: &str) -> Result<Value, String> {
    rule(text, false).map(Value::Rule)
}

fn rule(text: &str, is_allowed: bool) -> Result<Rule, String> {
    let bad = || "not as 'c 1:3 rwm' or /dev/null:rw".to_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let (which, access) = match *words.as_slice() {
        [path] if path.starts_with('/') => match path.rsplit_once(':') {
            Some((path, access)) => (Which::Path(path.into()), access),
            None => (Which::Path(path.into()), "rwm"),
        },
        [path, access] if path.starts_with('/') => (Which::Path(path.into()), access),
        ["a"] => (Which::Number(Kind::Any, None, None), "rwm"),
        [kind, numbers, access] => {
            let kind = match kind {
                "a" => Kind::Any,
                "b" => Kind::Block,
                "c" => Kind::Char,
                _ => return Err(bad()),
            };
            let number = |text: &str| match text {
                "*" => Ok(None),
                _ => crate::parse::number(text, 0..=u64::from(u32::MAX >> 12))
                    .and_then(|n| u32::try_from(n).ok())
                    .map(Some)
                    .ok_or_else(bad),
            };
            let (major, minor) = numbers.split_once(':').ok_or_else(bad)?;
            (Which::Number(kind, number(major)?, number(minor)?), access)
        }
        _ => return Err(bad()),
    };
    let mut bits = 0;
    for letter in access.chars() {
        let bit = ACCESS.iter().find(|(name, _)| *name == letter).ok_or_else(bad)?.1;
        bits |= bit;
    }
    if bits == 0 { Err(bad()) } else { Ok(Rule { is_allowed, which, access: bits }) }
}

/// What every container may use: to make any node, and to use these.
const STD: [(u32, Option<u32>); 10] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
    (137, None),
];

/// All that decides, later rules over earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// What no rule is about.
    is_allowed: bool,
    /// In order; no paths.
    rules: Vec<Rule>,
}

impl Filter {
    /// One that denies nothing.
    pub(crate) const ALLOW_ALL: Self = Self { is_allowed: true, rules: Vec::new() };

    /// Of what was asked for; device nodes are looked up by `number`.
    pub(crate) fn new<'v>(
        asked: impl Iterator<Item = &'v Value>,
        number: impl Fn(&std::path::Path) -> Option<Which>,
    ) -> Result<Self, Fail> {
        let (mut policy, mut given) = (None, Vec::new());
        for value in asked {
            if let Value::Policy(p) = value {
                policy = Some(*p);
            } else if let Value::Rule(rule) = value {
                given.push(rule);
            }
        }
        // systemd has `closed` where something is allowed, and so has docker.
        let is_closed = given.iter().any(|rule| rule.is_allowed);
        let policy = policy.unwrap_or(if is_closed { Policy::Std } else { Policy::All });
        let of = |which, access| Rule { is_allowed: true, which, access };
        let mut rules = Vec::new();
        if policy == Policy::Std {
            rules.push(of(Which::Number(Kind::Char, None, None), 1));
            rules.push(of(Which::Number(Kind::Block, None, None), 1));
            let std =
                STD.map(|(major, minor)| Which::Number(Kind::Char, Some(major), minor));
            rules.extend(std.map(|which| of(which, ALL)));
        }
        for rule in given {
            let which = match &rule.which {
                Which::Path(path) => number(path).ok_or_else(|| {
                    Fail::cannot("use device", path, "it is no device node")
                })?,
                which @ Which::Number(..) => which.clone(),
            };
            let rule = Rule { which, ..rule.clone() };
            // To open for reading and writing is one use: two rules must not be half each.
            let mut alike = rules.iter_mut().rev();
            let mut alike =
                alike.by_ref().take_while(|r| r.is_allowed == rule.is_allowed);
            match alike.find(|known| known.which == rule.which) {
                Some(known) => known.access |= rule.access,
                None => rules.push(rule),
            }
        }
        Ok(Self { is_allowed: policy == Policy::All, rules })
    }

    /// What to write on v1, where denials can only be cut out of what is allowed.
    pub(crate) fn files(&self) -> Vec<File> {
        let base =
            (!self.is_allowed).then(|| File::unread("devices.deny", "a".to_owned()));
        let rules = self.rules.iter().map(|rule| {
            let name = if rule.is_allowed { "devices.allow" } else { "devices.deny" };
            File::unread(name, rule.to_string())
        });
        base.into_iter().chain(rules).collect()
    }

    /// The program of v2: 1 allows, 0 denies. The last rule that is met decides, so they
    /// are tried from the last to the first.
    ///
    /// It is called for one use at a time or for several; a rule that allows must cover all
    /// of them, one that denies any.
    pub(crate) fn program(&self) -> Vec<u64> {
        let mut code = vec![
            // r2 = type, r3 = access, r4 = major, r5 = minor
            load(2, 0),
            and(2, 0xffff),
            load(3, 0),
            shift_right(3, 16),
            load(4, 4),
            load(5, 8),
        ];
        for rule in self.rules.iter().rev() {
            code.extend(test(rule));
        }
        code.extend([set(0, self.is_allowed.into()), EXIT]);
        code
    }
}

/// One rule: `return is_allowed` where it is met, else on to the next.
fn test(rule: &Rule) -> Vec<u64> {
    let Which::Number(kind, major, minor) = rule.which else { return Vec::new() };
    // Each condition is the code before its jump, and the jump for where it does not hold.
    let mut conditions: Vec<(Vec<u64>, Jump)> = Vec::new();
    match kind {
        Kind::Block => conditions.push((vec![], Jump::UnlessEqual(2, 1))),
        Kind::Char => conditions.push((vec![], Jump::UnlessEqual(2, 2))),
        Kind::Any => {}
    }
    if rule.access != ALL {
        let others =
            u32::from(if rule.is_allowed { !rule.access & ALL } else { rule.access });
        let jump =
            if rule.is_allowed { Jump::UnlessEqual(1, 0) } else { Jump::IfEqual(1, 0) };
        conditions.push((vec![copy(1, 3), and(1, others)], jump));
    }
    conditions.extend(major.map(|n| (vec![], Jump::UnlessEqual(4, n))));
    conditions.extend(minor.map(|n| (vec![], Jump::UnlessEqual(5, n))));
    let mut code = vec![set(0, rule.is_allowed.into()), EXIT];
    for (mut before, jump) in conditions.into_iter().rev() {
        let over = u16::try_from(code.len()).unwrap_or(u16::MAX);
        before.push(jump.over(over));
        before.append(&mut code);
        code = before;
    }
    code
}

enum Jump {
    UnlessEqual(u8, u32),
    IfEqual(u8, u32),
}

impl Jump {
    fn over(&self, count: u16) -> u64 {
        match *self {
            Self::UnlessEqual(register, n) => instruction(0x55, register, 0, count, n),
            Self::IfEqual(register, n) => instruction(0x15, register, 0, count, n),
        }
    }
}

/// `struct bpf_insn` of bpf(2).
fn instruction(code: u8, to: u8, from: u8, offset: u16, value: u32) -> u64 {
    let offset = offset.to_ne_bytes();
    let value = value.to_ne_bytes();
    // The first register is in the lower bits on a little-endian machine, else in the upper.
    let registers =
        if cfg!(target_endian = "little") { from << 4 | to } else { to << 4 | from };
    let mut bytes = [code, registers, 0, 0, 0, 0, 0, 0];
    for (to, from) in bytes.iter_mut().skip(2).zip(offset.into_iter().chain(value)) {
        *to = from;
    }
    u64::from_ne_bytes(bytes)
}

/// `*(u32 *)(r1 + offset)`; r1 is the context at the start.
fn load(to: u8, offset: u16) -> u64 {
    instruction(0x61, to, 1, offset, 0)
}

fn and(register: u8, value: u32) -> u64 {
    instruction(0x54, register, 0, 0, value)
}

fn shift_right(register: u8, bits: u32) -> u64 {
    instruction(0x74, register, 0, 0, bits)
}

fn copy(to: u8, from: u8) -> u64 {
    instruction(0xbc, to, from, 0, 0)
}

fn set(to: u8, value: u32) -> u64 {
    instruction(0xb4, to, 0, 0, value)
}

const EXIT: u64 = if cfg!(target_endian = "little") { 0x95 } else { 0x95 << 56 };

impl fmt::Display for Rule {
    /// As devices.allow takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |n: Option<u32>| n.map_or("*".to_owned(), |n| n.to_string());
        match &self.which {
            Which::Number(kind, major, minor) => {
                let kind = match kind {
                    Kind::Char => 'c',
                    Kind::Block => 'b',
                    Kind::Any => 'a',
                };
                write!(f, "{kind} {}:{} ", number(*major), number(*minor))?;
            }
            Which::Path(path) => write!(f, "{} ", path.display())?,
        }
        for (letter, _) in ACCESS.iter().filter(|(_, bit)| self.access & bit != 0) {
            write!(f, "{letter}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
