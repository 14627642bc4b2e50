//! Checks a data directory from its checkpoints on: journals, the metadata log, every segment of every partition, leftovers.
//!
//! Holds the directory's lock while it looks, so that no broker starts meanwhile; beside a running one it says so and only looks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rinka_storage::checkpoint::Checkpoint;
use rinka_storage::data_dir::{self, DataDirectoryError};
use rinka_storage::log::{LogCheckpoint, SegmentName};
use rinka_storage::offset::Offset;
use rinka_storage::record_batch;
use rinka_storage::store::layout;
use rinka_storage::topic_partition::TopicPartition;

use super::journals::{self, JournalPlace, Replayed, ReplayedLog};
use super::{DirectoryOptions, Progress, Report, Verdict, segment, size};
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;
use crate::offline::batches::BatchReader;
use crate::shard::shard_map::METADATA;

/// Checks the directory, and repairs it where that was asked for.
#[must_use]
pub fn check_directory(options: &DirectoryOptions) -> Report {
    let mut report = Report::default();
    let shown = options.path.display().to_string();
    let cluster_id = match data_dir::cluster_of(&options.path) {
        Ok(cluster_id) => cluster_id,
        Err(DataDirectoryError::Io { path, error }) => {
            let text = format!("cannot read {}: {error}", path.display());
            let advice =
                "a data directory begins with this file: is this the one that log.dirs names?";
            report.advise(Verdict::Problem, shown, text, advice);
            return report;
        }
        Err(error) => {
            report.add(Verdict::Problem, shown, error.to_string());
            return report;
        }
    };
    let Some(_lock) = lock(options, &mut report) else {
        return report;
    };
    if let Err(error) = Check::new(&options.path, &mut report).run(&cluster_id) {
        let text = format!("it cannot be read: {error}");
        report.advise(
            Verdict::Problem,
            shown,
            text,
            "look at the device's health, and at who may read the directory",
        );
    }
    if options.repair {
        repair(&mut report);
    }
    report
}

/// The lock, if it can be had. Nothing when the check must not go on without it.
fn lock(options: &DirectoryOptions, report: &mut Report) -> Option<Option<File>> {
    let shown = options.path.display().to_string();
    match data_dir::lock(&options.path) {
        Ok(lock) => Some(Some(lock)),
        Err(DataDirectoryError::Locked(_)) if options.repair => {
            let text = "a broker runs on this directory, so nothing is repaired";
            report.advise(Verdict::Problem, shown, text, "stop the broker first");
            None
        }
        Err(DataDirectoryError::Locked(_)) => {
            let text = "a broker runs on this directory: what it writes just now may look damaged";
            report.advise(
                Verdict::Warning,
                shown,
                text,
                "stop it for a verdict that holds",
            );
            Some(None)
        }
        Err(error) if options.repair => {
            let text = format!("the lock cannot be taken, so nothing is repaired: {error}");
            report.add(Verdict::Problem, shown, text);
            None
        }
        Err(error) => {
            let text = format!("the lock cannot be taken: {error}");
            report.advise(
                Verdict::Warning,
                shown,
                text,
                "make sure that no broker runs on it",
            );
            Some(None)
        }
    }
}

fn repair(report: &mut Report) {
    for finding in &mut report.findings {
        let Some(remedy) = finding.remedy.take() else {
            continue;
        };
        match remedy.apply() {
            Ok(done) => {
                finding.verdict = Verdict::Ok;
                finding.advice = format!("repaired: {done}");
            }
            Err(error) => finding.advice = format!("could not be repaired: {error}"),
        }
    }
}

/// One run over a directory.
struct Check<'a> {
    root: &'a Path,
    report: &'a mut Report,
    checkpoints: BTreeMap<TopicPartition, LogCheckpoint>,
    generation: u64,
    journals: Vec<JournalPlace>,
    segments: u64,
    batches: u64,
}

impl<'a> Check<'a> {
    fn new(root: &'a Path, report: &'a mut Report) -> Self {
        Self {
            root,
            report,
            checkpoints: BTreeMap::new(),
            generation: 0,
            journals: Vec::new(),
            segments: 0,
            batches: 0,
        }
    }

