//! Compaction, the part that does: reads what is dirty, writes segments beside the old ones, and swaps them, in small steps.
//!
//! Decides nothing about records: [`crate::compaction`] does. The checkpoint is what makes a swap whole, since only what it names is
//! part of a log:
//!
//! ```text
//! 1. claim       the new names are doomed; a checkpoint says so   a crash here or later: the old segments, the new files removed
//! 2. write       new files and their names, all synced
//! 3. swap        in memory alone: reads find the new ones         a crash: as above, since the checkpoint still names the old ones
//! 4. checkpoint  names the new ones, dooms the old ones           a crash: the new segments, the old files removed
//! 5. retire      the old files go, as those below a log's start do
//! ```
//! The first checkpoint has a second use: what is rolled then is whole in its file and below the checkpoint, so that no replay writes to
//! what is compacted. The second one too: it makes every record durable that the key map may have seen, so that none whose loss is still
//! possible takes the place of an older one.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::Store;
use crate::compaction::{
    CompactionConfig, Group, KeyMap, Pacing, Pass, Plan, Rewritten, Step, Turn, plan,
};
use crate::disk::Disk;
use crate::log::{SegmentCheckpoint, SegmentName, SegmentRange};
use crate::offset::Offset;
use crate::planted::{Planted, planted};
use crate::record::Records;
use crate::record_batch::{self, RecordBatchHeader};
use crate::segment_files::{LogHandle, ReadError};
use crate::topic_partition::TopicPartition;

/// Bytes read in one step: a tenth of a millisecond of a fast disk. A larger batch is a step of its own.
const STEP_BYTES: usize = 128 << 10;

/// Bytes of batches looked into before others have their turn: some ten microseconds. A larger batch is a slice of its own.
const SLICE_BYTES: usize = 16 << 10;

/// Bytes of segments that may lie replaced and waiting for a checkpoint: what compaction needs beside the log itself.
const SWAPPED_BYTES_MAX: u64 = 256 << 20;

/// The longest sleep: it must be heard that the store stops.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// A log to compact.
#[derive(Clone, Debug)]
pub struct CompactionRequest {
    pub log: LogHandle,
    pub config: CompactionConfig,
    /// Offsets below will stay: the high watermark.
    pub committed: Offset,
}

/// What holds for all logs of a run.
#[derive(Clone, Copy, Debug)]
pub struct CompactionSettings {
    /// Memory for the newest offset of each key.
    pub key_map_bytes: usize,
    /// Milliseconds since 1970.
    pub now: i64,
    /// Anything that clients cannot guess.
    pub seed: [u64; 2],
}

/// What a run did.
#[derive(Clone, Debug, Default)]
pub struct Compacted {
    /// Logs that are clean now, as far as the run was to go.
    pub logs: u64,
    /// Bytes of segments that others took the place of, and of those.
    pub bytes_before: u64,
    pub bytes_after: u64,
    /// Bytes read and written, those read twice counted twice.
    pub bytes_read: u64,
    pub bytes_written: u64,
    /// Of all key maps the fullest, 0 to 1.
    pub key_map_utilization: f64,
    /// Logs that cannot be compacted, since something in them is damaged.
    pub uncompactable: Vec<Uncompactable>,
}

/// A log that cannot be compacted.
#[derive(Clone, Debug)]
pub struct Uncompactable {
    pub topic_partition: TopicPartition,
    pub reason: String,
}

