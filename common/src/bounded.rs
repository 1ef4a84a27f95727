//! Files that somebody else wrote: read to an end that has to come soon.

use std::io::{self, Read};

/// Everything there is, or nothing where it is more than `most` bytes.
///
/// `room` is what is expected: a file that fits is read in one go.
pub fn read(from: impl Read, most: u64, room: usize) -> io::Result<Option<Vec<u8>>> {
    let mut text = Vec::with_capacity(room);
    from.take(most.saturating_add(1)).read_to_end(&mut text)?;
    Ok(u64::try_from(text.len()).is_ok_and(|len| len <= most).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_at_the_bound_is_read_and_what_goes_on_is_not() {
        assert_eq!(read(&b"four"[..], 4, 0).unwrap(), Some(b"four".to_vec()));
        assert_eq!(read(&b"five!"[..], 4, 0).unwrap(), None);
        assert_eq!(read(io::repeat(0), 4, 0).unwrap(), None);
    }
}
