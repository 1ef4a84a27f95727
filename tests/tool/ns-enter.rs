//! ns-enter against the real kernel.
