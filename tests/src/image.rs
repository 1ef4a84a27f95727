//! Builds image archives of every layout for tests and the demo.
