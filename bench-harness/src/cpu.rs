//! What the broker's process has used: CPU time and memory, from `/proc`.
//!
//! Only reads.

use std::time::Duration;

/// CPU time is counted in these by every Linux of today (`getconf CLK_TCK`).
const TICKS_PER_SECOND: u64 = 100;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) cpu: Duration,
    /// The largest resident memory since the process began, in KiB.
    pub(crate) peak_kib: u64,
}

/// As [`usage`]; a process that is not there fails the run before it begins.
pub(crate) fn before(pid: Option<u32>) -> Result<Option<Usage>, String> {
    let Some(pid) = pid else { return Ok(None) };
    match usage(pid) {
        Some(usage) => Ok(Some(usage)),
        None => Err(format!("--pid {pid}: no such process")),
    }
}

/// What the process has used until now; `None` when there is no such process.
pub(crate) fn usage(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage {
        cpu: cpu_time(&stat)?,
        peak_kib: peak_kib(&status)?,
    })
}

fn cpu_time(stat: &str) -> Option<Duration> {
    // The name in parentheses may hold anything: count the fields from behind it. User and system time are 14 and 15.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_from_behind_the_name() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_time(stat), Some(Duration::from_secs(2)));
        assert_eq!(
            peak_kib("VmPeak:\t 9 kB\nVmHWM:\t    7716 kB\n"),
            Some(7716)
        );
        assert!(usage(std::process::id()).is_some());
    }
}
