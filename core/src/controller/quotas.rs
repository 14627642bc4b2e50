//! Changes the quotas of clients (KIP-546).
//!
//! All the changes of one entity are taken or none; never counts what a client takes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Decision;
use super::error::AlterQuotaError;
use crate::metadata::client_quotas::{
    CONNECTION_CREATION_RATE, CONSUMER_BYTE_RATE, CONTROLLER_MUTATION_RATE, EntityName,
    PRODUCER_BYTE_RATE, QuotaEntity, QuotaLimit, REQUEST_PERCENTAGE,
};
use crate::metadata::image::MetadataImage;
use crate::metadata::records::MetadataRecord;

/// Entities that may have a quota: what clients can make is bounded, and each takes memory on every shard.
pub const ENTITIES_MAX: usize = 10_000;

/// How far from a whole number a limit may be that must be whole, as in Kafka.
const FRACTION_MAX: f64 = 1e-6;

/// What is to change of one entity.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterQuota {
    /// Type and name, as they came; `None`: the default entity.
    pub entity: Vec<(String, Option<String>)>,
    /// `None` removes the limit.
    pub changes: Vec<(String, Option<f64>)>,
}

/// One outcome for each entity of the request, in its order.
pub fn alter_quotas(
    requests: &[AlterQuota],
    validate_only: bool,
    image: &MetadataImage,
) -> Decision<Vec<Result<(), AlterQuotaError>>> {
    let mut new_entities = BTreeSet::new();
    let mut records = Vec::new();
    let mut response = Vec::new();
    for request in requests {
        let outcome = alter(request, image, &mut new_entities);
        response.push(outcome.map(|of_entity| records.extend(of_entity)));
    }
    if validate_only {
        records.clear();
    }
    Decision { records, response }
}

fn alter(
    request: &AlterQuota,
    image: &MetadataImage,
    new_entities: &mut BTreeSet<QuotaEntity>,
) -> Result<Vec<MetadataRecord>, AlterQuotaError> {
    let entity = entity(&request.entity)?;
    let records: Vec<MetadataRecord> = request
        .changes
        .iter()
        .map(|(key, limit)| {
            check_key(key, &entity)?;
            let limit = match limit {
                Some(limit) => Some(checked(key, *limit)?),
                None => None,
            };
            Ok(MetadataRecord::ClientQuotaSet {
                entity: entity.clone(),
                key: key.clone(),
                limit,
            })
        })
        .collect::<Result<_, _>>()?;
    let sets = |record: &MetadataRecord| {
        matches!(
            record,
            MetadataRecord::ClientQuotaSet { limit: Some(_), .. }
        )
    };
    let quotas = image.client_quotas();
    if !quotas.contains(&entity) && records.iter().any(sets) {
        new_entities.insert(entity);
        if quotas.len() + new_entities.len() > ENTITIES_MAX {
            return Err(AlterQuotaError::TooManyEntities);
        }
    }
    Ok(records)
}

/// The entity of these types and names.
fn entity(parts: &[(String, Option<String>)]) -> Result<QuotaEntity, AlterQuotaError> {
    let mut entity = QuotaEntity::default();
    for (entity_type, name) in parts {
        let (part, entity_type) = match entity_type.as_str() {
            "user" => (&mut entity.user, "user"),
            "client-id" => (&mut entity.client_id, "client-id"),
            "ip" => (&mut entity.ip, "ip"),
            other => return Err(AlterQuotaError::UnknownEntityType(other.to_owned())),
        };
        if part.is_some() {
            return Err(AlterQuotaError::DuplicateEntityType);
        }
        *part = Some(match name.as_deref() {
            None => EntityName::Default,
            Some("") => return Err(AlterQuotaError::EmptyName(entity_type)),
            Some(name) => EntityName::Named(name.to_owned()),
        });
    }
    let is_client = entity.user.is_some() || entity.client_id.is_some();
    match &entity.ip {
        Some(_) if is_client => Err(AlterQuotaError::AddressWithOthers),
        Some(EntityName::Named(address)) if address.parse::<IpAddr>().is_err() => {
            Err(AlterQuotaError::InvalidAddress(address.clone()))
        }
        None if !is_client => Err(AlterQuotaError::NoEntity),
        _ => Ok(entity),
    }
}

fn check_key(key: &str, entity: &QuotaEntity) -> Result<(), AlterQuotaError> {
    const OF_CLIENTS: &[&str] = &[
        PRODUCER_BYTE_RATE,
        CONSUMER_BYTE_RATE,
        REQUEST_PERCENTAGE,
        CONTROLLER_MUTATION_RATE,
    ];
    let known: &[&str] = match entity.ip {
        Some(_) => &[CONNECTION_CREATION_RATE],
        None => OF_CLIENTS,
    };
    match known.contains(&key) {
        true => Ok(()),
        false => Err(AlterQuotaError::UnknownKey(key.to_owned())),
    }
}

