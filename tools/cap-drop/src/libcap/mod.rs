//! What libcap's programs read and print: cap_text_formats(7).

mod iab;
pub(crate) mod kernel;
mod lookup;
mod text;

pub use iab::Iab;
pub use lookup::{capability, name, number};
pub use text::{Sets, known};
