//! img-unpack against the real kernel.
