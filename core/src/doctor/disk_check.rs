//! Checks the disk below a directory: its file system, direct I/O, write cache, free space, and what a flushed write costs.
//!
//! Writes one temporary file and removes it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rinka_storage::disk::{BLOCK, aligned_buffer};

use super::{Report, Verdict, size};
use crate::machine;

/// Flushed writes that are measured: enough for a 99th percentile, over in seconds on a slow disk.
const WRITES: usize = 300;

/// No longer than this, however slow the disk.
const MEASURE_WITHIN: Duration = Duration::from_secs(10);

/// Every produce waits for a flush: above this, a single client notices.
const SLOW_P99: Duration = Duration::from_millis(20);

pub(super) fn check(directory: &Path, report: &mut Report) {
    let shown = directory.display().to_string();
    let mount = mount_of(directory);
    if let Some(mount) = &mount {
        file_system(mount, report);
        write_cache(mount, report);
    }
    match machine::space(directory) {
        Ok((free, total)) => free_space(free, total, report),
        Err(error) => report.add(Verdict::Problem, "free space", format!("{shown}: {error}")),
    }
    let path = directory.join(format!(".rinka-doctor-{}.tmp", std::process::id()));
    let measured = measure(&path);
    let _ = fs::remove_file(&path);
    match measured {
        Ok(times) => flush_cost(times, report),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => report.advise(
            Verdict::Problem,
            "direct I/O",
            format!("the file system of {shown} refuses O_DIRECT"),
            "put the data on ext4 or XFS on a local disk",
        ),
        Err(error) => report.advise(
            Verdict::Problem,
            "flushed writes",
            format!("cannot write to {shown}: {error}"),
            "run as the broker's user, and name a directory it may write to with --disk",
        ),
    }
}

struct Mount {
    device: String,
    kind: String,
    at: PathBuf,
}

/// The mount with the longest path above the directory, from /proc.
fn mount_of(directory: &Path) -> Option<Mount> {
    let directory = directory.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let parsed = mounts.lines().filter_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let fields: Vec<&str> = before.split(' ').collect();
        Some(Mount {
            device: (*fields.get(2)?).to_owned(),
            at: PathBuf::from(fields.get(4)?),
            kind: after.split(' ').next()?.to_owned(),
        })
    });
    let above = parsed.filter(|mount| directory.starts_with(&mount.at));
    // Of two at the same place the later one is on top, and `max_by_key` takes the last.
    above.max_by_key(|mount| mount.at.components().count())
}

fn file_system(mount: &Mount, report: &mut Report) {
    let found = format!("{} at {}", mount.kind, mount.at.display());
    let advice =
        "flushes and direct I/O are known to do what they say on ext4 and XFS: put the data there";
    match &*mount.kind {
        "ext4" | "xfs" => report.add(Verdict::Ok, "file system", found),
        "tmpfs" | "ramfs" => {
            let advice = "nothing there survives a restart of the machine: put the data on a disk";
            report.advise(Verdict::Problem, "file system", found, advice);
        }
        _ => report.advise(Verdict::Warning, "file system", found, advice),
    }
}

fn write_cache(mount: &Mount, report: &mut Report) {
    let device = Path::new("/sys/dev/block").join(&mount.device);
    // A partition has its queue at the disk it is part of.
    let queues = [device.join("queue"), device.join("../queue")];
    let cache = queues
        .iter()
        .find_map(|queue| fs::read_to_string(queue.join("write_cache")).ok());
    match cache.as_deref().map(str::trim) {
        Some("write back") => report.add(
            Verdict::Ok,
            "write cache",
            "write back: every acknowledged write costs a flush, measured below",
        ),
        Some(other) => {
            let found =
                format!("{other}: the device says that what is written is safe without a flush");
            report.add(Verdict::Ok, "write cache", found);
        }
        None => report.add(
            Verdict::Ok,
            "write cache",
            "unknown: no block device tells of one",
        ),
    }
}

fn free_space(free: u64, total: u64, report: &mut Report) {
    let found = format!("{} of {} free", size(free), size(total));
    // The journals of a few shards, and no room for data.
    let verdict = match free {
        ..1_073_741_824 => Verdict::Problem,
        _ if free < total / 10 => Verdict::Warning,
        _ => return report.add(Verdict::Ok, "free space", found),
    };
    let advice = "make room, or put the data on another disk: a full disk refuses every produce";
    report.advise(verdict, "free space", found, advice);
}

/// The times of flushed writes of 4 KiB, one after another over a file that is there already, as the journal's is.
fn measure(path: &Path) -> io::Result<Vec<Duration>> {
    let zeros = vec![0; BLOCK * WRITES];
    fs::write(path, &zeros)?;
    File::open(path)?.sync_all()?;
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DIRECT | libc::O_DSYNC)
        .open(path)?;
    let mut block = aligned_buffer(BLOCK);
    block.resize(BLOCK, 0x5A);
    let started = Instant::now();
    let mut times = Vec::with_capacity(WRITES);
    for number in 0..WRITES {
        let before = Instant::now();
        file.write_all_at(&block, (number * BLOCK) as u64)?;
        times.push(before.elapsed());
        if started.elapsed() > MEASURE_WITHIN {
            break;
        }
    }
    Ok(times)
}

fn flush_cost(mut times: Vec<Duration>, report: &mut Report) {
    times.sort_unstable();
    let percentile = |percent: usize| times[(times.len() - 1) * percent / 100];
    let (median, slow) = (percentile(50), percentile(99));
    let found = format!(
        "4 KiB with O_DIRECT and O_DSYNC: p50 {median:.1?}, p99 {slow:.1?} over {} writes",
        times.len()
    );
    if slow > SLOW_P99 {
        let advice = "an ack waits for such a write: use a disk with power-loss protection, or rinka.ack=written where it may be lost";
        report.advise(Verdict::Warning, "flushed writes", found, advice);
    } else {
        report.add(Verdict::Ok, "flushed writes", found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(check: impl FnOnce(&mut Report)) -> Verdict {
        let mut report = Report::default();
        check(&mut report);
        report.findings[0].verdict
    }

    #[test]
    fn slow_flushes_and_little_room_are_told() {
        let times = |millis| vec![Duration::from_millis(millis); 50];
        assert_eq!(verdict(|report| flush_cost(times(1), report)), Verdict::Ok);
        assert_eq!(
            verdict(|report| flush_cost(times(21), report)),
            Verdict::Warning
        );
        let gib = 1u64 << 30;
        for (free, expected) in [
            (gib / 2, Verdict::Problem),
            (5 * gib, Verdict::Warning),
            (50 * gib, Verdict::Ok),
        ] {
            assert_eq!(
                verdict(|report| free_space(free, 100 * gib, report)),
                expected
            );
        }
    }

    #[test]
    fn memory_is_no_disk() {
        let mount = |kind: &str| Mount {
            device: "0:1".into(),
            kind: kind.into(),
            at: "/".into(),
        };
        for (kind, expected) in [
            ("ext4", Verdict::Ok),
            ("nfs4", Verdict::Warning),
            ("tmpfs", Verdict::Problem),
        ] {
            assert_eq!(
                verdict(|report| file_system(&mount(kind), report)),
                expected
            );
        }
    }
}
