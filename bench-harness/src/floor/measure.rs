//! The measurements of the floor, one after the other, so that none disturbs another.
//!
//! Plain blocking calls (`pwrite`, `fdatasync`, `read`, `write`): fewer parts than a ring, and the latency of one at a time is the same.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

use super::{Command, Floor, Percentiles, WRITE_BYTES, Write};
use crate::affinity::pin;
use crate::client::Result;

const FILE_BYTES: usize = 64 << 20;

/// Of buffer and offset, for any device's `O_DIRECT`.
const ALIGNMENT: usize = 4096;

const TRIP_BYTES: usize = 100;

pub(super) fn floor(command: &Command) -> Result<Floor> {
    // What runs for seconds, and what is steady after a moment.
    let (long, short) = if command.quick {
        (Duration::from_millis(20), Duration::from_millis(5))
    } else {
        (Duration::from_millis(1500), Duration::from_millis(400))
    };
    let mut notes = vec!["plain pwrite, fdatasync, read and write; no ring".to_owned()];
    if command.quick {
        notes.push("quick: too short to be a result".to_owned());
    }
    let named = |cores: &Option<_>| cores.as_ref().map_or("any core".to_owned(), core_name);
    notes.push(format!(
        "broker's side on {}, client's side on {}",
        named(&command.cpu),
        named(&command.client_cpu)
    ));
    let round_trip_us = round_trip(command, long)?;
    let stream_mb_per_second = stream(command, long)?;
    // A thread of its own: this one keeps its cores.
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            pin(command.cpu.as_ref())?;
            let disk = disk(&command.dir, long, &mut notes)?;
            let block = vec![0x5A; 64 << 10];
            let crc = calls(short, || crc32c::crc32c(black_box(&block)));
            let hot = copy(16 << 10, short);
            let cold = copy(if command.quick { 16 << 20 } else { 128 << 20 }, short);
            let system_call = calls(short, std::os::unix::process::parent_id);
            let clock = calls(short, Instant::now);
            Ok(Floor {
                kind: "floor".to_owned(),
                round_trip_us,
                stream_mb_per_second,
                crc32c_gb_per_second: block.len() as f64 / crc,
                copy_hot_gb_per_second: hot,
                copy_cold_gb_per_second: cold,
                flushed_writes: disk.flushed,
                write_us: disk.write,
                flush_us: disk.flush,
                system_call_ns: system_call,
                clock_ns: clock,
                notes,
            })
        });
        worker
            .join()
            .map_err(|_| "a measurement broke".to_owned())?
    })
}

fn core_name(cores: &crate::affinity::Cores) -> String {
    format!("core {cores}")
}

/// Nanoseconds that a call takes.
fn calls<T>(within: Duration, call: impl Fn() -> T) -> f64 {
    let begin = Instant::now();
    let mut count = 0_u64;
    loop {
        // Many between two looks at the clock, which costs as much as what is measured.
        for _ in 0..256 {
            black_box(call());
        }
        count += 256;
        let took = begin.elapsed();
        if took >= within {
            return took.as_nanos() as f64 / count as f64;
        }
    }
}

/// GB/s.
fn copy(bytes: usize, within: Duration) -> f64 {
    let source = vec![1; bytes];
    // Written once, so that no page is made while the clock runs.
    let mut target = vec![2_u8; bytes];
    let begin = Instant::now();
    let mut copied = 0;
    loop {
        target.copy_from_slice(black_box(&source));
        black_box(&mut target);
        copied += bytes;
        let took = begin.elapsed();
        if took >= within {
            return copied as f64 / took.as_nanos() as f64;
        }
    }
}

/// A connection over the loopback: the client's end, and the listener's.
fn connection() -> Result<(TcpStream, TcpStream)> {
    let connect = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        std::io::Result::Ok((client, server))
    };
    connect().map_err(|error| format!("loopback: {error}"))
}

fn round_trip(command: &Command, within: Duration) -> Result<Percentiles> {
    let (mut client, mut server) = connection()?;
    let failed = |error: std::io::Error| format!("loopback: {error}");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = pin(command.cpu.as_ref());
            let mut message = [0; TRIP_BYTES];
            // Until the client closes.
            while server.read_exact(&mut message).is_ok() && server.write_all(&message).is_ok() {}
        });
        let asker = scope.spawn(move || {
            pin(command.client_cpu.as_ref())?;
            let mut message = [7; TRIP_BYTES];
            let mut samples = Vec::new();
            let begin = Instant::now();
            while samples.is_empty() || begin.elapsed() < within {
                let sent = Instant::now();
                client.write_all(&message).map_err(failed)?;
                client.read_exact(&mut message).map_err(failed)?;
                samples.push(sent.elapsed());
            }
            Percentiles::of(samples).ok_or_else(|| "no round trip".to_owned())
        });
        asker.join().map_err(|_| "a measurement broke".to_owned())?
    })
}