    fn run(mut self, cluster_id: &str) -> io::Result<()> {
        if !self.read_checkpoints()? {
            return Ok(());
        }
        let mut progress = Progress::new(self.bytes()?);
        let mut values = Vec::new();
        if let Some(log) = self.checkpoints.get(&METADATA).cloned() {
            self.log(
                &log,
                log.log_start,
                METADATA_DIRECTORY,
                &mut |batch| values.push(record_batch::values(batch)),
                &mut progress,
            )?;
        }
        let mut replayed = Replayed::default();
        for place in &self.journals {
            let (generation, checkpoints) = (self.generation, &self.checkpoints);
            journals::read(
                place,
                generation,
                checkpoints,
                &mut replayed,
                self.report,
                &mut progress,
            )?;
        }
        values.extend(
            replayed
                .metadata
                .iter()
                .map(|batch| record_batch::values(batch)),
        );
        let image = self.image(values, cluster_id);
        for (name, log) in &self.checkpoints.clone() {
            // A topic that is gone from the metadata was deleted: the next start drops what is left.
            if let Some(directory) = directory_of(&image, *name).filter(|_| *name != METADATA) {
                let replayed = replayed.logs.get(name);
                let start = replayed.map_or(log.log_start, |replayed| replayed.start);
                self.log(log, start, &directory, &mut |_| {}, &mut progress)?;
            }
        }
        for (name, log) in &replayed.logs {
            if let Some(directory) = directory_of(&image, *name) {
                self.references(log, &directory)?;
            }
        }
        let known = |name: &str| {
            name == METADATA_DIRECTORY
                || image.topics().any(|topic| {
                    let partition = name
                        .strip_prefix(&*topic.name)
                        .and_then(|rest| rest.strip_prefix('-'));
                    partition
                        .and_then(|number| number.parse().ok())
                        .is_some_and(|number| topic.partition(number).is_some())
                })
        };
        super::leftovers::check(self.root, &known, self.report)?;
        let Self {
            segments, batches, ..
        } = self;
        let (logs, blocks) = (self.checkpoints.len(), replayed.blocks);
        self.report.summary = format!(
            "{logs} logs, {segments} segments, {batches} batches, {blocks} journal blocks to replay, {} read: ",
            size(progress.done)
        );
        Ok(())
    }

    /// Returns whether the check can go on.
    fn read_checkpoints(&mut self) -> io::Result<bool> {
        let directory = self.root.join(layout::DIRECTORY);
        let base_path = layout::base_checkpoint(self.root);
        let Some(base) = self.read_checkpoint(&base_path)? else {
            return Ok(false);
        };
        self.generation = base.generation;
        let of_base = base.logs.into_iter().map(|log| (log.topic_partition, log));
        self.checkpoints.extend(of_base);
        for shard in journal_numbers(&directory)? {
            let path = layout::shard_checkpoint(self.root, shard);
            let own = match path.exists() {
                true => self.read_checkpoint(&path)?,
                false => None,
            };
            let own = own.filter(|own| own.generation == self.generation);
            self.journals.push(JournalPlace {
                directory: layout::journal(self.root, shard),
                first_sequence: own.as_ref().map_or(1, |own| own.first_sequence),
            });
            for log in own.into_iter().flat_map(|own| own.logs) {
                self.checkpoints.insert(log.topic_partition, log);
            }
        }
        Ok(true)
    }

    fn read_checkpoint(&mut self, path: &Path) -> io::Result<Option<Checkpoint>> {
        let subject = path.display().to_string();
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = "the checkpoint is missing, without which the broker takes the directory for an empty one";
                let advice =
                    "put it back from a copy of the directory; do not start a broker before";
                // Nothing was ever written here.
                if self.root.join(METADATA_DIRECTORY).exists() {
                    self.report.advise(Verdict::Problem, subject, text, advice);
                }
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        match Checkpoint::decode(&bytes) {
            Ok(checkpoint) => Ok(Some(checkpoint)),
            Err(error) => {
                let advice = "the broker does not start with it: put it back from a copy of the directory; the segments themselves may be whole, `rinka dump` reads them";
                self.report
                    .advise(Verdict::Problem, subject, error.to_string(), advice);
                Ok(None)
            }
        }
    }

    /// What there is to read.
    fn bytes(&self) -> io::Result<u64> {
        let logs = self.checkpoints.values().flat_map(|log| &log.segments);
        let mut bytes = logs.map(|segment| u64::from(segment.size)).sum();
        for place in &self.journals {
            for file in place.files()? {
                bytes += std::fs::metadata(file)?.len();
            }
        }
        Ok(bytes)
    }

