//! The load: franz-go's idempotent producer in a process of its own, and its reader. Carries acks and records, judges nothing.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::checker::RecordName;
use crate::support::toolchain::{self, Absent};

/// How long acks may stay away from a broker that is up.
const ACKS_WITHIN: Duration = Duration::from_secs(60);

/// A record that was acknowledged, and the offset the ack named.
pub(crate) type Acked = (RecordName, u64);

/// Builds the program, once.
pub(crate) fn program() -> Result<&'static Path, Absent> {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    toolchain::need("crash test", &["go"])?;
    Ok(PROGRAM.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/hammer");
        let folder = toolchain::built("hammer", &sources, |folder| {
            toolchain::run(
                Command::new("go")
                    .args(["build", "-o"])
                    .arg(folder.join("hammer"))
                    .arg(".")
                    .current_dir(&sources),
            );
        });
        folder.join("hammer")
    }))
}

/// What the load is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) partitions: usize,
    pub(crate) producers: usize,
    pub(crate) records_per_second: usize,
}

/// A running load.
pub(crate) struct Hammer {
    process: Child,
    /// Its end tells the process to come to an end.
    input: Option<ChildStdin>,
    acks: Arc<Acks>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Acks {
    state: Mutex<AcksState>,
    more: Condvar,
}

#[derive(Default)]
struct AcksState {
    new: Vec<Acked>,
    count: usize,
    ended: bool,
    errors: String,
}

impl Hammer {
    pub(crate) fn start(program: &Path, bootstrap: &str, topic: &str, load: Load) -> Self {
        let numbers = [load.partitions, load.producers, load.records_per_second];
        let mut process = Command::new(program)
            .args(["produce", bootstrap, topic])
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it was just built");
        let acks = Arc::new(Acks::default());
        let output = process.stdout.take().expect("piped");
        let mut errors = process.stderr.take().expect("piped");
        let (for_acks, for_errors) = (Arc::clone(&acks), Arc::clone(&acks));
        let readers = vec![
            std::thread::spawn(move || for_acks.follow(output)),
            std::thread::spawn(move || {
                let mut text = String::new();
                let _ = errors.read_to_string(&mut text);
                for_errors.state.lock().expect("no panic while held").errors = text;
            }),
        ];
        Self {
            input: process.stdin.take(),
            process,
            acks,
            readers,
        }
    }

    /// Waits until `more` acks have come since now.
    pub(crate) fn wait_for_acks(&self, more: usize) {
        let deadline = Instant::now() + ACKS_WITHIN;
        let mut state = self.acks.state.lock().expect("no panic while held");
        let wanted = state.count + more;
        while state.count < wanted {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(
                !state.ended && !left.is_zero(),
                "no acks: {} of {wanted} came, the load {}: {}",
                state.count,
                if state.ended {
                    "has ended"
                } else {
                    "is running"
                },
                state.errors
            );
            state = self
                .acks
                .more
                .wait_timeout(state, left)
                .expect("no panic while held")
                .0;
        }
    }

    /// The acks that came since the last call.
    pub(crate) fn take_acks(&self) -> Vec<Acked> {
        std::mem::take(&mut self.acks.state.lock().expect("no panic while held").new)
    }

    /// No new records; waits until all that were sent are acknowledged. The rest of the acks.
    pub(crate) fn finish(mut self) -> Vec<Acked> {
        drop(self.input.take());
        let status = self
            .process
            .wait()
            .expect("a child that was not waited for");
        for reader in self.readers.drain(..) {
            reader.join().expect("reading does not panic");
        }
        let mut state = self.acks.state.lock().expect("no panic while held");
        assert!(
            status.success(),
            "the load failed ({status}): {}",
            state.errors
        );
        std::mem::take(&mut state.new)
    }
}

impl Drop for Hammer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Acks {
    fn follow(&self, output: impl Read) {
        let mut output = BufReader::new(output);
        while let Ok(acked) = read_ack(&mut output) {
            let mut state = self.state.lock().expect("no panic while held");
            state.new.push(acked);
            state.count += 1;
            drop(state);
            self.more.notify_all();
        }
        self.state.lock().expect("no panic while held").ended = true;
        self.more.notify_all();
    }
}

/// Reads every partition from the given offsets to its end, calling with partition, offset and value.
pub(crate) fn read(
    program: &Path,
    bootstrap: &str,
    topic: &str,
    from: &[u64],
    mut on_record: impl FnMut(u32, u64, &[u8]),
) {
    let from: Vec<String> = from.iter().map(u64::to_string).collect();
    let mut process = Command::new(program)
        .args(["read", bootstrap, topic, &from.join(",")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was just built");
    let mut output = BufReader::with_capacity(256 << 10, process.stdout.take().expect("piped"));
    let mut value = Vec::new();
    while let Ok((partition, offset, length)) = read_record_head(&mut output) {
        value.resize(length, 0);
        output
            .read_exact(&mut value)
            .expect("a value as long as it said");
        on_record(partition, offset, &value);
    }
    let ended = process
        .wait_with_output()
        .expect("a child that was not waited for");
    assert!(
        ended.status.success(),
        "reading failed ({}): {}",
        ended.status,
        String::from_utf8_lossy(&ended.stderr)
    );
}

fn read_ack(input: &mut impl Read) -> io::Result<Acked> {
    let producer = read_u32(input)?;
    let partition = read_u32(input)?;
    let sequence = read_u64(input)?;
    let record = RecordName {
        partition,
        producer,
        sequence,
    };
    Ok((record, read_u64(input)?))
}

fn read_record_head(input: &mut impl Read) -> io::Result<(u32, u64, usize)> {
    Ok((
        read_u32(input)?,
        read_u64(input)?,
        read_u32(input)? as usize,
    ))
}

fn read_u32(input: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    input.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn read_u64(input: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_be_bytes(bytes))
}
