//! zstd in pure Rust, or by the C library where the feature `libzstd` asks for it.

use std::io::{self, BufRead, Read};

/// As the zstd program has it without `--long`: RFC 8878 leaves it to the reader, and a
/// header may ask for terabytes.
const MAX_WINDOW_LOG: u32 = 27;

/// Frames one behind the other, skippable ones left out: RFC 8878.
#[cfg(feature = "libzstd")]
pub(crate) fn decoder<'a>(source: impl BufRead + Send + 'a) -> Box<dyn Read + Send + 'a> {
    let made = ::zstd::Decoder::with_buffer(source).and_then(|mut decoder| {
        decoder.window_log_max(MAX_WINDOW_LOG)?;
        Ok(decoder)
    });
    match made {
        Ok(decoder) => Box::new(library::Named(decoder)),
        Err(error) => Box::new(library::Failed(Some(error))),
    }
}

#[cfg(feature = "libzstd")]
mod library {
    use super::{Read, io};

    /// Gives errors their kinds.
    pub(super) struct Named<R>(pub(super) R);

    impl<R: Read> Read for Named<R> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            // The one message of its that tells more than "broken".
            self.0.read(buf).map_err(|e| match e.to_string() {
                text if text.contains("too much memory") => {
                    io::ErrorKind::OutOfMemory.into()
                }
                _ => e,
            })
        }
    }

    /// What could not even begin.
    pub(super) struct Failed(pub(super) Option<io::Error>);

    impl Read for Failed {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.take().map_or(Ok(0), Err)
        }
    }
}

/// Frames one behind the other, skippable ones left out: RFC 8878.
#[cfg(not(feature = "libzstd"))]
pub(crate) fn decoder<'a>(source: impl BufRead + Send + 'a) -> Box<dyn Read + Send + 'a> {
    let mut frame = rust::FrameDecoder::new();
    frame.set_max_window_size(1 << MAX_WINDOW_LOG);
    Box::new(rust::Frames { source, frame, open: false })
}

#[cfg(not(feature = "libzstd"))]
mod rust {
    use std::error::Error as _;

    use ruzstd::decoding::BlockDecodingStrategy;
    pub(super) use ruzstd::decoding::FrameDecoder;
    use ruzstd::decoding::errors::FrameDecoderError;

    use super::{BufRead, Read, io};
    use crate::tar::bad;

    pub(super) struct Frames<R> {
        pub(super) source: R,
        pub(super) frame: FrameDecoder,
        pub(super) open: bool,
    }

    impl<R: BufRead> Frames<R> {
        /// Goes to the next frame; false at the end.
        fn next_frame(&mut self) -> io::Result<bool> {
            loop {
                if self.source.fill_buf()?.is_empty() {
                    return Ok(false);
                }
                let mut magic = [0; 4];
                self.source.read_exact(&mut magic)?;
                let [first, rest @ ..] = magic;
                if rest != *b"\x2a\x4d\x18" || first & 0xf0 != 0x50 {
                    let mut whole = Read::chain(&magic[..], &mut self.source);
                    self.frame.reset(&mut whole).map_err(|e| broken(&e))?;
                    return Ok(true);
                }
                let mut length = [0; 4];
                self.source.read_exact(&mut length)?;
                let length = u64::from(u32::from_le_bytes(length));
                let skipped =
                    io::copy(&mut (&mut self.source).take(length), &mut io::sink())?;
                if skipped != length {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
    }

    impl<R: BufRead> Read for Frames<R> {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            loop {
                if self.open && self.frame.can_collect() > 0 {
                    return self.frame.read(buf);
                }
                if self.open && !self.frame.is_finished() {
                    let enough = BlockDecodingStrategy::UptoBytes(buf.len().max(1));
                    self.frame
                        .decode_blocks(&mut self.source, enough)
                        .map_err(|e| broken(&e))?;
                    continue;
                }
                self.open = self.next_frame()?;
                if !self.open {
                    return Ok(0);
                }
            }
        }
    }

    /// Digests tell of a changed byte, so that a frame's own sum is not looked at.
    fn broken(error: &FrameDecoderError) -> io::Error {
        if let FrameDecoderError::WindowSizeTooBig { .. } = error {
            return io::ErrorKind::OutOfMemory.into();
        }
        let mut source = error.source();
        while let Some(cause) = source {
            if let Some(cause) = cause.downcast_ref::<io::Error>() {
                return match cause.raw_os_error() {
                    Some(number) => io::Error::from_raw_os_error(number),
                    None => cause.kind().into(),
                };
            }
            source = cause.source();
        }
        bad("a broken frame")
    }
}
