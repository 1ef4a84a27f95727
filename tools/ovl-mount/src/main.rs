//! The binary; everything is in the library.
#![no_main]

common::entry!("ovl-mount", ovl_mount::run);
