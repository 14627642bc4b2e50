//! The simulation is tested too: each planted bug is found, by the name of the invariant that it breaks.

use std::ops::Range;

use rinka_storage::planted::{Planted, plant};

use crate::invariants::Invariant::{self, *};
use crate::tally::Tally;
use crate::{QUIET, SEEDS, violation};

/// Each bug, what it breaks, and the seeds within which that is seen.
const BUGS: &[(Planted, Invariant, Range<u64>)] = &[
    (Planted::AckBeforeFlush, AckedIsDurable, 0..20),
    (
        Planted::FlushErrorRetriedAsClean,
        FlushFailureIsFinal,
        0..500,
    ),
    (Planted::FailureForgotten, FlushFailureIsFinal, 0..50),
    (
        Planted::JournalGenerationUnchecked,
        RecoveryIsBounded,
        0..20,
    ),
    (Planted::RecycledFileReadAsNew, AckedIsDurable, 0..400),
    (Planted::CheckpointAheadOfSegmentSync, AckedIsDurable, 0..20),
    (
        Planted::JournalReleasedBeforeCheckpoint,
        AckedIsDurable,
        0..1000,
    ),
    (Planted::TornTailAccepted, NothingDamagedIsServed, 0..100),
    (Planted::ReferenceUnchecked, NothingDamagedIsServed, 0..100),
    (
        Planted::ProducerStateNotRestored,
        OrderAndOffsetsHold,
        0..20,
    ),
    (Planted::IndexAheadOfLog, OrderAndOffsetsHold, 0..1500),
    (Planted::DirectBatchNotFlushed, AckedIsDurable, 0..20),
    (Planted::WritesCountedAnew, AckedIsDurable, 799..800),
    (Planted::SegmentNameNotSynced, AckedIsDurable, 0..20),
    (Planted::ReplacementNotFlushed, AckedIsDurable, 0..20),
    (Planted::RecoveredNotFlushed, AckedIsDurable, 0..200),
    (Planted::LeftoversRemovedFirst, RecoveryIsIdempotent, 0..400),
    (Planted::ReplayOverwritesWhatFollows, AckedIsDurable, 0..200),
    (Planted::DamageServed, NothingDamagedIsServed, 0..100),
    (Planted::FirstBatchUnchecked, OrderAndOffsetsHold, 0..1500),
    (Planted::RecoveryReadsEverything, RecoveryIsBounded, 0..20),
    (Planted::CompactedNotSynced, AckedIsDurable, 0..100),
    (Planted::ReplacedBeforeCheckpoint, AckedIsDurable, 0..100),
    (Planted::TombstoneDroppedEarly, AckedIsDurable, 0..200),
    (Planted::ClaimsNotInCheckpoint, RecoveryIsBounded, 0..300),
    (Planted::DeletedInsistedOn, OnlyTheDiskFails, 0..100),
    (Planted::HoleInSegment, NothingDamagedIsServed, 11592..11593),
    (Planted::DeletedForgotten, RecoveryIsBounded, 7036..7037),
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
    for (bug, invariant, seeds) in BUGS.iter().cloned() {
        plant(None);
        // The other test runs the first of them.
        for seed in seeds.clone().filter(|&seed| seed >= SEEDS) {
            let without = violation(seed, &mut Tally::default());
            assert_eq!(without, None, "seed {seed} without the bug");
        }
        plant(Some(bug));
        let name = format!("{invariant:?}:");
        let mut others = Vec::new();
        let found = seeds
            .into_iter()
            .find(|&seed| match violation(seed, &mut Tally::default()) {
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
