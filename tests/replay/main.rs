//! Tools in the place of the programs that they replace: command lines of scripts that
//! nobody here wrote, and ones put together at random.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    reason = "a test's errors are failed tests"
)]

mod called;
mod old_names;
mod old_random;
mod place;
mod random;
mod scripts;
mod unshare;
mod vectors;
