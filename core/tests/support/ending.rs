//! Waiting for the end of a child process, up to a limit. Never ends one.

use std::process::{Child, ExitStatus};
use std::sync::mpsc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// How it ended; `None`: it goes on.
pub(crate) fn wait_within(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    let id = WaitId::Pid(Pid::from_child(child));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        // It stays a zombie, whose number nobody else is given, until it is waited for below.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        while matches!(waitid(id.clone(), options), Err(Errno::INTR)) {}
        let _ = tell.send(());
    });
    told.recv_timeout(within).ok()?;
    Some(child.wait().expect("a child of ours"))
}