fn stream(command: &Command, within: Duration) -> Result<f64> {
    let (mut client, mut server) = connection()?;
    let failed = |error: std::io::Error| format!("loopback: {error}");
    std::thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            pin(command.cpu.as_ref())?;
            let mut buffer = vec![0; 256 << 10];
            let mut received = 0_u64;
            let begin = Instant::now();
            loop {
                match server.read(&mut buffer).map_err(failed)? {
                    0 => return Ok(received as f64 / begin.elapsed().as_micros().max(1) as f64),
                    bytes => received += bytes as u64,
                }
            }
        });
        let sender = scope.spawn(move || {
            pin(command.client_cpu.as_ref())?;
            let buffer = vec![7; 256 << 10];
            let begin = Instant::now();
            while begin.elapsed() < within {
                client.write_all(&buffer).map_err(failed)?;
            }
            Ok(())
        });
        let sent: Result<()> = sender
            .join()
            .map_err(|_| "a measurement broke".to_owned())?;
        sent?;
        receiver
            .join()
            .map_err(|_| "a measurement broke".to_owned())?
    })
}

#[derive(Default)]
struct Disk {
    flushed: Vec<Write>,
    write: Option<Percentiles>,
    flush: Option<Percentiles>,
}

fn disk(dir: &Path, within: Duration, notes: &mut Vec<String>) -> Result<Disk> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let path = dir.join(format!(".rinka-bench-floor-{}", std::process::id()));
    let made = fill(&path);
    let measured = made.and_then(|()| {
        let flushed = match open(&path, OFlags::DIRECT | OFlags::DSYNC) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut disk = Disk::default();
        for bytes in WRITE_BYTES {
            disk.flushed.push(flushed_writes(&flushed, bytes, within)?);
        }
        (disk.write, disk.flush) = write_and_flush(&open(&path, OFlags::DIRECT)?, within)?;
        Ok(Some(disk))
    });
    let removed = std::fs::remove_file(&path);
    let Some(disk) = measured.map_err(failed)? else {
        notes.push(format!(
            "{} refuses O_DIRECT: no writes measured",
            dir.display()
        ));
        return Ok(Disk::default());
    };
    removed.map_err(failed)?;
    Ok(disk)
}

/// Zeros on the disk: a write over them changes no metadata, so its flush is of data alone.
fn fill(path: &Path) -> std::io::Result<()> {
    let mut file = File::create_new(path)?;
    let zeros = vec![0; 1 << 20];
    for _ in 0..FILE_BYTES / zeros.len() {
        file.write_all(&zeros)?;
    }
    file.sync_all()
}

fn open(path: &Path, flags: OFlags) -> std::io::Result<File> {
    let flags = flags.bits().cast_signed();
    OpenOptions::new()
        .write(true)
        .custom_flags(flags)
        .open(path)
}

/// Calls `work` with a buffer that `O_DIRECT` takes.
fn aligned<T>(bytes: usize, work: impl FnOnce(&[u8]) -> T) -> T {
    let room = vec![0xA5; bytes + ALIGNMENT];
    let begin = room.as_ptr().align_offset(ALIGNMENT);
    work(&room[begin..begin + bytes])
}

/// Offsets one behind the other, round and round.
fn offsets(bytes: usize) -> impl Iterator<Item = u64> {
    (0..FILE_BYTES / bytes)
        .cycle()
        .map(move |at| (at * bytes) as u64)
}

fn flushed_writes(file: &File, bytes: usize, within: Duration) -> std::io::Result<Write> {
    let mut samples = Vec::new();
    let begin = Instant::now();
    aligned(bytes, |block| {
        for offset in offsets(bytes) {
            let sent = Instant::now();
            file.write_all_at(block, offset)?;
            samples.push(sent.elapsed());
            if begin.elapsed() >= within {
                break;
            }
        }
        std::io::Result::Ok(())
    })?;
    let mb_per_second = (samples.len() * bytes) as f64 / begin.elapsed().as_micros().max(1) as f64;
    Ok(Write {
        bytes: bytes as u64,
        latency_us: Percentiles::of(samples).expect("at least one write"),
        mb_per_second,
    })
}

type WriteAndFlush = (Option<Percentiles>, Option<Percentiles>);

fn write_and_flush(file: &File, within: Duration) -> std::io::Result<WriteAndFlush> {
    let (mut writes, mut flushes) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    aligned(ALIGNMENT, |block| {
        for offset in offsets(ALIGNMENT) {
            let sent = Instant::now();
            file.write_all_at(block, offset)?;
            let written = Instant::now();
            file.sync_data()?;
            writes.push(written - sent);
            flushes.push(written.elapsed());
            if begin.elapsed() >= within {
                break;
            }
        }
        std::io::Result::Ok(())
    })?;
    Ok((Percentiles::of(writes), Percentiles::of(flushes)))
}