fn checked(key: &str, limit: f64) -> Result<QuotaLimit, AlterQuotaError> {
    let limit = QuotaLimit::new(limit).ok_or_else(|| AlterQuotaError::Limit {
        key: key.to_owned(),
    })?;
    let must_be_whole = !matches!(key, REQUEST_PERCENTAGE | CONTROLLER_MUTATION_RATE);
    if must_be_whole && (limit.get() - limit.get().round()).abs() > FRACTION_MAX {
        return Err(AlterQuotaError::Fraction {
            key: key.to_owned(),
        });
    }
    Ok(limit)
}

#[cfg(test)]
mod tests {
    use super::super::topics;
    use super::*;

    fn request(entity: &[(&str, Option<&str>)], changes: &[(&str, Option<f64>)]) -> AlterQuota {
        AlterQuota {
            entity: entity
                .iter()
                .map(|(kind, name)| ((*kind).to_owned(), name.map(str::to_owned)))
                .collect(),
            changes: changes
                .iter()
                .map(|(key, limit)| ((*key).to_owned(), *limit))
                .collect(),
        }
    }

    fn check_refused(
        entity: &[(&str, Option<&str>)],
        changes: &[(&str, Option<f64>)],
        expected: &str,
    ) {
        let decision = alter_quotas(
            &[request(entity, changes)],
            false,
            &MetadataImage::default(),
        );
        let error = decision.response[0].clone().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(decision.records.is_empty());
    }

    #[test]
    fn a_quota_is_set_and_removed() {
        let mut image = MetadataImage::default();
        let client = [("client-id", Some("c"))];
        let set = request(&client, &[(PRODUCER_BYTE_RATE, Some(1024.0))]);
        let only_looked_at = alter_quotas(std::slice::from_ref(&set), true, &image);
        assert!(only_looked_at.records.is_empty() && only_looked_at.response[0].is_ok());
        let decision = alter_quotas(&[set], false, &image);
        topics::replay_decided(&mut image, &decision.records);
        let quotas = image.client_quotas();
        let (_, limit) = quotas.limit("u", "c", PRODUCER_BYTE_RATE).unwrap();
        assert_eq!(limit.get(), 1024.0);
        let removed = request(&client, &[(PRODUCER_BYTE_RATE, None)]);
        let decision = alter_quotas(&[removed], false, &image);
        topics::replay_decided(&mut image, &decision.records);
        assert!(image.client_quotas().is_empty());
    }

    #[test]
    fn refusals_read_as_in_kafka() {
        let rate = [(PRODUCER_BYTE_RATE, Some(1.0))];
        check_refused(&[], &rate, "Invalid empty client quota entity");
        check_refused(
            &[("planet", None)],
            &rate,
            "Unhandled client quota entity type: planet",
        );
        check_refused(
            &[("user", None), ("user", Some("a"))],
            &rate,
            "duplicate entity type",
        );
        check_refused(&[("user", Some(""))], &rate, "Empty user not supported");
        check_refused(
            &[("ip", None), ("user", None)],
            &rate,
            "IP entity shouldnot be combined",
        );
        check_refused(
            &[("ip", Some("nowhere"))],
            &[(CONNECTION_CREATION_RATE, Some(1.0))],
            "not a valid IP",
        );
        check_refused(&[("ip", None)], &rate, "Invalid configuration key");
        check_refused(
            &[("user", None)],
            &[("colour", Some(1.0))],
            "Invalid configuration key colour",
        );
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            check_refused(
                &[("user", None)],
                &[(PRODUCER_BYTE_RATE, Some(bad))],
                "must be greater than 0",
            );
        }
        check_refused(
            &[("user", None)],
            &[(CONSUMER_BYTE_RATE, Some(1.5))],
            "cannot be a fractional value",
        );
    }

    #[test]
    fn there_is_an_end_to_entities() {
        let requests: Vec<_> = (0..=ENTITIES_MAX)
            .map(|number| {
                let name = number.to_string();
                request(
                    &[("client-id", Some(&name))],
                    &[(REQUEST_PERCENTAGE, Some(0.5))],
                )
            })
            .collect();
        let decision = alter_quotas(&requests, false, &MetadataImage::default());
        assert_eq!(decision.records.len(), ENTITIES_MAX);
        let last = decision.response.last().unwrap();
        assert_eq!(*last, Err(AlterQuotaError::TooManyEntities));
    }
}
