//! Cuts a stream of bytes into frames: four bytes of length, then that many bytes.
//!
//! Never copies a frame that arrived in one piece, and never allocates by a length that somebody only claims.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

/// The smallest request header: API key, version, correlation id.
const FRAME_BYTES_MIN: usize = 8;

/// The room an idle connection keeps to read into: the next small request fits, and ten thousand of them are 5 MiB.
const ROOM_IDLE: usize = 512;

/// The room a new connection reads into. It grows whenever a read fills it.
const ROOM_FIRST: usize = 4 << 10;

/// The room a busy one reads into: many small frames fit, so that one read brings them all.
const ROOM_MAX: usize = 128 << 10;

/// How fast room grows: three filled reads lead from the first to the largest.
const ROOM_GROWTH: usize = 8;

/// So many reads in a row that needed little: the burst is over.
const SMALL_READS: u8 = 64;

/// Room made at once for a frame that says it is large; twice as much whenever it was filled.
const TRUSTED_BYTES_FIRST: usize = 64 << 10;

/// A peer that has sent a frame this large before gets the room for the next one at once: nothing is copied then.
const TRUSTED_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(ROOM_IDLE >= 4 + FRAME_BYTES_MIN && ROOM_FIRST * ROOM_GROWTH <= ROOM_MAX);

/// Why a stream of bytes cannot be Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Negative, or too small for a header.
    TooSmall(i32),
    /// Above the limit, with a guess at what was sent instead of a length.
    TooLarge {
        size: i32,
        looks_like: Option<&'static str>,
    },
}

impl fmt::Display for FrameError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooSmall(size) => write!(formatter, "a request of {size} bytes is none"),
            Self::TooLarge {
                size,
                looks_like: None,
            } => {
                write!(
                    formatter,
                    "a request of {size} bytes is larger than socket.request.max.bytes"
                )
            }
            Self::TooLarge {
                looks_like: Some(other),
                ..
            } => {
                write!(
                    formatter,
                    "this looks like {other}, but the port speaks the Kafka protocol in plain text"
                )
            }
        }
    }
}

/// Bytes that were received and not yet taken as frames.
#[derive(Debug)]
pub struct FrameBuffer {
    buffer: BytesMut,
    /// What a read is given, unless a large frame needs more.
    room: usize,
    small_reads: u8,
    /// The largest frame that came whole: what this peer says is believed so far.
    proven: usize,
}

impl Default for FrameBuffer {
    fn default() -> Self {
        Self {
            buffer: BytesMut::new(),
            room: ROOM_FIRST,
            small_reads: 0,
            proven: 0,
        }
    }
}

impl FrameBuffer {
    /// The next whole frame, without its length.
    ///
    /// # Errors
    /// [`FrameError`]; what follows in the stream means nothing then.
    pub fn next_frame(&mut self, bytes_max: usize) -> Result<Option<Bytes>, FrameError> {
        let Some(size) = self.announced(bytes_max)? else {
            return Ok(None);
        };
        if self.buffer.len() < 4 + size {
            return Ok(None);
        }
        self.proven = self.proven.max(size.min(TRUSTED_BYTES_MAX));
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }

