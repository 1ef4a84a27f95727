//! The binary; everything is in the library.
#![no_main]

common::entry!("img-exec", img_exec::run);
