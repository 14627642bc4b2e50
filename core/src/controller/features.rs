//! The features of the cluster and the levels it has agreed on (KIP-584): what clients and tools take a broker's abilities from.
//!
//! Decides about levels only: what a level switches on is decided where it is used.

use std::collections::BTreeSet;

use super::Decision;
use super::error::UpdateFeatureError;
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;

/// Kafka's number of 4.0-IV3: what tools read from it is which APIs and semantics to expect.
const METADATA_VERSION: i16 = 25;

/// A feature that this release has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    pub name: &'static str,
    pub min: i16,
    pub max: i16,
    /// The level of a cluster that never changed it; 0: none.
    pub initial: i16,
}

/// In the order of the alphabet.
const FEATURES: &[Feature] = &[
    Feature {
        name: "group.version",
        min: 0,
        max: 1,
        initial: 1,
    },
    // Voters are not added or removed while the quorum runs, which is what level 1 would say.
    Feature {
        name: "kraft.version",
        min: 0,
        max: 0,
        initial: 0,
    },
    Feature {
        name: "metadata.version",
        min: METADATA_VERSION,
        max: METADATA_VERSION,
        initial: METADATA_VERSION,
    },
];

/// What is to become of one feature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureUpdate {
    pub feature: String,
    /// 0: no longer finalized.
    pub level: i16,
    /// 1: upgrade, 2: downgrade that loses nothing, 3: downgrade that may lose metadata.
    pub upgrade_type: i8,
}

/// The features there are.
pub fn supported() -> impl Iterator<Item = Feature> {
    FEATURES.iter().copied()
}

/// Those that are finalized, and at which level.
pub fn finalized(image: &MetadataImage) -> impl Iterator<Item = (Feature, i16)> {
    supported()
        .map(|feature| (feature, level(feature, image)))
        .filter(|(_, level)| *level > 0)
}

fn level(feature: Feature, image: &MetadataImage) -> i16 {
    let set = image.feature_levels().get(feature.name).copied();
    set.unwrap_or(feature.initial)
        .clamp(feature.min, feature.max)
}

/// All updates are made, or none and the first error is told (KIP-1022).
pub fn update_features(
    updates: &[FeatureUpdate],
    validate_only: bool,
    image: &MetadataImage,
) -> Decision<Result<(), UpdateFeatureError>> {
    let mut seen = BTreeSet::new();
    let decided: Result<Vec<_>, _> = updates
        .iter()
        .map(|update| match seen.insert(&update.feature) {
            true => check(update, image),
            false => Err(UpdateFeatureError::Duplicate {
                feature: update.feature.clone(),
            }),
        })
        .collect();
    match decided {
        Ok(_) if validate_only => Decision {
            records: Vec::new(),
            response: Ok(()),
        },
        Ok(records) => Decision {
            records: records.into_iter().flatten().collect(),
            response: Ok(()),
        },
        Err(error) => Decision {
            records: Vec::new(),
            response: Err(error),
        },
    }
}

/// `None`: it has that level already.
fn check(
    update: &FeatureUpdate,
    image: &MetadataImage,
) -> Result<Option<MetadataRecord>, UpdateFeatureError> {
    let (feature, level) = (update.feature.clone(), update.level);
    if !(1..=3).contains(&update.upgrade_type) {
        return Err(UpdateFeatureError::UnknownUpgradeType { feature, level });
    }
    let Some(known) = supported().find(|known| known.name == feature) else {
        return Err(UpdateFeatureError::Unsupported { feature, level });
    };
    if level < 0 {
        return Err(UpdateFeatureError::Negative { feature, level });
    }
    if !(known.min..=known.max).contains(&level) {
        return Err(UpdateFeatureError::OutOfRange {
            feature,
            level,
            min: known.min,
            max: known.max,
        });
    }
    let current = self::level(known, image);
    if level < current && update.upgrade_type == 1 {
        return Err(UpdateFeatureError::DowngradeNotAllowed { feature, level });
    }
    Ok(
        (level != current).then_some(MetadataRecord::FeatureLevelSet {
            name: feature,
            level,
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::super::topics;
    use super::*;

    fn update(feature: &str, level: i16, upgrade_type: i8) -> FeatureUpdate {
        FeatureUpdate {
            feature: feature.to_owned(),
            level,
            upgrade_type,
        }
    }

    fn check_refused(update: FeatureUpdate, expected: &str) {
        let decision = update_features(&[update], false, &MetadataImage::default());
        let error = decision.response.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(decision.records.is_empty());
    }

    #[test]
    fn a_new_cluster_has_a_metadata_version() {
        let image = MetadataImage::default();
        let levels: Vec<_> = finalized(&image)
            .map(|(feature, level)| (feature.name, level))
            .collect();
        assert!(levels.contains(&("metadata.version", 25)));
        assert!(!levels.iter().any(|(name, _)| *name == "kraft.version"));
        assert!(levels.contains(&("group.version", 1)));
    }

    #[test]
    fn features_are_listed_once_and_their_initial_level_is_one_of_theirs() {
        assert!(FEATURES.is_sorted_by(|a, b| a.name < b.name));
        for feature in FEATURES {
            assert!((feature.min..=feature.max).contains(&feature.initial));
        }
    }

    #[test]
    fn refusals() {
        check_refused(update("colour", 1, 1), "does not support this feature");
        check_refused(update("metadata.version", -1, 3), "cannot be less than 0");
        check_refused(
            update("metadata.version", 26, 1),
            "only supports versions 25-25",
        );
        check_refused(
            update("metadata.version", 25, 9),
            "does not support the given upgrade type",
        );
        let twice = [
            update("metadata.version", 25, 1),
            update("metadata.version", 25, 1),
        ];
        let decision = update_features(&twice, false, &MetadataImage::default());
        assert!(decision.response.is_err());
    }

    #[test]
    fn a_level_that_is_there_already_writes_nothing() {
        let updates = [update("metadata.version", 25, 1)];
        let decision = update_features(&updates, false, &MetadataImage::default());
        assert_eq!((decision.records, decision.response), (vec![], Ok(())));
    }

    #[test]
    fn a_level_of_another_release_is_taken_for_the_nearest_one_we_have() {
        let mut image = MetadataImage::default();
        let record = MetadataRecord::FeatureLevelSet {
            name: "metadata.version".to_owned(),
            level: 99,
        };
        topics::replay_decided(&mut image, &[record]);
        let found = finalized(&image).find(|(feature, _)| feature.name == "metadata.version");
        assert_eq!(found.map(|(_, level)| level), Some(25));
    }
}