/// Why work on a log ended early.
enum Stop {
    /// The caller wants no more.
    Asked,
    /// The log is deleted, or its segments are no longer what they were.
    Gone,
    /// `log.cleaner.dedupe.buffer.size` holds fewer keys than one batch has.
    KeyMapTooSmall,
    Read(ReadError),
    Write(io::Error),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// A log and what is to be done with it.
struct Job {
    log: LogHandle,
    name: TopicPartition,
    directory: String,
    config: CompactionConfig,
    plan: Plan,
    /// Names of the plan's groups whose files are not part of the log.
    claims: RefCell<Vec<SegmentName>>,
}

impl Job {
    /// Makes the plan, and claims the names in it.
    fn new(request: &CompactionRequest, now: i64) -> Option<Self> {
        let mut log = request.log.borrow_mut();
        if log.failed.is_some() {
            return None;
        }
        let plan = plan(&log, &request.config, request.committed, now)?;
        let claims: Vec<_> = plan.groups.iter().map(|group| group.name).collect();
        log.claim(claims.iter().copied());
        Some(Self {
            log: Rc::clone(&request.log),
            name: log.topic_partition,
            directory: log.directory.clone(),
            config: request.config,
            plan,
            claims: RefCell::new(claims),
        })
    }

    /// Whether what is still to be compacted is in the log.
    fn is_as_planned(&self) -> bool {
        let log = self.log.borrow();
        let claims = self.claims.borrow();
        let open = self.plan.groups.iter();
        let open = open.filter(|group| claims.contains(&group.name));
        let mut sources = open.flat_map(|group| &group.sources);
        log.failed.is_none() && sources.all(|source| log.has_segment(source.name))
    }
}

/// What compaction waits by.
#[allow(
    async_fn_in_trait,
    reason = "shards are single-threaded: no future of storage needs to be Send"
)]
pub trait Pauses {
    /// Since some moment.
    fn now(&self) -> Duration;
    async fn sleep(&self, time: Duration);
    /// Waits until nobody else wants the core.
    async fn background(&self);
    /// Nothing that takes long should begin any more.
    fn stopping(&self) -> bool;
}

impl<D: Disk> Store<D> {
    /// Whether an append waits for the disk: what is asked of it now is asked in front of that, or beside its flush.
    #[must_use]
    pub fn is_committing(&self) -> bool {
        self.committing.get()
            || !self.sealed.borrow().is_empty()
            || !self.filling.borrow().builder.is_empty()
    }

    /// Waits until compaction may take its next step, as `pacing` decides, and says whether it still should.
    pub async fn let_compact(
        &self,
        pacing: &RefCell<Pacing>,
        next: Step,
        pauses: &impl Pauses,
    ) -> bool {
        let bytes = match next {
            Step::Compute => 0,
            Step::Disk { bytes } => bytes,
        };
        self.end_step(pacing, pauses.now(), bytes);
        loop {
            pauses.background().await;
            if pauses.stopping() || self.stopping.get() {
                return false;
            }
            let now = pauses.now();
            if next == Step::Compute {
                pacing.borrow_mut().on_compute(now);
                return true;
            }
            let ahead = match planted(Planted::CompactionInFront) {
                true => false,
                false => self.is_committing(),
            };
            let turn = pacing.borrow_mut().next(now, ahead);
            match turn {
                Turn::Go => return true,
                Turn::At(at) => pauses.sleep((at - now).min(PAUSE_MAX)).await,
                Turn::AfterCommit { at_latest } => {
                    let over = self.progress.wait();
                    futures_lite::future::or(over, pauses.sleep(at_latest - now)).await;
                }
            }
        }
    }

    /// The step that was under way is over.
    pub fn end_step(&self, pacing: &RefCell<Pacing>, now: Duration, bytes: u64) {
        let beside_commits = self.files.are_beside_commits();
        pacing.borrow_mut().on_step_end(now, bytes, beside_commits);
    }

    /// Compacts logs, one after another. Before each step `pace` hears what comes, takes the time it wants (see
    /// [`Store::let_compact`]), and says whether to go on.
    ///
    /// Does nothing while another run is under way, and while the disk is full: what is written takes space before any comes back.
    ///
    /// # Errors
    /// A full disk: nothing is changed but for the logs that were done. Any other failure of the disk stops the store.
    pub async fn compact(
        &self,
        requests: &[CompactionRequest],
        settings: &CompactionSettings,
        pace: &impl AsyncFn(Step) -> bool,
    ) -> io::Result<Compacted> {
        let mut done = Compacted::default();
        let unable = self.failed.borrow().is_some() || self.full.borrow().is_some();
        if unable || self.stopping.get() || self.compacting.replace(true) {
            return Ok(done);
        }
        let result = self.compact_now(requests, settings, pace, &mut done).await;
        self.compacting_in.set(None);
        self.compacting.set(false);
        self.progress.ring();
        result.map(|()| done)
    }

