//! What members subscribe to, by names and by expressions, as topics that exist.
//!
//! Answers questions about a group and about a group with one member changed; changes neither.

use std::collections::BTreeSet;
use std::sync::Arc;

use rinka_storage::topic_partition::TopicId;

use super::ConsumerGroup;
use super::member::MemberMetadata;
use super::step::Regexes;
use super::topics_view::TopicsView;

/// The topics that a member subscribes to. An expression that has not been resolved yet means none.
pub(super) fn topic_ids(
    member: &MemberMetadata,
    regexes: &Regexes,
    topics: &TopicsView,
) -> BTreeSet<TopicId> {
    let by_regex = member.regex().and_then(|regex| regexes.get(regex));
    let by_regex = by_regex.into_iter().flat_map(|regex| &regex.topics);
    let names = member.subscribed_topic_names.iter().chain(by_regex);
    names.filter_map(|name| topics.id(name)).collect()
}

impl ConsumerGroup {
    /// The hash of all that the group subscribes to, as it is now. Heartbeats ask for it each time, and mostly nothing has changed.
    pub(super) fn subscription_hash(&self, topics: &TopicsView) -> u64 {
        if let Some((version, hash)) = self.hash_memo.get()
            && version == topics.version()
        {
            return hash;
        }
        let hash = self.subscription_hash_with(&[], None, &self.regexes, topics);
        self.hash_memo.set(Some((topics.version(), hash)));
        hash
    }

    /// The same without some members, with one more, and with other expressions.
    pub(super) fn subscription_hash_with(
        &self,
        without: &[&Arc<str>],
        with: Option<&MemberMetadata>,
        regexes: &Regexes,
        topics: &TopicsView,
    ) -> u64 {
        let members = self.members.iter().filter(|(id, _)| !without.contains(id));
        let members = members.map(|(_, member)| &*member.metadata).chain(with);
        let by_name = members.flat_map(|member| &member.subscribed_topic_names);
        let by_regex = regexes.values().flat_map(|regex| &regex.topics);
        let names: BTreeSet<&Arc<str>> = by_name.chain(by_regex).collect();
        topics.hash(names)
    }
}
