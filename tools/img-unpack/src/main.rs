//! The binary; everything is in the library.
#![no_main]

common::entry_with_system_allocator!("img-unpack", img_unpack::run);
