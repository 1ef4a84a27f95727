//! The binary; everything is in the library.
#![no_main]

common::entry!("cap-drop", cap_drop::run, raised);
