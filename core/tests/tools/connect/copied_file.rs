//! A file whose numbered lines are copied into another, and how often each line has arrived there.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Of every line, whatever its number.
const LINE_BYTES: usize = "line 00000000\n".len();

/// What is appended at once under load, and how long it takes until the next.
const BURST_LINES: usize = 50;
const BURST_EVERY: Duration = Duration::from_millis(5);

/// How many bursts follow what happens under load, and how many there are at most.
const BURSTS_AFTER: usize = 20;
const BURSTS_MAX: usize = 10_000;

/// The file that is read, and the one that is written.
pub(crate) struct CopiedFile {
    pub(crate) source: PathBuf,
    pub(crate) sink: PathBuf,
    file: File,
    lines: usize,
}

/// What has arrived.
#[derive(Debug, Default)]
pub(crate) struct Arrived {
    /// By line: how often.
    pub(crate) copies: Vec<u32>,
    /// Lines that begin with a piece of another: whoever wrote was killed in the middle of it.
    pub(crate) torn: usize,
}

impl Arrived {
    /// Of the lines that had arrived before, and had been committed then, none has come again.
    pub(crate) fn assert_settled(&self, before: &Self) {
        let settled = before.copies.len();
        assert_eq!(
            self.copies[..settled],
            before.copies[..],
            "what was committed comes again"
        );
        let again = self.copies.iter().filter(|&&copies| copies > 1).count();
        println!(
            "{} lines, {again} of them more than once",
            self.copies.len()
        );
    }
}

impl CopiedFile {
    pub(crate) fn new(folder: &Path) -> Self {
        let source = folder.join("source.txt");
        let file = OpenOptions::new().create(true).append(true).open(&source);
        Self {
            file: file.expect("a fresh folder"),
            source,
            sink: folder.join("sink.txt"),
            lines: 0,
        }
    }

    pub(crate) fn append(&mut self, count: usize) {
        let numbers = self.lines..self.lines + count;
        let text: String = numbers.map(line).collect();
        self.file.write_all(text.as_bytes()).expect("room for it");
        self.lines += count;
    }

    /// Appends while something happens that is given the sink, and goes on for a while.
    pub(crate) fn append_while(&mut self, act: impl FnOnce(&Path)) {
        let has_acted = AtomicBool::new(false);
        let sink = self.sink.clone();
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut more = BURSTS_AFTER;
                for _ in 0..BURSTS_MAX {
                    self.append(BURST_LINES);
                    more -= usize::from(has_acted.load(Ordering::Relaxed));
                    if more == 0 {
                        return;
                    }
                    // The load's own pace.
                    thread::sleep(BURST_EVERY);
                }
            });
            act(&sink);
            has_acted.store(true, Ordering::Relaxed);
        });
    }

    /// How many lines were appended.
    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    pub(crate) fn bytes(&self) -> usize {
        self.lines * LINE_BYTES
    }

    /// Whether the copy is the whole source, once, in order. Panics at what is not the beginning of it.
    pub(crate) fn is_copied_exactly(&self) -> bool {
        let copy = fs::read(&self.sink).unwrap_or_default();
        let source = fs::read(&self.source).expect("it was written");
        assert!(
            source.starts_with(&copy),
            "{} bytes are not the beginning of the source's {}",
            copy.len(),
            source.len()
        );
        copy.len() == source.len()
    }
}

/// What is in a sink's file. Panics at what was never written to a source.
pub(crate) fn arrived(sink: &Path) -> Arrived {
    let text = fs::read(sink).unwrap_or_default();
    let text = String::from_utf8(text).expect("the source has text");
    let mut arrived = Arrived::default();
    // What has no end yet is being written.
    for whole in text.split_inclusive('\n').filter(|one| one.ends_with('\n')) {
        let from = whole.len().saturating_sub(LINE_BYTES);
        let (piece, last) = whole.split_at(from);
        let number = last.strip_prefix("line ").map(str::trim_end);
        let number: Option<usize> = number.and_then(|number| number.parse().ok());
        let Some(number) = number.filter(|&number| is_piece(piece) && line(number) == last) else {
            panic!("nobody wrote {whole:?}");
        };
        arrived.torn += usize::from(!piece.is_empty());
        if arrived.copies.len() <= number {
            arrived.copies.resize(number + 1, 0);
        }
        arrived.copies[number] += 1;
    }
    arrived
}

fn line(number: usize) -> String {
    format!("line {number:08}\n")
}

/// Whether it is the beginning of some line.
fn is_piece(text: &str) -> bool {
    let letters = "line ";
    let common = text.len().min(letters.len());
    text.len() < LINE_BYTES
        && text[..common] == letters[..common]
        && text[common..].bytes().all(|byte| byte.is_ascii_digit())
}

#[test]
fn lines_are_counted_also_behind_a_torn_one() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let sink = folder.path().join("sink.txt");
    let text = "line 00000001\nline 000000line 00000001\nline 00000002\nline 0000";
    fs::write(&sink, text).expect("written");
    let arrived = arrived(&sink);
    assert_eq!(arrived.copies, [0, 2, 1]);
    assert_eq!(arrived.torn, 1);
}
