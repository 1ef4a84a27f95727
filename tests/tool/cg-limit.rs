//! cg-limit against the real kernel.
