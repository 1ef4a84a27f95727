//! JSON documents of an image.

use common::Fail;
pub use common::json::{Document, Object};

use crate::members::{Members, Name};

/// containers/image has the same limit for manifests and configs.
pub const MAX_DOCUMENT: u64 = 4 << 20;

/// Reads a member.
pub fn read(members: &dyn Members, name: &Name) -> Result<Document, Fail> {
    let bytes = members.document(name, MAX_DOCUMENT)?;
    Document::parse(name.shown().to_string_lossy().into_owned(), bytes)
}
