//! What a rule asks of an argument.

/// How an argument is compared, without sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `==`
    Eq,
    /// `>=`
    Ge,
    /// `>`
    Gt,
    /// `& mask ==`, with what stands outside of the mask not looked at.
    Masked(u64),
}

/// How much of an argument is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// The register.
    Whole,
    /// The 32 bits that a call of a narrow calling convention has.
    Low,
}

/// One comparison of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    /// Which argument, from 0 to 5.
    pub index: u8,
    /// How.
    pub op: Op,
    /// With what.
    pub value: u64,
    /// How much of it.
    pub width: Width,
}

impl Condition {
    /// One on the whole argument.
    pub fn new(index: u8, op: Op, value: u64) -> Self {
        Self { index, op, value, width: Width::Whole }
    }

    /// As a calling convention with 32-bit arguments has it.
    #[must_use]
    pub fn narrow(self) -> Self {
        const LOW: u64 = 0xffff_ffff;
        let mut op = self.op;
        if let Op::Masked(mask) = &mut op {
            *mask &= LOW;
        }
        Self { op, value: self.value & LOW, width: Width::Low, ..self }
    }
}

impl Op {
    /// The operator of a profile; for the masked one `first` is the mask.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub fn parse(name: &str, first: u64) -> Result<Self, String> {
        Ok(match name {
            "SCMP_CMP_NE" => Self::Ne,
            "SCMP_CMP_LT" => Self::Lt,
            "SCMP_CMP_LE" => Self::Le,
            "SCMP_CMP_EQ" => Self::Eq,
            "SCMP_CMP_GE" => Self::Ge,
            "SCMP_CMP_GT" => Self::Gt,
            "SCMP_CMP_MASKED_EQ" => Self::Masked(first),
            _ => return Err(format!("{} is no operator", common::fail::quote(name))),
        })
    }
}
