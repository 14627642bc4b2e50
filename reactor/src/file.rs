//! Files: opened and closed through the ring, and held open by it.
//!
//! A descriptor never gets lost, whoever goes away in the meantime.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

use io_uring::{opcode, types};

use crate::operation::{Abandoned, Memory, Operation};
use crate::{CURRENT, Reactor};

/// Opens a file with the flags and the mode of open(2).
///
/// # Errors
/// The kernel's.
pub async fn open(path: CString, flags: i32, mode: libc::mode_t) -> io::Result<OwnedFd> {
    let entry = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr())
        .flags(flags)
        .mode(mode)
        .build();
    let memory = Memory::Paths([path, CString::default()]);
    let opening = Operation::begin(entry, memory, Abandoned::IsClosed).soon();
    let (descriptor, _) = opening.wait().await?;
    let descriptor = RawFd::try_from(descriptor).expect("descriptors are small");
    // SAFETY: it was just opened for us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Closes a file without waiting for it.
pub fn close(file: OwnedFd) {
    // A task that outlived its executor's main future closes the ordinary way.
    if CURRENT.with_borrow(Option::is_some) {
        let entry = opcode::Close::new(types::Fd(file.into_raw_fd())).build();
        drop(Operation::begin(entry, Memory::None, Abandoned::GoesOn));
    }
}

/// Keeps a file open for as long as the kernel works for this core, also when the process was killed. Several are kept, each
/// call one more.
///
/// # Errors
/// Those of `io_uring_register`; after eight.
pub fn hold(descriptor: RawFd) -> io::Result<()> {
    Reactor::current().ring.hold(descriptor)
}
