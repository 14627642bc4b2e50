//! The simulation is tested too: each planted bug is found, by the name of the invariant that it breaks.

use rinka_storage::planted::{Planted, plant};

use crate::invariants::Invariant::{self, *};
use crate::tally::Tally;
use crate::{QUIET, SEEDS, violation};

/// Each bug, what it breaks, and within how many seeds that is seen.
const BUGS: &[(Planted, Invariant, u64)] = &[
    (Planted::AckBeforeFlush, AckedIsDurable, 20),
    (Planted::FlushErrorRetriedAsClean, FlushFailureIsFinal, 500),
    (Planted::FailureForgotten, FlushFailureIsFinal, 50),
    (Planted::JournalGenerationUnchecked, RecoveryIsBounded, 20),
    (Planted::RecycledFileReadAsNew, AckedIsDurable, 400),
    (Planted::CheckpointAheadOfSegmentSync, AckedIsDurable, 20),
    (
        Planted::JournalReleasedBeforeCheckpoint,
        AckedIsDurable,
        1000,
    ),
    (Planted::TornTailAccepted, NothingDamagedIsServed, 100),
    (Planted::ReferenceUnchecked, NothingDamagedIsServed, 100),
    (Planted::ProducerStateNotRestored, OrderAndOffsetsHold, 20),
    (Planted::IndexAheadOfLog, OrderAndOffsetsHold, 1500),
    (Planted::DirectBatchNotFlushed, AckedIsDurable, 20),
    (Planted::WritesCountedAnew, AckedIsDurable, 1500),
    (Planted::SegmentNameNotSynced, AckedIsDurable, 20),
    (Planted::ReplacementNotFlushed, AckedIsDurable, 20),
    (Planted::RecoveredNotFlushed, AckedIsDurable, 200),
    (Planted::LeftoversRemovedFirst, RecoveryIsIdempotent, 400),
    (Planted::ReplayOverwritesWhatFollows, AckedIsDurable, 200),
    (Planted::DamageServed, NothingDamagedIsServed, 100),
    (Planted::FirstBatchUnchecked, OrderAndOffsetsHold, 1500),
    (Planted::RecoveryReadsEverything, RecoveryIsBounded, 20),
    (Planted::CompactedNotSynced, AckedIsDurable, 100),
    (Planted::ReplacedBeforeCheckpoint, AckedIsDurable, 100),
    (Planted::TombstoneDroppedEarly, AckedIsDurable, 200),
    (Planted::ClaimsNotInCheckpoint, RecoveryIsBounded, 300),
    (Planted::DeletedInsistedOn, OnlyTheDiskFails, 1500),
];

#[test]
fn every_planted_bug_is_found() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !QUIET.get() {
            usual(panic);
        }
    }));
    QUIET.set(true);
    let mut missed = Vec::new();
    for &(bug, invariant, seeds) in BUGS {
        assert!(
            seeds <= SEEDS,
            "without the bug all of them pass: the other test runs them"
        );
        plant(Some(bug));
        let name = format!("{invariant:?}:");
        let mut others = Vec::new();
        let found = (0..seeds).find(|&seed| match violation(seed, &mut Tally::default()) {
            Some(violation) if violation.starts_with(&name) => true,
            Some(violation) => {
                others.push(format!(
                    "{seed}: {}",
                    violation.chars().take(160).collect::<String>()
                ));
                false
            }
            None => false,
        });
        match found {
            Some(seed) => println!("{bug:?}: {invariant:?} by seed {seed}"),
            None => {
                println!("{bug:?}: {invariant:?} not found; others: {others:#?}");
                missed.push(bug);
            }
        }
    }
    plant(None);
    QUIET.set(false);
    assert!(missed.is_empty(), "not found: {missed:?}");
}