    async fn compact_now(
        &self,
        requests: &[CompactionRequest],
        settings: &CompactionSettings,
        pace: &impl AsyncFn(Step) -> bool,
        done: &mut Compacted,
    ) -> io::Result<()> {
        let jobs: Vec<Job> = requests
            .iter()
            .filter_map(|request| Job::new(request, settings.now))
            .collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let mut result = match planted(Planted::ClaimsNotInCheckpoint) {
            true => Ok(()),
            false => self.checkpoint_or_fail().await,
        };
        if result.is_ok() {
            for job in &jobs {
                let compacted = Box::pin(self.compact_log(job, settings, pace, done)).await;
                self.compacting_in.set(None);
                self.progress.ring();
                match compacted {
                    Ok(()) => done.logs += 1,
                    Err(Stop::Asked) => break,
                    Err(Stop::Gone) => {}
                    Err(Stop::Read(_)) if !job.is_as_planned() => {}
                    Err(Stop::Read(error)) => done.uncompactable.push(Uncompactable {
                        topic_partition: job.name,
                        reason: error.to_string(),
                    }),
                    Err(Stop::KeyMapTooSmall) => done.uncompactable.push(Uncompactable {
                        topic_partition: job.name,
                        reason: "a batch has more records than the key map holds keys".to_owned(),
                    }),
                    Err(Stop::Write(error)) => {
                        // Nothing of it is part of a log yet; but what the disk does with other writes is in doubt.
                        result = self.fail_at_once(Err(error));
                        break;
                    }
                }
            }
        }
        if self.failed.borrow().is_none() {
            for job in &jobs {
                self.drop_claims(job).await;
            }
        }
        result?;
        if self.swapped.borrow().is_empty() {
            return Ok(());
        }
        self.checkpoint_or_fail().await
    }

    async fn compact_log(
        &self,
        job: &Job,
        settings: &CompactionSettings,
        pace: &impl AsyncFn(Step) -> bool,
        done: &mut Compacted,
    ) -> Result<(), Stop> {
        self.step(job, pace, Step::Compute).await?;
        let (map, mapped) = self.map_keys(job, settings, pace, done).await?;
        done.key_map_utilization = done.key_map_utilization.max(map.utilization());
        let last_of_producers: FxHashMap<i64, Offset> = {
            let batches = job.log.borrow().producers.last_batches();
            let each = batches.iter();
            each.map(|batch| (batch.producer_id, batch.last_offset))
                .collect()
        };
        let pass = Pass {
            map: &map,
            mapped,
            upto: job.plan.upto,
            now: settings.now,
            delete_retention_ms: job.config.delete_retention_ms,
            last_of_producers: &last_of_producers,
        };
        for group in &job.plan.groups {
            if group.name.base >= mapped {
                break;
            }
            self.compact_group(job, group, &pass, pace, done).await?;
        }
        job.log.borrow_mut().set_cleaned(mapped);
        self.checkpoint_due.set(true);
        Ok(())
    }

    /// Between two steps: others have their turn, and a deleted topic's directory may go.
    async fn step(
        &self,
        job: &Job,
        pace: &impl AsyncFn(Step) -> bool,
        next: Step,
    ) -> Result<(), Stop> {
        self.compacting_in.set(None);
        self.progress.ring();
        if !pace(next).await || self.stopping.get() || self.failed.borrow().is_some() {
            return Err(Stop::Asked);
        }
        if job.log.borrow().failed.is_some() {
            return Err(Stop::Gone);
        }
        self.compacting_in.set(Some(job.name));
        Ok(())
    }

