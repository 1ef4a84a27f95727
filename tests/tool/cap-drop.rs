//! cap-drop against the real kernel.
