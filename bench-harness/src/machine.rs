//! What `/proc` and `/sys` tell: of the machine, of a process, of a device, and of how quiet it is.
//!
//! Only reads; each text is parsed by a function of its own that touches no file.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::report::histogram;
use crate::result::{DeviceUse, Machine, Noise, ProcessUse};

/// CPU time is counted in these by every Linux of today (`getconf CLK_TCK`).
const TICKS_PER_SECOND: f64 = 100.0;
const SECTOR_BYTES: u64 = 512;

fn text(path: impl AsRef<Path>) -> Option<String> {
    std::fs::read_to_string(path).ok()
}

/// The value behind a name and a colon.
fn field<'text>(text: &'text str, name: &str) -> Option<&'text str> {
    let mut values = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = values.find(|(key, _)| key.trim() == name)?;
    Some(value.trim())
}

pub(crate) fn cpus_allowed(pid: u32) -> String {
    let status = text(format!("/proc/{pid}/status")).unwrap_or_default();
    field(&status, "Cpus_allowed_list")
        .unwrap_or_default()
        .to_owned()
}

/// With which it was started.
pub(crate) fn command(pid: u32) -> String {
    let words = text(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    words.trim_end_matches('\0').replace('\0', " ")
}

pub(crate) fn describe() -> Machine {
    let cpuinfo = text("/proc/cpuinfo").unwrap_or_default();
    let meminfo = text("/proc/meminfo").unwrap_or_default();
    let kib = field(&meminfo, "MemTotal").and_then(|value| value.split(' ').next()?.parse().ok());
    let commit = std::process::Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .output();
    let commit = commit.ok().filter(|output| output.status.success());
    Machine {
        kernel: text("/proc/sys/kernel/osrelease")
            .unwrap_or_default()
            .trim()
            .to_owned(),
        cpu: field(&cpuinfo, "model name").unwrap_or_default().to_owned(),
        cpus: cpuinfo
            .lines()
            .filter(|line| line.starts_with("processor"))
            .count() as u32,
        memory_bytes: kib.unwrap_or(0_u64) * 1024,
        commit: commit
            .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
            .unwrap_or_default(),
        ..Machine::default()
    }
}

/// For people, who read memory in these.
pub(crate) const MIB: f64 = 1024.0 * 1024.0;

/// What the process has used until now; `None` when there is no such process.
pub(crate) fn process(pid: u32) -> Option<ProcessUse> {
    let stat = text(format!("/proc/{pid}/stat"))?;
    let status = text(format!("/proc/{pid}/status"))?;
    let (user_seconds, system_seconds) = cpu_seconds(&stat)?;
    let mut used = ProcessUse {
        user_seconds,
        system_seconds,
        rss_peak_bytes: kibibytes(&status, "VmHWM")? * 1024,
        rss_bytes: kibibytes(&status, "VmRSS")? * 1024,
        ..ProcessUse::default()
    };
    // The process' own status counts its first thread only.
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))
        .ok()?
        .flatten()
    {
        let status = text(task.path().join("status")).unwrap_or_default();
        let (voluntary, involuntary) = switches(&status);
        used.switches_voluntary += voluntary;
        used.switches_involuntary += involuntary;
    }
    Some(used)
}

impl ProcessUse {
    pub(crate) fn since(&self, before: &Self) -> Self {
        let less = |after: u64, before: u64| after.saturating_sub(before);
        Self {
            user_seconds: self.user_seconds - before.user_seconds,
            system_seconds: self.system_seconds - before.system_seconds,
            rss_peak_bytes: self.rss_peak_bytes,
            rss_bytes: self.rss_bytes,
            // A thread that ended took its count with it.
            switches_voluntary: less(self.switches_voluntary, before.switches_voluntary),
            switches_involuntary: less(self.switches_involuntary, before.switches_involuntary),
        }
    }
}

/// User and system time.
fn cpu_seconds(stat: &str) -> Option<(f64, f64)> {
    // The name in parentheses may hold anything: count the fields from behind it. The two times are 14 and 15.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / TICKS_PER_SECOND);
    Some((seconds()?, seconds()?))
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    field(status, name)?.split_whitespace().next()?.parse().ok()
}

fn switches(status: &str) -> (u64, u64) {
    let count = |name| {
        field(status, name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(0)
    };
    (
        count("voluntary_ctxt_switches"),
        count("nonvoluntary_ctxt_switches"),
    )
}

/// A block device, as a folder below `/sys`.
#[derive(Clone, Debug)]
pub(crate) struct Device {
    folder: PathBuf,
}

/// Whether a count of flushes tells how durable an acknowledgement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlushCount {
    Proves,
    /// Nothing stays in the device's cache: a write that ended is durable.
    NotNeeded,
    /// Writes can force themselves through the cache, which no counter shows.
    Hidden,
}

