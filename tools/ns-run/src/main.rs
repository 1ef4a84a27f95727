//! The binary; everything is in the library.
#![no_main]

common::entry!("ns-run", ns_run::run);