    /// The newest offset of each key in what is dirty, and how far that goes.
    async fn map_keys(
        &self,
        job: &Job,
        settings: &CompactionSettings,
        pace: &impl AsyncFn(Step) -> bool,
        done: &mut Compacted,
    ) -> Result<(KeyMap, Offset), Stop> {
        let Plan {
            first_dirty, upto, ..
        } = job.plan;
        let keys_max = usize::try_from(upto.since(first_dirty)).unwrap_or(usize::MAX);
        let mut map = KeyMap::new(settings.key_map_bytes, keys_max, settings.seed);
        let mut mapped = first_dirty;
        let sources = job.plan.groups.iter().flat_map(|group| &group.sources);
        for source in sources.filter(|source| source.end > first_dirty) {
            let mut place = (first_dirty.max(source.name.base), 0);
            let mut bytes = 0;
            loop {
                let place = &mut place;
                let batches = self.read_step(job, source, place, &mut bytes, pace, done);
                let batches = batches.await?;
                if batches.is_empty() {
                    break;
                }
                let mut slice = 0;
                for batch in &batches {
                    self.slice(job, pace, &mut slice, batch).await?;
                    let Some(end) = map_batch(&mut map, batch) else {
                        return match map.is_empty() {
                            // One batch is too much for all of it.
                            true => Err(Stop::KeyMapTooSmall),
                            false => Ok((map, mapped)),
                        };
                    };
                    mapped = mapped.max(end);
                }
            }
            mapped = source.end;
        }
        Ok((map, mapped))
    }

    /// Lets others have their turn when what was looked into since they had it makes a slice; this batch is part of the next.
    async fn slice(
        &self,
        job: &Job,
        pace: &impl AsyncFn(Step) -> bool,
        slice: &mut usize,
        batch: &[u8],
    ) -> Result<(), Stop> {
        if *slice >= SLICE_BYTES {
            *slice = 0;
            self.step(job, pace, Step::Compute).await?;
        }
        *slice += batch.len();
        Ok(())
    }

    /// The next batches of a source, none at its end. `bytes`: how many the read before brought, and then this one.
    async fn read_step(
        &self,
        job: &Job,
        source: &SegmentRange,
        place: &mut (Offset, u32),
        bytes: &mut u64,
        pace: &impl AsyncFn(Step) -> bool,
        done: &mut Compacted,
    ) -> Result<Vec<bytes::Bytes>, Stop> {
        let next = Step::Disk { bytes: *bytes };
        self.step(job, pace, next).await?;
        let scanned = self
            .files
            .read_on(&job.log, source, *place, STEP_BYTES)
            .await?;
        *bytes = u64::from(scanned.position - place.1);
        done.bytes_read += *bytes;
        if scanned.run.is_empty() && !source.name.is_compacted() && place.0 != source.end {
            // No file is given up for one that lacks what should have been read.
            return Err(Stop::Read(ReadError::Damaged {
                path: source.name.file_name("log").into(),
                position: scanned.position.into(),
            }));
        }
        *place = (scanned.offset, scanned.position);
        Ok(record_batch::each(scanned.run).collect())
    }

