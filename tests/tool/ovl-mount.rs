//! ovl-mount against the real kernel.
