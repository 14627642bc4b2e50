//! What every decision of the coordinator can do: answer, append records, and set alarms; and what waits for an append.
//!
//! Never decides anything about a group.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::classic::ReplacedMember;
use super::consumer_requests::ConsumerChange;
use super::counters::Counters;
use super::error::AppendFailure;
use super::records::EncodedRecord;
use super::request::Time;
use super::response::Response;
use super::settings::Settings;
use super::timers::Timers;

/// Names an append until it is committed or has failed. Later ones are greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendId(pub u64);

/// What the shell has to do. `T` is what it needs to answer a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<T> {
    /// Append these to the coordinator's partition, all or none, in the order of the actions; then `on_committed` or `on_failed`.
    Append {
        id: AppendId,
        records: Vec<EncodedRecord>,
    },
    Answer {
        token: T,
        response: Response,
    },
}

/// What is the same for all groups of a coordinator.
#[derive(Debug)]
pub(super) struct Shared<T> {
    pub(super) settings: Settings,
    pub(super) timers: Timers,
    pub(super) usage: Usage,
    pub(super) counters: Counters,
    /// In the order they were made.
    appends: VecDeque<Append<T>>,
    append_count: u64,
}

/// How much of the bounds is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) members: usize,
    pub(super) pending_members: usize,
    pub(super) bytes: usize,
}

/// Records that are under way, and what comes of it.
#[derive(Debug)]
pub(super) struct Append<T> {
    pub(super) id: AppendId,
    pub(super) effects: Vec<Effect>,
    pub(super) then: Then,
    answers: Vec<(T, Response)>,
}

/// A change of what is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// The change of this offset that has the append's id.
    Offset {
        group: Arc<str>,
        topic: Arc<str>,
        partition: i32,
    },
    GroupRemoved {
        group: Arc<str>,
    },
}

/// What a group does when its record is committed or not.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    /// The leader's assignment goes to the members.
    Assigned {
        group: Arc<str>,
        generation: i32,
        assignments: BTreeMap<Arc<str>, Bytes>,
    },
    /// A static member that came back has its new id.
    StaticMemberReplaced {
        group: Arc<str>,
        replaced: ReplacedMember,
    },
    /// A consumer group is what its records say.
    Decided {
        group: Arc<str>,
        change: Box<ConsumerChange>,
    },
}

impl Then {
    pub(super) fn group(&self) -> Option<&Arc<str>> {
        match self {
            Self::Nothing => None,
            Self::Assigned { group, .. }
            | Self::StaticMemberReplaced { group, .. }
            | Self::Decided { group, .. } => Some(group),
        }
    }
}

/// One decision: when it is made, and where its results go.
pub(super) struct Turn<'a, T> {
    pub(super) time: Time,
    pub(super) shared: &'a mut Shared<T>,
    pub(super) out: &'a mut Vec<Action<T>>,
}

impl<T> Shared<T> {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            timers: Timers::default(),
            usage: Usage::default(),
            counters: Counters::default(),
            appends: VecDeque::new(),
            append_count: 0,
        }
    }

    /// The id that the next append will have.
    pub(super) fn next_append(&self) -> AppendId {
        AppendId(self.append_count + 1)
    }

    pub(super) fn appends_under_way(&self) -> usize {
        self.appends.len()
    }

    /// The append that is resolved. They nearly always are in the order they were made.
    pub(super) fn take_append(&mut self, id: AppendId) -> Option<Append<T>> {
        let at = self.appends.binary_search_by_key(&id, |append| append.id);
        self.appends.remove(at.ok()?)
    }

    pub(super) fn take_all_appends(&mut self) -> VecDeque<Append<T>> {
        std::mem::take(&mut self.appends)
    }
}

impl<T> Append<T> {
    /// Whoever waits for the records is answered.
    pub(super) fn answer(self, result: Result<(), AppendFailure>, out: &mut Vec<Action<T>>) {
        for (token, response) in self.answers {
            let response = match result {
                Ok(()) => response,
                Err(failure) => response.into_failed(failure),
            };
            out.push(Action::Answer { token, response });
        }
    }
}

impl<T> Turn<'_, T> {
    pub(super) fn answer(&mut self, token: T, response: Response) {
        self.out.push(Action::Answer { token, response });
    }

    pub(super) fn append(
        &mut self,
        records: Vec<EncodedRecord>,
        effects: Vec<Effect>,
        then: Then,
    ) -> AppendId {
        let id = self.shared.next_append();
        self.shared.append_count = id.0;
        self.shared.appends.push_back(Append {
            id,
            effects,
            then,
            answers: Vec::new(),
        });
        self.out.push(Action::Append { id, records });
        id
    }

    /// The answer goes out when these records are committed; at once if there are none.
    pub(super) fn answer_after(&mut self, append: Option<AppendId>, token: T, response: Response) {
        let waiting = append.and_then(|id| {
            let appends = &mut self.shared.appends;
            let at = appends.binary_search_by_key(&id, |append| append.id).ok()?;
            appends.get_mut(at)
        });
        match waiting {
            Some(append) => append.answers.push((token, response)),
            None => self.answer(token, response),
        }
    }
}
