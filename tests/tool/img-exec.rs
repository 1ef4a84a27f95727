//! img-exec against the real kernel.
