//! A member of a group, whichever protocol it speaks: what consuming has to know of it.
//!
//! Decides the protocol; what a member says and when is in the file of each.

mod classic;
mod consumer;

use std::collections::{BTreeMap, BTreeSet};

use clap::ValueEnum;

use self::classic::ClassicMember;
use self::consumer::{ConsumerMember, Joined};
use crate::cli::client::{Client, TopicPartition};
use crate::cli::failure::{Result, failed};
use crate::cli::group::has_classic_members;
use crate::cli::group::offsets::committed;
use crate::cli::output::{counted, printable, remark};

/// The protocols of groups, by Kafka's words for its `group.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum GroupProtocol {
    /// The newer one (KIP-848): the broker assigns, and only partitions that move are given up
    Consumer,
    /// The older one, with the range assignor: at every rebalance all partitions are given up
    Classic,
}

/// What a member has to do before it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// All partitions are given up, or lost, and it has to join.
    Rejoin,
    /// Exactly these are to be ours: others are given up, and that is acknowledged.
    Assigned(BTreeSet<TopicPartition>),
}

pub(super) struct Member {
    group: String,
    /// Somebody wants this protocol and no other.
    is_chosen: bool,
    speaker: Speaker,
}

enum Speaker {
    Classic(ClassicMember),
    Consumer(ConsumerMember),
}

impl Member {
    /// Without a protocol it is the newer one, where the group's coordinator offers it and nobody would be moved to it by our coming.
    pub(super) fn new(
        client: &mut Client,
        group: String,
        protocol: Option<GroupProtocol>,
    ) -> Result<Self> {
        let deadline = client.deadline();
        let is_newer = match protocol {
            Some(GroupProtocol::Classic) => false,
            Some(GroupProtocol::Consumer) => {
                if !ConsumerMember::is_offered(client, &group, deadline)? {
                    return failed(
                        "the broker does not offer the group protocol `consumer` (KIP-848): --group-protocol classic does without it",
                    );
                }
                true
            }
            None => {
                ConsumerMember::is_offered(client, &group, deadline)?
                    && !has_classic_members(client, &group, deadline)?
            }
        };
        let speaker = match is_newer {
            true => Speaker::Consumer(ConsumerMember::new(group.clone())),
            false => Speaker::Classic(ClassicMember::new(group.clone())),
        };
        Ok(Self {
            group,
            is_chosen: protocol.is_some(),
            speaker,
        })
    }

    /// Joins or rejoins, and returns the partitions that are ours then.
    pub(super) fn join(
        &mut self,
        client: &mut Client,
        topics: &[String],
    ) -> Result<BTreeSet<TopicPartition>> {
        let member = match &mut self.speaker {
            Speaker::Classic(member) => return member.join(client, topics),
            Speaker::Consumer(member) => member,
        };
        match member.join(client, topics)? {
            Joined::Member(partitions) => Ok(partitions),
            Joined::Refused(reason) if self.is_chosen => failed(reason),
            Joined::Refused(reason) => {
                remark(format_args!(
                    "rinka: {reason}; going on with the classic protocol"
                ));
                let mut member = ClassicMember::new(self.group.clone());
                let partitions = member.join(client, topics);
                self.speaker = Speaker::Classic(member);
                partitions
            }
        }
    }

    /// Says that it lives, if it is time to, and what it subscribes to, if that is other than before.
    pub(super) fn heartbeat(&mut self, client: &mut Client, topics: &[String]) -> Result<Standing> {
        match &mut self.speaker {
            Speaker::Classic(member) => member.heartbeat(client, topics),
            Speaker::Consumer(member) => member.heartbeat(client, topics),
        }
    }

    /// Says that these are what it has, and nothing else any more.
    pub(super) fn acknowledge(
        &mut self,
        client: &mut Client,
        owned: BTreeSet<TopicPartition>,
    ) -> Result<Standing> {
        match &mut self.speaker {
            Speaker::Classic(_) => Ok(Standing::Good),
            Speaker::Consumer(member) => member.acknowledge(client, owned),
        }
    }

    /// What the group has committed.
    pub(super) fn committed(&self, client: &mut Client) -> Result<BTreeMap<TopicPartition, i64>> {
        let deadline = client.deadline();
        let offsets = committed(client, &self.group, deadline)?;
        Ok(offsets.unwrap_or_default())
    }

    /// Nothing is committed for a group that has gone on without us: somebody else has these partitions.
    pub(super) fn commit(
        &mut self,
        client: &mut Client,
        positions: &BTreeMap<TopicPartition, i64>,
    ) -> Result<()> {
        match &mut self.speaker {
            Speaker::Classic(member) => member.commit(client, positions),
            Speaker::Consumer(member) => member.commit(client, positions),
        }
    }

    /// So that the others need not wait until our session times out.
    pub(super) fn leave(&mut self, client: &mut Client) -> Result<()> {
        match &mut self.speaker {
            Speaker::Classic(member) => member.leave(client),
            Speaker::Consumer(member) => member.leave(client),
        }
    }
}

/// What a member is told when it has its partitions.
fn tell(group: &str, what: &str, number: i32, partitions: &BTreeSet<TopicPartition>) {
    let count = i64::try_from(partitions.len()).unwrap_or(i64::MAX);
    let count = counted(count, "partition");
    let group = printable(group);
    remark(format_args!(
        "rinka: in group {group}, {what} {number}, with {count}"
    ));
}
