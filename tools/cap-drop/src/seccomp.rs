//! seccomp(2) filters: profiles of docker and podman, compiled here; see seccomp(2) and
//! the kernel's Documentation/userspace-api/seccomp_filter.rst.

use common::Fail;
use common::json::Document;

use crate::sets::CapSet;

pub mod action;
pub mod arch;
pub mod bpf;
pub mod condition;
pub mod docker;
pub mod emit;
pub mod install;
mod names;
pub mod profile;
mod read;
#[cfg(test)]
mod reference;
pub mod rules;
#[cfg(test)]
mod tests;

pub use action::Action;
pub use arch::Arch;
pub use bpf::Program;
pub use profile::{Flag, Profile};

/// What a profile may ask about: the machine, and what will be left of the privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// The machine's own calling convention.
    pub arch: Arch,
    /// Version and patchlevel of the kernel.
    pub kernel: (u32, u32),
    /// The capabilities that COMMAND can come to have.
    pub bounding: CapSet,
}

/// Compiles a profile in docker's JSON; `name` is what it is called in messages.
///
/// # Errors
/// Where it is no profile, says what we do not know, or is too long for the kernel.
pub fn compile(name: String, text: Vec<u8>, facts: &Facts) -> Result<Program, Fail> {
    let document = Document::parse(name, text)?;
    let profile = read::read(&document)?;
    assemble(&profile, facts)
        .map_err(|reason| Fail::cannot("compile", &document.name, reason))
}

/// The profile that docker has built in.
///
/// # Errors
/// None, as a test shows; the compiler cannot know.
pub fn compile_docker(facts: &Facts) -> Result<Program, Fail> {
    assemble(&docker::profile(), facts)
        .map_err(|reason| Fail::cannot("compile", "docker", reason))
}

fn assemble(profile: &Profile<'_>, facts: &Facts) -> Result<Program, String> {
    let sections = rules::resolve(profile, facts);
    let code = emit::emit(&sections)?;
    Ok(Program { code, flags: profile.flags.clone() })
}