impl Device {
    /// By its name in `/sys/block`.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let folder = Path::new("/sys/block").join(name);
        match folder.join("stat").exists() {
            true => Ok(Self { folder }),
            false => Err(format!("{} is no block device", folder.display())),
        }
    }

    /// The one that holds a file or directory; of a partition, the whole disk, which alone counts flushes.
    pub(crate) fn of(path: &Path) -> Result<Self, String> {
        let what = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let number = std::fs::metadata(path).map_err(|error| what(&error))?.dev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        let folder =
            std::fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).map_err(|_| {
                what(&format!(
                    "{major}:{minor} is no block device; --device names one"
                ))
            })?;
        let whole = match (folder.join("partition").exists(), folder.parent()) {
            (true, Some(parent)) => parent.to_path_buf(),
            _ => folder,
        };
        Ok(Self { folder: whole })
    }

    pub(crate) fn name(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    pub(crate) fn counts(&self) -> Option<DeviceUse> {
        device_counts(&text(self.folder.join("stat"))?)
    }

    pub(crate) fn flush_count(&self) -> FlushCount {
        let queue = |name: &str| text(self.folder.join("queue").join(name)).unwrap_or_default();
        flush_count(&queue("write_cache"), &queue("fua"))
    }
}

fn flush_count(write_cache: &str, forced_access: &str) -> FlushCount {
    match (write_cache.trim(), forced_access.trim()) {
        ("write through", _) => FlushCount::NotNeeded,
        (_, "1") => FlushCount::Hidden,
        _ => FlushCount::Proves,
    }
}

impl DeviceUse {
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            flushes: self.flushes - before.flushes,
            writes: self.writes - before.writes,
            bytes_written: self.bytes_written - before.bytes_written,
            bytes_read: self.bytes_read - before.bytes_read,
            flushes_needed: self.flushes_needed,
        }
    }
}

/// `Documentation/block/stat.rst`: reads, merges, sectors, ms; the same of writes; three of requests; four of discards; flushes.
fn device_counts(stat: &str) -> Option<DeviceUse> {
    let fields: Option<Vec<u64>> = stat
        .split_whitespace()
        .map(|field| field.parse().ok())
        .collect();
    let fields = fields?;
    Some(DeviceUse {
        bytes_read: fields.get(2)? * SECTOR_BYTES,
        writes: *fields.get(4)?,
        bytes_written: fields.get(6)? * SECTOR_BYTES,
        flushes: *fields.get(15)?,
        flushes_needed: 0,
    })
}

/// Watches how quiet the machine is, on a thread that sleeps a millisecond at a time.
#[derive(Debug)]
pub(crate) struct NoiseWatch {
    began: Option<Moment>,
    ended: Option<Moment>,
    state: Arc<WatchState>,
    thread: JoinHandle<Histogram<u64>>,
}

#[derive(Debug, Default)]
struct WatchState {
    counts: AtomicBool,
    ended: AtomicBool,
}

#[derive(Debug)]
struct Moment {
    at: Instant,
    /// Stolen and all time, in ticks.
    stolen: (u64, u64),
    /// Microseconds in which some task waited for CPU, I/O and memory.
    pressure: [Option<u64>; 3],
}

impl Moment {
    fn now() -> Self {
        let pressure = |of: &str| pressure_micros(&text(format!("/proc/pressure/{of}"))?);
        Self {
            at: Instant::now(),
            stolen: stolen(&text("/proc/stat").unwrap_or_default()).unwrap_or_default(),
            pressure: ["cpu", "io", "memory"].map(pressure),
        }
    }
}

/// The calling thread runs as soon as it can, whoever else wants to.
fn go_first() {
    use thread_priority::*;
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let priority = ThreadPriority::from_posix(ScheduleParams { sched_priority: 1 });
    let _ = set_thread_priority_and_policy(thread_native_id(), priority, policy);
}

