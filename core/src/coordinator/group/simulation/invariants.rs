//! What must hold of a group at every moment, by name.
//!
//! Looks at answers as they leave the coordinator, whether or not anybody gets them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::response::DescribedGroup;
use super::client::PARTITIONS;

#[derive(Debug, Default)]
pub(super) struct Invariants {
    /// Who was given a partition, by generation: an instance id, or a member id.
    owners: BTreeMap<(i32, u8), Arc<str>>,
    /// By partition: what was acknowledged or shown.
    floors: BTreeMap<u8, i64>,
}

impl Invariants {
    /// OnePartitionOneOwner: within a generation no partition is given to two members.
    pub(super) fn one_partition_one_owner(
        &mut self,
        generation: i32,
        owner: &Arc<str>,
        assignment: &[u8],
    ) {
        for &partition in assignment {
            let known = self.owners.entry((generation, partition));
            let known = known.or_insert_with(|| owner.clone());
            assert!(
                known == owner,
                "OnePartitionOneOwner: partition {partition} of generation {generation} was given to {known} and to {owner}"
            );
        }
    }

    /// The group is gone; another one may count its generations anew.
    pub(super) fn group_removed(&mut self) {
        self.owners.clear();
    }

    /// EveryPartitionOwnedWhenStable: the members of a stable group have all partitions, and each one once.
    pub(super) fn every_partition_owned_when_stable(group: &DescribedGroup) {
        if group.state != "Stable" {
            return;
        }
        let members = group.members.iter();
        let owned = members.flat_map(|member| member.assignment.iter().copied());
        let mut owned: Vec<u8> = owned.collect();
        owned.sort_unstable();
        assert!(
            owned.iter().copied().eq(0..PARTITIONS),
            "EveryPartitionOwnedWhenStable: only {owned:?} of {PARTITIONS} in {group:?}"
        );
    }

    pub(super) fn commit_acknowledged(&mut self, partition: u8, offset: i64) {
        let floor = self.floors.entry(partition).or_insert(-1);
        *floor = (*floor).max(offset);
    }

    /// CommittedOffsetNeverRegresses: what was acknowledged or shown is what is shown later, or a later commit.
    pub(super) fn committed_offset_never_regresses(
        &mut self,
        partition: u8,
        offset: i64,
        when: &str,
    ) {
        let floor = self.floors.entry(partition).or_insert(-1);
        assert!(
            offset >= *floor,
            "CommittedOffsetNeverRegresses: partition {partition} was at {floor} and is at {offset} {when}"
        );
        *floor = offset;
    }
}
