//! What two or more Bordmittel tools need, and nothing else.
//!
//! A tool is `run = parse -> read the host -> plan -> apply -> exec`. The plan is a
//! value made by a pure function; these modules carry it out and pass it on.

mod bond;
pub mod bounded;
pub mod called;
pub mod cgroup;
pub mod chain;
pub mod cli;
pub mod entry;
mod exec;
pub mod explain;
pub mod fail;
mod held;
pub mod idmap;
pub mod idmapped;
pub mod ids;
pub mod inroot;
pub mod json;
pub mod mount;
pub mod nstype;
pub mod parse;
pub mod passwd;
pub mod proc;
pub mod quick;
pub mod remove;
pub mod sealed;
pub mod shell;
pub mod spawn;
pub mod status;
pub mod sys;
mod vfork;

pub use fail::{Context, Fail};
