//! The test kit: run a tool, look at the world it left, need what the machine may lack.
//!
//! Nothing here changes namespaces, ids or the directory of the test process: tests run
//! in threads. What needs a changed world runs below the `sandbox` binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::arithmetic_side_effects,
    reason = "a test kit's errors are failed tests"
)]

pub mod calls;
pub mod fault;
pub mod image;
pub mod need;
pub mod page;
pub mod peer;
pub mod quick;
pub mod replay;
pub mod run;
pub mod started;
pub mod tree;
pub mod world;

pub use run::{Out, Run, tool};
pub use started::Started;
pub use world::World;

/// Returns from the test unless the machine has what is named; see [`need::have`].
#[macro_export]
macro_rules! need {
    ($($key:expr),+ $(,)?) => {
        $(if !$crate::need::have($key) {
            return;
        })+
    };
}

/// An inline golden text.
pub use expect_test::{Expect, expect};