    async fn compact_group(
        &self,
        job: &Job,
        group: &Group,
        pass: &Pass<'_>,
        pace: &impl AsyncFn(Step) -> bool,
        done: &mut Compacted,
    ) -> Result<(), Stop> {
        let interval = job.log.borrow().config.index_interval_bytes;
        self.step(job, pace, Step::Disk { bytes: 0 }).await?;
        let begun = self
            .files
            .begin_segment(&job.directory, group.name, interval, group.first_timestamp)
            .await;
        let mut writer = begun.map_err(Stop::Write)?;
        for source in &group.sources {
            let mut place = (source.name.base, 0);
            let mut bytes = 0;
            loop {
                let place = &mut place;
                let batches = self.read_step(job, source, place, &mut bytes, pace, done);
                let batches = batches.await?;
                if batches.is_empty() {
                    break;
                }
                let before = writer.size();
                let mut slice = 0;
                for batch in &batches {
                    self.slice(job, pace, &mut slice, batch).await?;
                    let header = RecordBatchHeader::parse(batch).expect("it was just read");
                    let pushed = match pass.rewrite(&header, batch) {
                        Rewritten::Removed => continue,
                        Rewritten::Kept => writer.push(&header, batch),
                        Rewritten::Changed(changed) => {
                            let header = RecordBatchHeader::parse(&changed).expect("just made");
                            writer.push(&header, &changed)
                        }
                    };
                    pushed.map_err(Stop::Write)?;
                }
                writer.write_full(pace).await.map_err(Stop::Write)?;
                done.bytes_written += u64::from(writer.size() - before);
            }
        }
        let written = match writer.size() {
            0 => None,
            _ => Some(writer.finish(pace).await.map_err(Stop::Write)?),
        };
        self.swap(job, group, written.as_ref()).await?;
        let before = group.sources.iter().map(|source| u64::from(source.limit));
        let before = before.sum::<u64>();
        done.bytes_before += before;
        self.swapped_bytes.set(self.swapped_bytes.get() + before);
        if self.swapped_bytes.get() > SWAPPED_BYTES_MAX {
            self.checkpoint_or_fail().await.map_err(Stop::Write)?;
        }
        done.bytes_after += written.map_or(0, |written| u64::from(written.size));
        self.step(job, pace, Step::Compute).await
    }

    /// The new segment takes the old ones' place. The checkpoint on disk goes on naming those until the next one.
    async fn swap(
        &self,
        job: &Job,
        group: &Group,
        written: Option<&SegmentCheckpoint>,
    ) -> Result<(), Stop> {
        // A checkpoint that is under way describes the log as it was.
        while self.checkpointing.get() || self.retiring.get() {
            self.progress.wait().await;
        }
        let sources: Vec<SegmentName> = group.sources.iter().map(|source| source.name).collect();
        {
            let mut log = job.log.borrow_mut();
            if log.failed.is_some() || !log.replace(&sources, written) {
                return Err(Stop::Gone);
            }
        }
        let each = sources.iter().map(|name| (Rc::clone(&job.log), *name));
        let list = match planted(Planted::ReplacedBeforeCheckpoint) {
            true => &self.replaced,
            false => &self.swapped,
        };
        list.borrow_mut().extend(each);
        job.claims.borrow_mut().retain(|name| *name != group.name);
        self.checkpoint_due.set(true);
        Ok(())
    }

    /// Removes what was claimed and did not become part of the log. What cannot be removed is, at the next start.
    async fn drop_claims(&self, job: &Job) {
        for name in job.claims.take() {
            if job.log.borrow().failed.is_some() {
                return;
            }
            self.compacting_in.set(Some(job.name));
            let removed = self.files.remove_segment(&job.directory, name).await;
            self.compacting_in.set(None);
            self.progress.ring();
            match removed {
                Ok(()) => job.log.borrow_mut().forget_doomed(name),
                Err(error) => log::warn!(
                    "{}: what compaction did not finish stays until the next start: {error}",
                    job.directory
                ),
            }
        }
    }
}

/// Puts the keys of a batch into the map, and says where the batch ends. Nothing, when the map has no room for it.
fn map_batch(map: &mut KeyMap, batch: &[u8]) -> Option<Offset> {
    let header = RecordBatchHeader::parse(batch).expect("it was just read");
    let end = header.end_offset();
    let count = usize::try_from(header.record_count).unwrap_or(0);
    if header.is_control() || count == 0 {
        return Some(end);
    }
    if !map.has_room_for(count) {
        return None;
    }
    // What cannot be looked into stays and replaces nothing.
    let Ok(body) = record_batch::unpack(batch, &header) else {
        return Some(end);
    };
    let records = Records::new(&body, header.record_count);
    if records.clone().any(|record| record.is_err()) {
        return Some(end);
    }
    for record in records.flatten() {
        if let Some(key) = record.key {
            let offset = header.base_offset.plus(i64::from(record.offset_delta));
            map.put(key, offset);
        }
    }
    Some(end)
}
