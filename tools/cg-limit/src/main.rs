//! The binary; everything is in the library.
#![no_main]

common::entry!("cg-limit", cg_limit::run);
