//! What the broker needs of the machine, checked before anything is started: io_uring, locked memory, cores.
//!
//! Only looks. Every error says what to change.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fmt;
use std::io;

use crate::metrics::ProcessReport;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Locked memory the executor insists on for each process.
const MEMLOCK_MIN: u64 = 512 << 10;

/// Descriptors of the process as a whole: the data directory's lock, signals, the admin port and who asks there.
const DESCRIPTORS_OF_PROCESS: u64 = 64;

/// Descriptors of a shard: its bounded cache of segment files, files that wait to be synced, its rings, its journal, its
/// listeners.
const DESCRIPTORS_OF_SHARD: u64 = 256 + UNSYNCED_FILES.0 + 64;

/// Files of a shard that may wait to be synced, at least and at most. With more of them at a time each sync costs less.
const UNSYNCED_FILES: (u64, u64) = (128, 4096);

/// A broker for fewer clients is a mistake.
const CONNECTIONS_MIN: u64 = 32;

#[derive(Debug)]
pub enum MachineError {
    /// Too few files may be open.
    Descriptors {
        limit: u64,
        needed: u64,
    },
    /// `io_uring_setup` is refused.
    IoUring(io::Error),
    Memlock {
        soft: u64,
        hard: u64,
    },
}

impl fmt::Display for MachineError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IoUring(error) => write!(
                formatter,
                "io_uring is not available ({error}): Rinka needs Linux 6.1 or newer, the sysctl kernel.io_uring_disabled=0, \
                 and a container profile that allows io_uring_setup"
            ),
            Self::Descriptors { limit, needed } => write!(
                formatter,
                "the limit of open files is {limit}, at least {needed} are needed for this many shards: raise it with \
                 `ulimit -n 100000` or LimitNOFILE=100000 in the service file, or run fewer shards with rinka.shards"
            ),
            Self::Memlock { soft, hard } => write!(
                formatter,
                "the limit of locked memory is {soft} bytes (hard limit {hard}), at least {MEMLOCK_MIN} are needed: \
                 raise it with `ulimit -l 8192` or LimitMEMLOCK=8M in the service file"
            ),
        }
    }
}

/// Checks the machine.
///
/// # Errors
/// What is missing.
pub fn check() -> Result<(), MachineError> {
    check_memlock()?;
    check_io_uring()
}

/// Whether the kernel gives this process an io_uring.
pub(crate) fn check_io_uring() -> Result<(), MachineError> {
    io_uring::IoUring::new(2).map(|_| ()).or_else(|error| {
        // Right after a restart the kernel may not have given back the locked memory of the process before.
        let retry = error.raw_os_error() == Some(libc::ENOMEM);
        if !retry {
            return Err(MachineError::IoUring(error));
        }
        std::thread::sleep(std::time::Duration::from_secs(1));
        io_uring::IoUring::new(2)
            .map(|_| ())
            .map_err(MachineError::IoUring)
    })
}

/// Whether enough memory may be locked; raises the soft limit where the hard one allows it.
pub(crate) fn check_memlock() -> Result<(), MachineError> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointer is to a value of the right type that outlives the call.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) } == 0;
    if !known || limit.rlim_cur >= MEMLOCK_MIN {
        return Ok(());
    }
    let raised = libc::rlimit {
        rlim_cur: limit.rlim_max,
        rlim_max: limit.rlim_max,
    };
    // SAFETY: as above; the soft limit may be raised up to the hard one by anyone.
    let done = limit.rlim_max >= MEMLOCK_MIN
        && unsafe { libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const raised) } == 0;
    if done {
        Ok(())
    } else {
        Err(MachineError::Memlock {
            soft: limit.rlim_cur,
            hard: limit.rlim_max,
        })
    }
}

/// How many files and sockets the process may have open, once the soft limit is raised as far as the hard one allows.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the pointers are to values of the right type that outlive the calls.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) != 0 {
            return u64::MAX;
        }
        let raised = libc::rlimit {
            rlim_cur: limit.rlim_max,
            rlim_max: limit.rlim_max,
        };
        if libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) == 0 {
            limit = raised;
        }
    }
    limit.rlim_cur
}

/// How many connections, and files of `shards` shards, the limit of descriptors leaves room for.
///
/// # Errors
/// When it is too small for a broker at all.
pub(crate) fn room_within(descriptors: u64, shards: usize) -> Result<Room, MachineError> {
    let needed = DESCRIPTORS_OF_PROCESS + DESCRIPTORS_OF_SHARD * shards as u64;
    if descriptors < needed + CONNECTIONS_MIN {
        return Err(MachineError::Descriptors {
            limit: descriptors,
            needed: needed + CONNECTIONS_MIN,
        });
    }
    let left = descriptors - needed;
    let more = (left / 4 / shards.max(1) as u64).min(UNSYNCED_FILES.1 - UNSYNCED_FILES.0);
    let connections = left - more * shards as u64;
    Ok(Room {
        connections: usize::try_from(connections).unwrap_or(usize::MAX),
        unsynced_files: usize::try_from(UNSYNCED_FILES.0 + more).expect("a few thousand"),
    })
}

/// What the limit of descriptors leaves room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) connections: usize,
    /// Of each shard: segment files that may stay open until they are synced.
    pub(crate) unsynced_files: usize,
}

/// Bytes free for this process in the file system that holds `path`, and all its bytes.
pub(crate) fn space(path: &Path) -> io::Result<(u64, u64)> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: an all-zero statvfs is a valid value, the path ends with a zero, and both outlive the call.
    let (found, result) = unsafe {
        let mut found: libc::statvfs = std::mem::zeroed();
        let result = libc::statvfs(path.as_ptr(), &raw mut found);
        (found, result)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok((
        found.f_bavail * found.f_frsize,
        found.f_blocks * found.f_frsize,
    ))
}

/// The cores this process may run on: its affinity mask, which a cgroup's cpuset has narrowed already.
#[must_use]
pub fn usable_cpus() -> Vec<usize> {
    // SAFETY: an all-zero cpu_set_t is a valid empty set, and the kernel fills in at most its size.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            return vec![0];
        }
        set
    };
    let cpus = 0..usize::try_from(libc::CPU_SETSIZE).expect("a small constant");
    // SAFETY: each number is below CPU_SETSIZE.
    let usable: Vec<usize> = cpus
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect();
    if usable.is_empty() { vec![0] } else { usable }
}

/// What the process uses now, filled into a report. What cannot be read stays as it is.
pub(crate) fn usage(mut report: ProcessReport) -> ProcessReport {
    // Fields of /proc/self/stat behind the name, which may hold spaces: utime and stime are the 12th and 13th, in ticks of
    // 10 ms as user space is told them on every Linux.
    if let Ok(stat) = std::fs::read_to_string("/proc/self/stat")
        && let Some((_, fields)) = stat.rsplit_once(')')
    {
        let fields = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        report.cpu = std::time::Duration::from_millis(ticks * 10);
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes =
            resident.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
        report.resident_bytes = kilobytes.unwrap_or(0) << 10;
    }
    if let Ok(descriptors) = std::fs::read_dir("/proc/self/fd") {
        report.open_descriptors = descriptors.count() as u64;
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_will_do() {
        check().expect("tests run where the broker can");
        assert!(!usable_cpus().is_empty());
    }
}
