//! The binary; everything is in the library.
#![no_main]

common::entry!("img-unpack", img_unpack::run);
