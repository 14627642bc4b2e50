//! A socket that never blocks: bytes that wait to be sent, and bytes of answers that are not whole yet.
//!
//! Knows frames by their length and nothing of what is in them.

use std::io::{self, ErrorKind, Read as _, Write as _};

use bytes::Bytes;
use mio::net::TcpStream;

/// A read takes as much at once.
const READ_BYTES: usize = 256 << 10;

/// The largest answer that is believed.
const FRAME_BYTES_MAX: usize = 256 << 20;

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    output: Vec<u8>,
    /// How much of it is sent.
    output_sent: usize,
    /// Whether the socket may take more.
    writable: bool,
    input: Vec<u8>,
    /// Bytes of `input` that came and are not taken yet.
    input_from: usize,
    input_to: usize,
    correlation: i32,
}

impl Connection {
    pub(super) fn open(address: &str) -> Result<Self, String> {
        let failed = |error: io::Error| format!("cannot connect to {address}: {error}");
        let stream = std::net::TcpStream::connect(address).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_nonblocking(true).map_err(failed)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            output: Vec::new(),
            output_sent: 0,
            writable: true,
            input: vec![0; READ_BYTES],
            input_from: 0,
            input_to: 0,
            correlation: 0,
        })
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    pub(super) fn next_correlation(&mut self) -> i32 {
        self.correlation = self.correlation.wrapping_add(1);
        self.correlation
    }

    pub(super) fn can_write(&mut self) {
        self.writable = true;
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    pub(super) fn pending(&self) -> usize {
        self.output.len() - self.output_sent
    }

    /// Whether everything is sent.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        while self.writable && self.pending() > 0 {
            match self.stream.write(&self.output[self.output_sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.output_sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.pending() > 0 {
            return Ok(false);
        }
        self.output.clear();
        self.output_sent = 0;
        Ok(true)
    }

    /// Takes what the socket has; whether there may be more.
    pub(super) fn fill(&mut self) -> io::Result<bool> {
        if self.input_from == self.input_to {
            (self.input_from, self.input_to) = (0, 0);
        } else if self.input.len() - self.input_to < READ_BYTES / 2 {
            self.input.copy_within(self.input_from..self.input_to, 0);
            self.input_to -= self.input_from;
            self.input_from = 0;
        }
        let wanted = self.wanted().max(self.input_to + READ_BYTES / 2);
        if self.input.len() < wanted {
            self.input.resize(wanted, 0);
        }
        loop {
            let space = self.input.len() - self.input_to;
            match self.stream.read(&mut self.input[self.input_to..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.input_to += read;
                    return Ok(read == space);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where the frame that has begun ends in `input`; a length that is none is [`Connection::frame`]'s to refuse.
    fn wanted(&self) -> usize {
        let length = self.length().unwrap_or(0).min(FRAME_BYTES_MAX);
        self.input_from + 4 + length
    }

    fn length(&self) -> Option<usize> {
        let bytes = &self.input[self.input_from..self.input_to];
        let length: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
        Some(u32::from_be_bytes(length) as usize)
    }

    /// The next whole answer, without its length.
    pub(super) fn frame(&mut self) -> Result<Option<Bytes>, String> {
        let Some(length) = self.length() else {
            return Ok(None);
        };
        if length > FRAME_BYTES_MAX {
            return Err(format!("an answer of {length} bytes is none"));
        }
        let from = self.input_from + 4;
        if self.input_to < from + length {
            return Ok(None);
        }
        self.input_from = from + length;
        Ok(Some(Bytes::copy_from_slice(
            &self.input[from..from + length],
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn frames_come_whole_however_they_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let mut connection = Connection::open(&address).expect("someone listens");
        let (mut broker, _) = listener.accept().expect("it connected");
        let sizes = [1, 5, READ_BYTES - 7, 3 * READ_BYTES + 1, 0, 2];
        let writer = std::thread::spawn(move || {
            for (number, size) in sizes.iter().enumerate() {
                let mut frame = (*size as u32).to_be_bytes().to_vec();
                frame.resize(4 + size, number as u8);
                for part in frame.chunks(70_000) {
                    broker.write_all(part).expect("the other side reads");
                }
            }
            broker
        });
        let mut frames = Vec::new();
        while frames.len() < sizes.len() {
            connection.fill().expect("an open connection");
            while let Some(frame) = connection.frame().expect("frames") {
                frames.push(frame);
            }
        }
        for (number, (frame, size)) in frames.iter().zip(sizes).enumerate() {
            assert_eq!(frame.len(), size);
            assert!(frame.iter().all(|byte| *byte == number as u8));
        }
        drop(writer.join().expect("it only writes"));
        let ended = loop {
            match connection.fill() {
                Ok(_) => std::thread::yield_now(),
                Err(error) => break error,
            }
        };
        assert_eq!(ended.kind(), ErrorKind::UnexpectedEof);
    }
}
