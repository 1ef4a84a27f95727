//! The binary capsh; everything is in the library.
#![no_main]

common::entry!("capsh", cap_drop::capsh::run, raised);
