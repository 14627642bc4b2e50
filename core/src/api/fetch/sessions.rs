//! Fetch sessions (KIP-227): what a client fetches is remembered, so that it sends, and is told, only what changes.
//!
//! Decides only: it is told the time, and given the id of a new session. Follows Kafka's `FetchSession`. Sessions are kept by
//! the shard that a client is connected to; elsewhere a client hears FETCH_SESSION_ID_NOT_FOUND and begins anew.

use std::collections::BTreeMap;
use std::time::Duration;

use rinka_net::wire::fetch::{FetchPartition, FetchRequest};
use rinka_net::wire::{ErrorCode, Text};
use rinka_storage::offset::Offset;
use rustc_hash::FxHashMap;
use uuid::Uuid;

/// The request is a full one and asks for a new session.
const INITIAL_EPOCH: i32 = 0;

/// The request is a full one, and the session of its id ends.
const FINAL_EPOCH: i32 = -1;

/// A session that was not used for this long makes room for another.
const STALE_AFTER: Duration = Duration::from_secs(120);

/// Partitions of all sessions together, at most: about 100 bytes each. A client beyond it gets no session, and sends whole
/// requests.
const PARTITIONS_MAX: usize = 200_000;

/// A topic as requests of this client name it: by name up to version 12, by id from there on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Name(Text),
    Id(Uuid),
}

impl TopicKey {
    fn of(by_id: bool, name: &Text, id: Uuid) -> Self {
        if by_id {
            Self::Id(id)
        } else {
            Self::Name(name.clone())
        }
    }

    /// Without a share in the frame it came in, which would stay in memory as long as the session.
    fn owned(&self) -> Self {
        match self {
            Self::Name(name) => Self::Name(Text::from(name.to_string())),
            Self::Id(id) => Self::Id(*id),
        }
    }
}

/// One partition that a client wants to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) topic: TopicKey,
    pub(crate) partition: i32,
    pub(crate) offset: Offset,
    pub(crate) bytes_max: i32,
    pub(crate) believed_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

/// What a response would say of a partition, as far as it decides whether the client must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) log_start: i64,
    pub(crate) bytes: usize,
    /// Or a diverging epoch, which is news as an error is.
    pub(crate) failed: bool,
}

/// How a request stands to the sessions, between its beginning and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Answered whole, and forgotten.
    Sessionless,
    /// Answered whole; becomes a session if there is room.
    Full { by_id: bool },
    /// The next request of a session; the session's epoch is this now.
    Incremental { id: i32, epoch: i32 },
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) session_id: i32,
    /// For each partition wanted, whether the client must be told of it.
    pub(crate) include: Vec<bool>,
}

#[derive(Debug)]
pub(crate) struct Sessions {
    sessions_max: usize,
    partitions: usize,
    sessions: FxHashMap<i32, Session>,
}

#[derive(Debug)]
struct Session {
    epoch: i32,
    by_id: bool,
    created: Duration,
    used: Duration,
    /// By their turn: who was given records goes to the end, so that all have their chance at the byte limit.
    turns: BTreeMap<u64, Entry>,
    places: FxHashMap<(TopicKey, i32), u64>,
    next_turn: u64,
}

#[derive(Debug)]
struct Entry {
    wanted: Wanted,
    /// What the client was told last; -1: nothing yet.
    high_watermark: i64,
    log_start: i64,
}

fn next_epoch(epoch: i32) -> i32 {
    match epoch {
        FINAL_EPOCH => FINAL_EPOCH,
        i32::MAX => 1,
        epoch => epoch + 1,
    }
}

fn listed(request: &FetchRequest, by_id: bool) -> impl Iterator<Item = Wanted> {
    request.topics.iter().flat_map(move |topic| {
        let key = TopicKey::of(by_id, &topic.topic, topic.topic_id);
        topic
            .partitions
            .iter()
            .map(move |asked: &FetchPartition| Wanted {
                topic: key.clone(),
                partition: asked.partition,
                offset: Offset(asked.fetch_offset),
                bytes_max: asked.partition_max_bytes,
                believed_epoch: asked.current_leader_epoch,
                last_fetched_epoch: asked.last_fetched_epoch,
            })
    })
}

