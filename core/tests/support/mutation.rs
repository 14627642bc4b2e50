//! Bounded fuzzing on stable Rust: seeded mutations of a few good inputs, for a stated time. The long runs, led by coverage, are
//! cargo-fuzz's; both call the same checks.
//!
//! `RINKA_FUZZ_SECONDS=600` runs each check that long, `RINKA_FUZZ_SEED=n` replays a run.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const SECONDS: u64 = 10;

/// The longest input that mutations make: what is longer only takes time.
const INPUT_BYTES_MAX: usize = 16 << 10;

/// Of the whole process, all of its checks together. What an input only claims must not be allocated.
const MIB_MAX: u64 = 1024;

/// Numbers that code gets wrong.
const EDGES: &[i64] = &[
    0,
    1,
    -1,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    i32::MAX as i64,
    i32::MIN as i64,
    i64::MAX,
    i64::MIN,
];

struct Random(u64);

impl Random {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound as u64) as usize
    }
}

/// Calls `check` with each of `good`, then with mutations of them until the time is over. An input that breaks it is kept in a
/// file below `folder`, whose name the panic is preceded by.
pub(crate) fn fuzz(name: &str, folder: &str, good: &[Vec<u8>], check: fn(&[u8])) {
    let number = |key: &str| std::env::var(key).ok().and_then(|text| text.parse().ok());
    let seconds = number("RINKA_FUZZ_SECONDS").unwrap_or(SECONDS);
    let seed = number("RINKA_FUZZ_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.expect("after 1970").as_nanos() as u64
    });
    let mut random = Random(seed);
    let until = Instant::now() + Duration::from_secs(seconds);
    for input in good {
        check(input);
    }
    let mut inputs = good.len();
    while Instant::now() < until {
        let input = mutated(good, &mut random);
        inputs += 1;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&input))) {
            let path = Path::new(folder).join(format!("{name}-{seed}"));
            std::fs::write(&path, &input).expect("the target folder can be written");
            say(&format!(
                "{name}: input {inputs} of RINKA_FUZZ_SEED={seed} broke it: {}",
                path.display()
            ));
            resume_unwind(panic);
        }
    }
    let peak = peak_mib();
    say(&format!(
        "{name}: {inputs} inputs in {seconds} s, at most {peak} MiB, RINKA_FUZZ_SEED={seed}"
    ));
    assert!(peak < MIB_MAX, "some input made it allocate {peak} MiB");
}

/// The most memory that this process has had in use, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("there is a /proc");
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024)
}

/// Past libtest's capture: a run that tried ten inputs should not look like one that tried a million.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn mutated(good: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut input = good[random.below(good.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        match random.below(8) {
            0 => input.truncate(at),
            1 => {
                let more = random.below(64);
                let bytes: Vec<u8> = (0..more).map(|_| random.draw() as u8).collect();
                input.splice(at..at, bytes);
            }
            2 => {
                // The rest of another input.
                let other = &good[random.below(good.len())];
                let from = random.below(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            3 => {
                let end = input.len().min(at + random.below(16));
                input.drain(at..end);
            }
            4 | 5 => {
                let edge = EDGES[random.below(EDGES.len())].to_be_bytes();
                let width = [1, 2, 4, 8][random.below(4)];
                let bytes = &edge[8 - width..];
                let end = input.len().min(at + width);
                input[at..end].copy_from_slice(&bytes[..end - at]);
            }
            6 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte = random.draw() as u8;
                }
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}
