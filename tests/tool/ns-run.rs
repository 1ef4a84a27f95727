//! ns-run against the real kernel.