impl Sessions {
    /// Keeps at most `sessions_max` sessions.
    pub(crate) fn new(sessions_max: usize) -> Self {
        Self {
            sessions_max,
            partitions: 0,
            sessions: FxHashMap::default(),
        }
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// How many partitions all of them remember.
    pub(crate) fn partitions(&self) -> usize {
        self.partitions
    }

    /// Which partitions a request is about. `by_id`: its version names topics by id.
    ///
    /// # Errors
    /// The error code of the whole response.
    pub(crate) fn begin(
        &mut self,
        request: &FetchRequest,
        by_id: bool,
        now: Duration,
    ) -> Result<(Standing, Vec<Wanted>), ErrorCode> {
        let (id, epoch) = (request.session_id, request.session_epoch);
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            self.remove(id);
            let standing = match epoch {
                INITIAL_EPOCH => Standing::Full { by_id },
                _ => Standing::Sessionless,
            };
            return Ok((standing, listed(request, by_id).collect()));
        }
        let session = self
            .sessions
            .get_mut(&id)
            .ok_or(ErrorCode::FETCH_SESSION_ID_NOT_FOUND)?;
        if session.epoch != epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.by_id != by_id {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        let before = session.places.len();
        for wanted in listed(request, by_id) {
            session.update(wanted);
        }
        for topic in &request.forgotten_topics_data {
            let key = TopicKey::of(by_id, &topic.topic, topic.topic_id);
            for partition in &topic.partitions {
                session.forget(&(key.clone(), *partition));
            }
        }
        let after = session.places.len();
        session.epoch = next_epoch(session.epoch);
        session.used = now;
        let standing = Standing::Incremental {
            id,
            epoch: session.epoch,
        };
        let wanted = session
            .turns
            .values()
            .map(|entry| entry.wanted.clone())
            .collect();
        self.partitions = self.partitions - before + after;
        if after == 0 || self.partitions > PARTITIONS_MAX {
            // Nothing is left to remember, or too much: the client begins anew when it wants to.
            self.remove(id);
            return Ok((Standing::Sessionless, wanted));
        }
        Ok((standing, wanted))
    }

    /// What of it the client must be told. `new_id` is what a new session is called, should there be one.
    ///
    /// # Errors
    /// The error code of the whole response.
    pub(crate) fn end(
        &mut self,
        standing: Standing,
        wanted: &[Wanted],
        told: &[Told],
        new_id: i32,
        now: Duration,
    ) -> Result<Answer, ErrorCode> {
        debug_assert_eq!(wanted.len(), told.len());
        let everything = |session_id| Answer {
            session_id,
            include: vec![true; wanted.len()],
        };
        match standing {
            Standing::Sessionless => Ok(everything(0)),
            Standing::Full { by_id } => {
                let created = self.create(by_id, wanted, told, new_id, now);
                Ok(everything(if created { new_id } else { 0 }))
            }
            Standing::Incremental { id, epoch } => {
                // It may be gone by now; what was read is told all the same.
                let Some(session) = self.sessions.get_mut(&id) else {
                    return Ok(everything(id));
                };
                if session.epoch != epoch {
                    return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
                }
                let include = wanted
                    .iter()
                    .zip(told)
                    .map(|(wanted, told)| session.must_tell(wanted, *told))
                    .collect();
                Ok(Answer {
                    session_id: id,
                    include,
                })
            }
        }
    }

    fn create(
        &mut self,
        by_id: bool,
        wanted: &[Wanted],
        told: &[Told],
        id: i32,
        now: Duration,
    ) -> bool {
        let fits = self.partitions + wanted.len() <= PARTITIONS_MAX;
        if wanted.is_empty() || !fits || id == 0 || self.sessions.contains_key(&id) {
            return false;
        }
        if self.sessions.len() >= self.sessions_max && !self.make_room(wanted.len(), now) {
            return false;
        }
        let mut session = Session {
            epoch: next_epoch(INITIAL_EPOCH),
            by_id,
            created: now,
            used: now,
            turns: BTreeMap::new(),
            places: FxHashMap::default(),
            next_turn: 0,
        };
        for (wanted, told) in wanted.iter().zip(told) {
            session.update(wanted.clone());
            session.must_tell(wanted, *told);
        }
        self.partitions += session.places.len();
        self.sessions.insert(id, session);
        true
    }

    /// Ends a session that is stale, else an old one with fewer partitions than the new one has.
    fn make_room(&mut self, partitions: usize, now: Duration) -> bool {
        let is_old = |since: Duration| now.saturating_sub(since) > STALE_AFTER;
        let least_recent = self.sessions.iter().min_by_key(|(_, session)| session.used);
        let stale = least_recent.filter(|(_, session)| is_old(session.used));
        let smaller = self
            .sessions
            .iter()
            .filter(|(_, session)| is_old(session.created) && session.places.len() < partitions)
            .min_by_key(|(_, session)| session.places.len());
        let Some(id) = stale.or(smaller).map(|(id, _)| *id) else {
            return false;
        };
        self.remove(id);
        true
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.sessions.remove(&id) {
            self.partitions -= session.places.len();
        }
    }
}

impl Session {
    fn update(&mut self, wanted: Wanted) {
        let name = (wanted.topic.clone(), wanted.partition);
        if let Some(turn) = self.places.get(&name) {
            let entry = self.turns.get_mut(turn).expect("it has a place");
            entry.wanted = Wanted {
                topic: entry.wanted.topic.clone(),
                ..wanted
            };
            return;
        }
        let topic = wanted.topic.owned();
        self.places
            .insert((topic.clone(), wanted.partition), self.next_turn);
        let entry = Entry {
            wanted: Wanted { topic, ..wanted },
            high_watermark: -1,
            log_start: -1,
        };
        self.turns.insert(self.next_turn, entry);
        self.next_turn += 1;
    }

    fn forget(&mut self, name: &(TopicKey, i32)) {
        if let Some(turn) = self.places.remove(name) {
            self.turns.remove(&turn);
        }
    }

    /// Whether a partition's data is news to the client; remembers it as told.
    fn must_tell(&mut self, wanted: &Wanted, told: Told) -> bool {
        let Some(turn) = self
            .places
            .get_mut(&(wanted.topic.clone(), wanted.partition))
        else {
            return false;
        };
        let entry = self.turns.get_mut(turn).expect("it has a place");
        let news = told.bytes > 0
            || told.failed
            || entry.high_watermark != told.high_watermark
            || entry.log_start != told.log_start;
        // After an error the client is told again, whatever comes then.
        entry.high_watermark = if told.failed { -1 } else { told.high_watermark };
        entry.log_start = told.log_start;
        if told.bytes > 0 {
            let entry = self.turns.remove(turn).expect("it has a place");
            *turn = self.next_turn;
            self.next_turn += 1;
            self.turns.insert(*turn, entry);
        }
        news
    }
}

#[cfg(test)]
mod tests;
