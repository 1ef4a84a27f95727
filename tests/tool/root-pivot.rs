//! root-pivot against the real kernel.
