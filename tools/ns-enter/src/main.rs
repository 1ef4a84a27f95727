//! The binary; everything is in the library.
#![no_main]

common::entry!("ns-enter", ns_enter::run);
