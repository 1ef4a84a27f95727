//! That images come out right, whatever happens: compared with the reference unpackers,
//! with every system call failing, with other processes in the way.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test's errors are failed tests"
)]

mod model;
mod race;
mod reference;
mod scale;
mod stack;
mod sweep;
