//! The binary; everything is in the library.
#![no_main]

common::entry!("root-pivot", root_pivot::run);
