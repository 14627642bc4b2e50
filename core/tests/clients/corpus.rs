//! The real corpus: the text of this repository, every line of every file a record, keyed by the file's path; and the check that a
//! topic holds it, whichever partitions the client chose.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use crate::record::{Ack, Record, UNSET};
use crate::support::broker::workspace;

/// All files that git knows, each with its lines.
pub(crate) fn corpus() -> &'static [Record] {
    static CORPUS: OnceLock<Vec<Record>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let listed = Command::new("git")
            .args(["ls-files", "-z"])
            .current_dir(workspace())
            .output()
            .expect("there is a git");
        assert!(listed.status.success(), "the workspace is a git checkout");
        let mut records = Vec::new();
        for path in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
            // A file that was removed and not yet committed.
            let Ok(content) = fs::read(workspace().join(path)) else {
                continue;
            };
            for line in content.split(|byte| *byte == b'\n') {
                records.push(Record {
                    partition: -1,
                    offset: UNSET,
                    timestamp: UNSET,
                    key: Some(path.as_bytes().to_vec()),
                    value: Some(line.to_vec()),
                    headers: Vec::new(),
                });
            }
        }
        assert!(
            records.len() > 1_000,
            "the repository has more text than that"
        );
        records
    })
}

/// What was read of the corpus.
#[derive(Default)]
pub(crate) struct CorpusRead {
    /// By key: the partition and the lines in the order in which they were read.
    files: BTreeMap<Vec<u8>, (i32, Vec<Vec<u8>>)>,
    places: BTreeMap<(i32, i64), (Vec<u8>, usize)>,
    next: BTreeMap<i32, i64>,
}

impl CorpusRead {
    pub(crate) fn on_record(&mut self, record: Record) {
        let next = self.next.entry(record.partition).or_default();
        assert_eq!(
            record.offset, *next,
            "partition {}: a gap or a repetition in the offsets",
            record.partition
        );
        *next += 1;
        let key = record.key.expect("every record of the corpus has a key");
        let value = record.value.expect("no line of the corpus is null");
        let (partition, lines) = self
            .files
            .entry(key.clone())
            .or_insert((record.partition, Vec::new()));
        assert_eq!(
            *partition,
            record.partition,
            "{} is in two partitions",
            String::from_utf8_lossy(&key)
        );
        self.places
            .insert((record.partition, record.offset), (key, lines.len()));
        lines.push(value);
    }

    /// Every file line by line, nothing else, and each ack points at the line it was given for.
    pub(crate) fn check(&self, acks: Option<&[Ack]>) {
        let mut written: BTreeMap<&[u8], Vec<&[u8]>> = BTreeMap::new();
        for (number, record) in corpus().iter().enumerate() {
            let key = record.key.as_deref().expect("made with one");
            let lines = written.entry(key).or_default();
            if let Some(acks) = acks {
                let ack = acks[number];
                let place = self.places.get(&(ack.partition, ack.offset));
                assert_eq!(
                    place,
                    Some(&(key.to_vec(), lines.len())),
                    "{ack:?} was given for line {} of {}",
                    lines.len() + 1,
                    String::from_utf8_lossy(key)
                );
            }
            lines.push(record.value.as_deref().expect("made with one"));
        }
        if let Some(acks) = acks {
            assert_eq!(acks.len(), corpus().len(), "one ack for each record");
        }
        for (key, lines) in &written {
            let path = String::from_utf8_lossy(key);
            let Some((_, read)) = self.files.get(*key) else {
                panic!("{path} is missing");
            };
            for (number, (read, line)) in read.iter().zip(lines).enumerate() {
                assert!(read == line, "line {} of {path} differs", number + 1);
            }
            assert_eq!(read.len(), lines.len(), "lines of {path}");
        }
        assert_eq!(self.files.len(), written.len(), "files");
    }
}