    fn image(
        &mut self,
        values: Vec<Result<Vec<bytes::Bytes>, record_batch::BatchError>>,
        cluster_id: &str,
    ) -> MetadataImage {
        let mut image = MetadataImage::default();
        for batch in values {
            let replayed = batch
                .map_err(|error| format!("{error:?}"))
                .and_then(|values| {
                    values.iter().try_for_each(|value| {
                        let record =
                            MetadataRecord::decode(value).map_err(|error| error.to_string())?;
                        image.replay(&record).map_err(|error| error.to_string())
                    })
                });
            if let Err(error) = replayed {
                let advice = "the broker does not start with it: put the directory back from a copy, or start the release that wrote it";
                self.report
                    .advise(Verdict::Problem, METADATA_DIRECTORY, error, advice);
                break;
            }
        }
        if let Some(found) = image.cluster_id().filter(|found| *found != cluster_id) {
            let text =
                format!("meta.properties says cluster {cluster_id}, the metadata log says {found}");
            let advice = "this directory is a mix of two: find the copy that belongs together";
            self.report
                .advise(Verdict::Problem, "meta.properties", text, advice);
        }
        image
    }

    /// Checks a log as its checkpoint describes it, from `start` on: segments below may be on their way out.
    fn log(
        &mut self,
        log: &LogCheckpoint,
        start: Offset,
        directory: &str,
        visit: &mut dyn FnMut(&[u8]),
        progress: &mut Progress,
    ) -> io::Result<()> {
        let directory = self.root.join(directory);
        self.owner(log, &directory);
        let active = log.segments.last().map(|segment| segment.base);
        let ends = log.segments.iter().skip(1).map(|next| next.base);
        for (checkpoint, end) in log.segments.iter().zip(ends.chain([log.end])) {
            if end <= start {
                continue;
            }
            let path = directory.join(checkpoint.name().file_name("log"));
            let rolled = Some(checkpoint.base) != active;
            let kept = segment::Kept {
                checkpoint,
                end,
                rolled,
            };
            let walked = segment::check(&path, &kept, visit, self.report, progress)?;
            self.segments += 1;
            self.batches += walked.batches;
            // The last batches of a compacted segment may have gone.
            let complete = |found: &Offset| *found == end || checkpoint.name().is_compacted();
            if let Some(found) = walked.end.filter(|found| !complete(found)) {
                let text = format!("it ends at offset {found}, and the checkpoint says {end}");
                let advice = "records are lost here: restore the topic from its source or a copy";
                self.report
                    .advise(Verdict::Problem, path.display().to_string(), text, advice);
            }
        }
        Ok(())
    }

    /// Whether the directory is that of the topic.
    fn owner(&mut self, log: &LogCheckpoint, directory: &Path) {
        let Ok(text) = std::fs::read_to_string(directory.join("partition.metadata")) else {
            // Its segments, if they are missing too, say more.
            return;
        };
        let id = log.topic_partition.topic_id.to_string();
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix("topic_id: "));
        if found.is_some_and(|found| found != id) {
            let text = format!(
                "it belongs to topic {}, and should to {id}",
                found.unwrap_or_default()
            );
            let advice = "somebody moved directories: put them back where they were";
            self.report.advise(
                Verdict::Problem,
                directory.display().to_string(),
                text,
                advice,
            );
        }
    }

    /// Batches that the journal only refers to must be in their segments.
    fn references(&mut self, log: &ReplayedLog, directory: &str) -> io::Result<()> {
        for reference in log
            .references
            .iter()
            .filter(|reference| reference.committed && reference.end > log.start)
        {
            let name = SegmentName::appended(reference.segment).file_name("log");
            let path: PathBuf = self.root.join(directory).join(name);
            let whole = match BatchReader::open(&path, reference.position.into(), None) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => return Err(error),
                Ok(mut reader) => match reader.next()? {
                    Some(batch) if batch.crc_holds => {
                        reader.bytes(&batch)?.starts_with(&reference.header)
                    }
                    _ => false,
                },
            };
            if !whole {
                let text = format!(
                    "at byte {}: the journal refers to a batch there, and it is not whole",
                    reference.position
                );
                let advice = "the next start ends this log before it, though it was acknowledged: keep a copy, and look at the device's health";
                self.report
                    .advise(Verdict::Problem, path.display().to_string(), text, advice);
            }
        }
        Ok(())
    }
}

const METADATA_DIRECTORY: &str = "__cluster_metadata-0";

fn directory_of(image: &MetadataImage, name: TopicPartition) -> Option<String> {
    if name == METADATA {
        return Some(METADATA_DIRECTORY.to_owned());
    }
    let topic = image.topic(name.topic_id)?;
    topic.partition(name.partition)?;
    Some(format!("{}-{}", topic.name, name.partition))
}

fn journal_numbers(directory: &Path) -> io::Result<Vec<usize>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("journal-"));
        numbers.extend(number.and_then(|number| number.parse::<usize>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}
