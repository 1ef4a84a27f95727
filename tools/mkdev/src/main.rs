//! The binary; everything is in the library.
#![no_main]

common::entry!("mkdev", mkdev::run);
