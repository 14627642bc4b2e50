//! The system calls that the executor's sockets do not offer: receive into memory that was never written, send many slices
//! at once, end a connection from outside.
//!
//! Waits through the executor, never in the kernel.
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use futures_lite::{AsyncRead, AsyncWrite};
use glommio::net::TcpStream;

/// The kernel takes no more slices in one call.
const SLICES_MAX: usize = 1024;

/// A connected socket that one task reads and another one writes. Borrowed inside a poll only, never across an await.
#[derive(Debug)]
pub struct Socket {
    stream: RefCell<TcpStream>,
    descriptor: RawFd,
}

impl Socket {
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        let descriptor = stream.as_raw_fd();
        Self {
            stream: RefCell::new(stream),
            descriptor,
        }
    }

    /// Appends what has arrived to the buffer's free room, of which there must be some; 0 at the end of the stream.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn poll_receive(
        &self,
        context: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let room = buffer.spare_capacity_mut();
        assert!(
            !room.is_empty(),
            "receiving nothing looks like the end of the stream"
        );
        // SAFETY: the stream hands the slice to recv(2), which writes to it and never reads it; no other code sees it.
        let slice =
            unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<u8>(), room.len()) };
        let room = slice.len();
        let mut stream = self.stream.borrow_mut();
        match Pin::new(&mut *stream).poll_read(context, slice) {
            Poll::Ready(Ok(count)) => {
                assert!(
                    count <= room,
                    "the kernel writes no more than it is given room for"
                );
                // SAFETY: the kernel wrote `count` bytes behind the buffer's end, within its capacity.
                unsafe { buffer.set_len(buffer.len() + count) };
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Sends all parts, as many as possible with one call, and lets go of each as it is gone. `progress` is told how many
    /// bytes each call took.
    ///
    /// # Errors
    /// Those of the socket.
    pub async fn send(
        &self,
        parts: &mut Vec<Bytes>,
        mut progress: impl FnMut(usize),
    ) -> io::Result<()> {
        // To send nothing is no progress, and would be taken for a socket that takes nothing.
        parts.retain(|part| !part.is_empty());
        let mut first = 0;
        while first < parts.len() {
            let left = &mut parts[first..];
            let sent = match self.send_now(left) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // The executor's own write tries again and otherwise waits until the socket takes more.
                    poll_fn(|context| {
                        let mut stream = self.stream.borrow_mut();
                        Pin::new(&mut *stream).poll_write(context, &left[0])
                    })
                    .await?
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            progress(sent);
            let mut rest = sent;
            for part in left {
                if rest < part.len() {
                    part.advance(rest);
                    break;
                }
                rest -= part.len();
                // A slow peer takes minutes for 50 MiB: what it has taken is not held for it.
                *part = Bytes::new();
                first += 1;
            }
        }
        parts.clear();
        Ok(())
    }

    fn send_now(&self, parts: &[Bytes]) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); 64];
        let many: Vec<IoSlice<'_>>;
        let slices = if parts.len() <= slices.len() {
            for (slice, part) in slices.iter_mut().zip(parts) {
                *slice = IoSlice::new(part);
            }
            &slices[..parts.len()]
        } else {
            many = parts
                .iter()
                .take(SLICES_MAX)
                .map(|part| IoSlice::new(part))
                .collect();
            &many[..]
        };
        // SAFETY: an all-zero msghdr is a valid empty one.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = slices.as_ptr().cast_mut().cast();
        message.msg_iovlen = slices.len() as _;
        // SAFETY: IoSlice has the layout of iovec; the slices and what they point to outlive the call, which only reads.
        let sent = unsafe {
            libc::sendmsg(
                self.descriptor,
                &raw const message,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Nothing more will be sent: the peer finds the end of the stream behind what was.
    pub fn stop_sending(&self) {
        self.shut_down(libc::SHUT_WR);
    }

    /// Ends the connection in both directions. Before a drop too: the executor closes late.
    pub fn close(&self) {
        self.shut_down(libc::SHUT_RDWR);
    }

    fn shut_down(&self, how: i32) {
        // SAFETY: no pointers; the descriptor is open as long as `self` owns the stream.
        unsafe { libc::shutdown(self.descriptor, how) };
    }
}