impl NoiseWatch {
    /// Before the calling thread binds itself to a core: the watcher may run on any.
    pub(crate) fn start() -> Self {
        let state = Arc::new(WatchState::default());
        let of_thread = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            // Where broker and tool keep every core busy, a sleeper of their rank waits for its turn: that would be the load's own
            // doing and no noise. Who may not have this rank (it takes root) is told of noise in such runs.
            go_first();
            let mut lateness = histogram();
            while !of_thread.ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                std::thread::sleep(Duration::from_millis(1));
                let late = began.elapsed().saturating_sub(Duration::from_millis(1));
                if of_thread.counts.load(Ordering::Relaxed) {
                    lateness.saturating_record(late.as_micros() as u64);
                }
            }
            lateness
        });
        Self {
            began: None,
            ended: None,
            state,
            thread,
        }
    }

    /// The measured time begins.
    pub(crate) fn begin(&mut self) {
        self.began = Some(Moment::now());
        self.state.counts.store(true, Ordering::Relaxed);
    }

    /// The measured time ends.
    pub(crate) fn end(&mut self) {
        self.ended = Some(Moment::now());
        self.state.counts.store(false, Ordering::Relaxed);
    }

    pub(crate) fn finish(self) -> Noise {
        self.state.ended.store(true, Ordering::Relaxed);
        let lateness = self.thread.join().expect("it only sleeps and counts");
        let (Some(before), Some(after)) = (self.began, self.ended) else {
            return Noise::default();
        };
        let took = after.at.duration_since(before.at).as_micros() as f64;
        let share = |of: usize| {
            let waited = after.pressure[of]? - before.pressure[of]?;
            Some(waited as f64 / took)
        };
        let all = after.stolen.1.saturating_sub(before.stolen.1);
        let stolen = after.stolen.0.saturating_sub(before.stolen.0);
        Noise {
            hiccup_p50_us: lateness.value_at_quantile(0.5),
            hiccup_p99_9_us: lateness.value_at_quantile(0.999),
            hiccup_max_us: lateness.max(),
            hiccup_samples: lateness.len(),
            steal_share: stolen as f64 / (all as f64).max(1.0),
            pressure_cpu_share: share(0),
            pressure_io_share: share(1),
            pressure_memory_share: share(2),
        }
    }
}

/// Of all CPUs. User and nice time hold that of guests, which stands behind the stolen time once more.
fn stolen(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let fields: Option<Vec<u64>> = line
        .split_whitespace()
        .take(8)
        .map(|field| field.parse().ok())
        .collect();
    let fields = fields?;
    Some((*fields.get(7)?, fields.iter().sum()))
}

fn pressure_micros(pressure: &str) -> Option<u64> {
    let line = pressure
        .lines()
        .find_map(|line| line.strip_prefix("some "))?;
    line.split_whitespace()
        .find_map(|part| part.strip_prefix("total=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_read() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0 100 1 1";
        assert_eq!(cpu_seconds(stat), Some((1.5, 0.5)));
        let status = "Name:\ta: b\nVmHWM:\t    7716 kB\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(kibibytes(status, "VmHWM"), Some(7716));
        assert_eq!(kibibytes(status, "VmRSS"), None);
        assert_eq!(switches(status), (12, 3));
        assert!(process(std::process::id()).is_some_and(|used| used.rss_peak_bytes > 0));
        assert_eq!(process(u32::MAX), None);
    }

    #[test]
    fn a_device_is_read() {
        let stat = "  100 1 2048 5 200 3 4096 7 0 8 9 10 11 12 13 55 66\n";
        let counts = DeviceUse {
            flushes: 55,
            writes: 200,
            bytes_written: 4096 * 512,
            bytes_read: 2048 * 512,
            flushes_needed: 0,
        };
        assert_eq!(device_counts(stat), Some(counts));
        // Before Linux 5.5 nobody counted flushes.
        assert_eq!(device_counts("1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"), None);
        assert_eq!(device_counts("x"), None);
        assert_eq!(flush_count("write back\n", "0\n"), FlushCount::Proves);
        assert_eq!(flush_count("write through\n", "0\n"), FlushCount::NotNeeded);
        assert_eq!(flush_count("write back\n", "1\n"), FlushCount::Hidden);
    }

    #[test]
    fn noise_is_read() {
        let stat = "cpu  10 20 30 40 5 6 7 8 90 91\ncpu0 1 2 3 4 5 6 7 8 9 10\n";
        assert_eq!(stolen(stat), Some((8, 126)));
        let pressure = "some avg10=0.00 avg60=0.00 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(pressure_micros(pressure), Some(123));
        assert_eq!((stolen(""), pressure_micros("")), (None, None));
    }

    #[test]
    fn the_watch_counts_its_sleeps() {
        let mut watch = NoiseWatch::start();
        watch.begin();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(20) {
            std::thread::yield_now();
        }
        watch.end();
        assert!(watch.finish().hiccup_samples > 0);
    }
}
