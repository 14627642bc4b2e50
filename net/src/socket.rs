//! A connected socket: receive into memory that was never written, send many slices at once, end it from outside.
//!
//! Never waits in the kernel: what cannot be done at once waits in the core's ring.
#![allow(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use rinka_reactor::{Direction, Readiness};

/// The kernel takes no more slices in one call.
const SLICES_MAX: usize = 1024;

/// A connected socket that one task reads and another one writes. Borrowed inside a poll only, never across an await.
pub struct Socket {
    // Before the stream: they end first.
    readable: RefCell<Readiness>,
    writable: RefCell<Readiness>,
    stream: TcpStream,
    /// There may be more to read than the last call had room for.
    may_have_more: Cell<bool>,
}

impl Socket {
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        let descriptor = stream.as_raw_fd();
        Self {
            readable: RefCell::new(Readiness::new(descriptor, Direction::Read)),
            writable: RefCell::new(Readiness::new(descriptor, Direction::Write)),
            stream,
            may_have_more: Cell::new(false),
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
        assert!(
            buffer.capacity() > buffer.len(),
            "receiving nothing looks like the end of the stream"
        );
        loop {
            if !self.may_have_more.get() {
                match self.readable.borrow_mut().poll(context) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            match self.receive_now(buffer) {
                // Somebody else's wake, or what was announced was not for us.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.may_have_more.set(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn receive_now(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        let room = buffer.spare_capacity_mut();
        // SAFETY: recv(2) writes at most `room.len()` bytes there and reads none; the descriptor is open.
        let received = unsafe {
            libc::recv(
                self.stream.as_raw_fd(),
                room.as_mut_ptr().cast(),
                room.len(),
                libc::MSG_DONTWAIT,
            )
        };
        let received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        assert!(
            received <= room.len(),
            "the kernel writes no more than it is given room for"
        );
        // With room left there was no more, and what comes next is announced.
        self.may_have_more.set(received == room.len());
        // SAFETY: the kernel wrote `received` bytes behind the buffer's end, within its capacity.
        unsafe { buffer.set_len(buffer.len() + received) };
        Ok(received)
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
                    poll_fn(|context| self.writable.borrow_mut().poll(context)).await?;
                    continue;
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
                self.stream.as_raw_fd(),
                &raw const message,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Nothing more will be sent: the peer finds the end of the stream behind what was.
    pub fn stop_sending(&self) {
        self.shut_down(Shutdown::Write);
    }

    /// Ends the connection in both directions; who waits for it learns it.
    pub fn close(&self) {
        self.shut_down(Shutdown::Both);
    }

    fn shut_down(&self, how: Shutdown) {
        // Whoever it was has ended it already, or it is as good as ended.
        let _ = self.stream.shutdown(how);
    }
}
