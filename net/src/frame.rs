//! Cuts a stream of bytes into frames: four bytes of length, then that many bytes.
//!
//! Never copies a frame that arrived in one piece, and never allocates by a length that somebody only claims.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

/// The smallest request header: API key, version, correlation id.
const FRAME_BYTES_MIN: usize = 8;

/// The room an idle connection keeps to read into.
const IDLE_BYTES: usize = 8 << 10;

/// The room a busy one reads into: many small frames fit, so that one read brings them all.
const BUSY_BYTES: usize = 128 << 10;

/// Room made at once for a frame that says it is large; more only as its bytes arrive.
const TRUSTED_BYTES: usize = 1 << 20;

/// Why a stream of bytes cannot be Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Negative, or too small for a header.
    TooSmall(i32),
    /// Above the limit, with a guess at what was sent instead of a length.
    TooLarge { size: i32, looks_like: Option<&'static str> },
}

impl fmt::Display for FrameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall(size) => write!(formatter, "a request of {size} bytes is none"),
            Self::TooLarge { size, looks_like: None } => {
                write!(formatter, "a request of {size} bytes is larger than socket.request.max.bytes")
            }
            Self::TooLarge { looks_like: Some(other), .. } => {
                write!(formatter, "this looks like {other}, but the port speaks the Kafka protocol in plain text")
            }
        }
    }
}

/// Bytes that were received and not yet taken as frames.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    buffer: BytesMut,
    /// The last read filled all the room there was: there is probably more.
    busy: bool,
}

impl FrameBuffer {
    /// The next whole frame, without its length.
    ///
    /// # Errors
    /// [`FrameError`]; what follows in the stream means nothing then.
    pub fn next_frame(&mut self, bytes_max: usize) -> Result<Option<Bytes>, FrameError> {
        let Some(size) = self.announced(bytes_max)? else { return Ok(None) };
        if self.buffer.len() < 4 + size {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }

    /// The size of the frame that has begun to arrive.
    fn announced(&self, bytes_max: usize) -> Result<Option<usize>, FrameError> {
        let Some(first) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let size = i32::from_be_bytes(*first);
        match usize::try_from(size) {
            Ok(size) if size > bytes_max => {}
            Ok(size) if size >= FRAME_BYTES_MIN => return Ok(Some(size)),
            _ => return Err(FrameError::TooSmall(size)),
        }
        let looks_like = match first {
            b"GET " | b"POST" | b"PUT " | b"HEAD" | b"OPTI" => Some("HTTP"),
            [0x16, 3, ..] => Some("TLS"),
            _ => None,
        };
        Err(FrameError::TooLarge { size, looks_like })
    }

    /// Makes room to receive into: see [`FrameBuffer::buffer`].
    pub fn make_room(&mut self, bytes_max: usize) {
        let missing = match self.announced(bytes_max) {
            Ok(Some(size)) => (4 + size).saturating_sub(self.buffer.len()),
            _ => 0,
        };
        let trusted = missing.min(TRUSTED_BYTES.max(self.buffer.len()));
        let usual = if self.busy { BUSY_BYTES } else { IDLE_BYTES };
        let wanted = trusted.max(usual);
        if self.buffer.is_empty() && self.buffer.capacity() > 2 * wanted {
            // A large frame is done with: give its memory back.
            self.buffer = BytesMut::new();
        }
        if self.buffer.capacity() - self.buffer.len() < wanted.min(trusted.max(usual / 4)) {
            self.buffer.reserve(wanted);
        }
    }

    /// The buffer itself, for the receiver to append to.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The last read brought this many bytes into `room`.
    pub fn received(&mut self, bytes: usize, room: usize) {
        self.busy = bytes * 2 >= room.min(BUSY_BYTES) && bytes > 0;
    }

    /// Whether a frame has begun and not ended.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.buffer.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 100 << 20;

    fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
        frames.iter().flat_map(|frame| [&(frame.len() as i32).to_be_bytes()[..], frame].concat()).collect()
    }

    fn check(bytes: &[u8], expected: FrameError) {
        let mut frames = FrameBuffer::default();
        frames.buffer().extend_from_slice(bytes);
        assert_eq!(frames.next_frame(MAX), Err(expected));
    }

    #[test]
    fn what_is_no_request_is_named() {
        check(&[0xFF; 4], FrameError::TooSmall(-1));
        check(&[0, 0, 0, 7], FrameError::TooSmall(7));
        check(b"GET / HTTP/1.1", FrameError::TooLarge { size: 0x4745_5420, looks_like: Some("HTTP") });
        check(&[0x16, 3, 1, 0], FrameError::TooLarge { size: 0x1603_0100, looks_like: Some("TLS") });
        check(&[0x7F; 4], FrameError::TooLarge { size: 0x7F7F_7F7F, looks_like: None });
    }

    #[test]
    fn a_claim_of_100_mib_gets_no_such_room() {
        let mut frames = FrameBuffer::default();
        frames.buffer().extend_from_slice(&(MAX as i32).to_be_bytes());
        frames.buffer().extend_from_slice(&[1]);
        assert_eq!(frames.next_frame(MAX), Ok(None));
        frames.make_room(MAX);
        assert!(frames.buffer().capacity() < 3 << 20);
    }

    proptest! {
        #[test]
        fn any_way_to_cut_the_stream_gives_the_same_frames(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 8..400), 0..20),
            cuts in proptest::collection::vec(1usize..500, 1..50),
        ) {
            let bytes = stream(&frames);
            let mut buffer = FrameBuffer::default();
            let mut read = Vec::new();
            let mut rest = &bytes[..];
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                buffer.make_room(MAX);
                let room = buffer.buffer().capacity() - buffer.buffer().len();
                prop_assert!(room > 0);
                let (part, behind) = rest.split_at((*cut).min(rest.len()).min(room));
                buffer.buffer().extend_from_slice(part);
                buffer.received(part.len(), room);
                rest = behind;
                while let Some(frame) = buffer.next_frame(MAX).expect("good frames") {
                    read.push(frame.to_vec());
                }
            }
            prop_assert_eq!(read, frames);
            prop_assert!(!buffer.is_partial());
        }
    }
}