    /// The size of the frame that has begun to arrive.
    fn announced(&self, bytes_max: usize) -> Result<Option<usize>, FrameError> {
        let Some(first) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
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

    /// How many bytes must be reserved before more of the frame that has begun is received: what has come and what the next
    /// read is given. `None`: it is small, and needs no reservation.
    #[must_use]
    pub fn to_reserve(&self, bytes_max: usize) -> Option<usize> {
        let size = self.announced(bytes_max).ok()??;
        let reserved = size.min(self.buffer.len() + self.trusted());
        (size > ROOM_MAX).then_some(reserved)
    }

    /// Room made at once for a large frame.
    fn trusted(&self) -> usize {
        TRUSTED_BYTES_FIRST.max(self.proven).max(self.buffer.len())
    }

    /// What has come of the frame that has begun, behind its length.
    #[must_use]
    pub fn begun(&self) -> &[u8] {
        self.buffer.get(4..).unwrap_or_default()
    }

    /// Bytes that belong to no whole frame yet.
    #[must_use]
    pub fn received_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Makes room to receive into: see [`FrameBuffer::buffer`].
    ///
    /// An honest frame of 100 MiB from a stranger gets 64 KiB, 128 KiB, 256 KiB, ... as its bytes arrive, so that each byte
    /// is copied once on average; a liar gets 64 KiB.
    pub fn make_room(&mut self, bytes_max: usize) {
        let missing = match self.announced(bytes_max) {
            Ok(Some(size)) => (4 + size).saturating_sub(self.buffer.len()),
            _ => 0,
        };
        let trusted = missing.min(self.trusted());
        let wanted = trusted.max(self.room);
        if self.buffer.is_empty() && self.buffer.capacity() > 2 * wanted.max(self.proven) {
            // What a frame larger than usual has left behind.
            self.buffer = BytesMut::new();
        }
        // A few bytes at a block's end are not worth a system call. A stranger's large frame first fills what there is; where
        // the peer has proven that it sends all of it, it is better moved now, while it is short.
        let enough = if missing <= self.proven {
            missing.max(self.room / 4)
        } else {
            self.room / 4
        };
        if self.buffer.capacity() - self.buffer.len() < enough {
            self.buffer.reserve(wanted);
        }
    }

    /// The buffer itself, for the receiver to append to.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The last read brought this many bytes into a room of `room`.
    pub fn received(&mut self, bytes: usize, room: usize) {
        if bytes == room {
            self.room = (self.room * ROOM_GROWTH).min(ROOM_MAX);
            self.small_reads = 0;
        } else if bytes < self.room / ROOM_GROWTH && self.room > ROOM_FIRST {
            self.small_reads += 1;
            if self.small_reads == SMALL_READS {
                self.room = (self.room / ROOM_GROWTH).max(ROOM_FIRST);
                self.small_reads = 0;
            }
        } else {
            self.small_reads = 0;
        }
    }

    /// Nothing has come for a while: keeps little, if nothing has begun to arrive.
    pub fn release(&mut self) {
        if self.buffer.is_empty() && self.holds_much() {
            *self = Self {
                buffer: BytesMut::with_capacity(ROOM_IDLE),
                room: ROOM_IDLE,
                small_reads: 0,
                proven: 0,
            };
        }
    }

    /// Whether there is something to release.
    #[must_use]
    pub fn holds_much(&self) -> bool {
        self.buffer.capacity() > ROOM_IDLE
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
        frames
            .iter()
            .flat_map(|frame| [&(frame.len() as i32).to_be_bytes()[..], frame].concat())
            .collect()
    }

    fn check(bytes: &[u8], expected: FrameError) {
        let mut frames = FrameBuffer::default();
        frames.buffer().extend_from_slice(bytes);
        assert_eq!(frames.next_frame(MAX), Err(expected));
    }

    /// One read of at most `bytes.len()` bytes; gives back what did not fit.
    fn read<'a>(frames: &mut FrameBuffer, bytes: &'a [u8]) -> &'a [u8] {
        frames.make_room(MAX);
        let room = frames.buffer().capacity() - frames.buffer().len();
        assert!(room > 0);
        let (part, rest) = bytes.split_at(bytes.len().min(room));
        frames.buffer().extend_from_slice(part);
        frames.received(part.len(), room);
        rest
    }

    #[test]
    fn what_is_no_request_is_named() {
        check(&[0xFF; 4], FrameError::TooSmall(-1));
        check(&[0, 0, 0, 7], FrameError::TooSmall(7));
        check(
            b"GET / HTTP/1.1",
            FrameError::TooLarge {
                size: 0x4745_5420,
                looks_like: Some("HTTP"),
            },
        );
        check(
            &[0x16, 3, 1, 0],
            FrameError::TooLarge {
                size: 0x1603_0100,
                looks_like: Some("TLS"),
            },
        );
        check(
            &[0x7F; 4],
            FrameError::TooLarge {
                size: 0x7F7F_7F7F,
                looks_like: None,
            },
        );
    }

    #[test]
    fn a_claim_of_100_mib_gets_no_such_room() {
        let mut frames = FrameBuffer::default();
        read(
            &mut frames,
            &[&(MAX as i32).to_be_bytes()[..], &[1]].concat(),
        );
        assert_eq!(frames.next_frame(MAX), Ok(None));
        let reserved = frames.to_reserve(MAX).expect("a large frame");
        assert!(reserved <= TRUSTED_BYTES_FIRST + 5);
        frames.make_room(MAX);
        assert!(frames.buffer().capacity() <= 2 * TRUSTED_BYTES_FIRST);
    }

    #[test]
    fn an_honest_large_frame_is_moved_a_few_times_only() {
        const SIZE: usize = 24 << 20;
        let bytes = stream(&[vec![7; SIZE]]);
        let mut frames = FrameBuffer::default();
        let (mut rest, mut moves) = (&bytes[..], 0);
        loop {
            let (at, received) = (frames.buffer().as_ptr(), bytes.len() - rest.len());
            let part = &rest[..rest.len().min(16 << 10)];
            rest = &rest[part.len() - read(&mut frames, part).len()..];
            moves += usize::from(at != frames.buffer().as_ptr());
            assert!(
                frames.buffer().capacity() <= 2 * received + 2 * ROOM_MAX,
                "{received} bytes do not ask for that much"
            );
            if let Some(frame) = frames.next_frame(MAX).expect("a good frame") {
                assert_eq!(frame.len(), SIZE);
                break;
            }
        }
        assert!(
            moves <= 12,
            "24 MiB are 2^9 times 64 KiB, not {moves} moves"
        );
    }

    #[test]
    fn a_peer_that_sends_large_frames_has_them_received_in_place() {
        const SIZE: usize = 300 << 10;
        let bytes = stream(&[vec![7; SIZE]]);
        let mut frames = FrameBuffer::default();
        let mut moves = 0;
        for _ in 0..4 {
            let mut rest = &bytes[..];
            moves = 0;
            while !rest.is_empty() {
                let at = frames.buffer().as_ptr();
                rest = read(&mut frames, rest);
                moves += usize::from(at != frames.buffer().as_ptr());
            }
            assert!(frames.next_frame(MAX).expect("a good frame").is_some());
        }
        assert!(moves <= 2, "room for all of it is made once: {moves}");
    }

    #[test]
    fn an_idle_connection_holds_little() {
        let mut frames = FrameBuffer::default();
        let bytes = stream(&vec![vec![7; 100]; 10_000]);
        let mut rest = &bytes[..];
        let (mut reads, mut whole) = (0, 0);
        while !rest.is_empty() {
            rest = read(&mut frames, rest);
            reads += 1;
            while frames.next_frame(MAX).expect("good frames").is_some() {
                whole += 1;
            }
        }
        assert_eq!(whole, 10_000);
        assert!(reads < 20, "many frames a read: {reads} reads");
        assert!(frames.holds_much());
        frames.release();
        assert!(!frames.holds_much() && frames.buffer().capacity() > 0);
    }

    #[test]
    fn a_frame_that_has_begun_is_not_released() {
        let mut frames = FrameBuffer::default();
        read(&mut frames, &stream(&[vec![7; 100]])[..50]);
        frames.release();
        read(&mut frames, &stream(&[vec![7; 100]])[50..]);
        assert_eq!(
            frames.next_frame(MAX).expect("good").expect("whole"),
            [7; 100][..]
        );
    }

    proptest! {
        #[test]
        fn any_way_to_cut_the_stream_gives_the_same_frames(
            frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 8..9000), 0..20),
            cuts in proptest::collection::vec((1usize..9000, any::<bool>()), 1..50),
        ) {
            let bytes = stream(&frames);
            let mut buffer = FrameBuffer::default();
            let mut received = Vec::new();
            let mut rest = &bytes[..];
            for (cut, release) in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, behind) = rest.split_at((*cut).min(rest.len()));
                let unread = read(&mut buffer, part);
                rest = &rest[rest.len() - behind.len() - unread.len()..];
                while let Some(frame) = buffer.next_frame(MAX).expect("good frames") {
                    received.push(frame);
                }
                if *release {
                    buffer.release();
                }
            }
            prop_assert_eq!(received, frames);
            prop_assert!(!buffer.is_partial());
        }
    }
}
