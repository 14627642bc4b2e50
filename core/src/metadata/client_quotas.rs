//! What clients may take in bytes and time, by user, client id and address (KIP-546): the limits, and which one holds for whom.
//!
//! Looks up only: what a client took is counted in `quota`, and what a limit may be is decided by `controller`.

use std::collections::BTreeMap;

/// Bytes a second that a client may send to be appended.
pub const PRODUCER_BYTE_RATE: &str = "producer_byte_rate";

/// Bytes a second that a client may fetch.
pub const CONSUMER_BYTE_RATE: &str = "consumer_byte_rate";

/// Hundredths of one shard's time that a client's requests may take.
pub const REQUEST_PERCENTAGE: &str = "request_percentage";

/// Partitions a second that a client may create and delete. Kept and shown, not enforced.
pub const CONTROLLER_MUTATION_RATE: &str = "controller_mutation_rate";

/// Connections a second that an address may open. Kept and shown, not enforced.
pub const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

/// A limit: a number above zero, and a finite one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuotaLimit(f64);

/// It is never "not a number".
impl Eq for QuotaLimit {}

impl QuotaLimit {
    #[must_use]
    pub fn new(limit: f64) -> Option<Self> {
        (limit.is_finite() && limit > 0.0).then_some(Self(limit))
    }

    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

/// One name, or whoever has no quota of their own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntityName {
    Default,
    Named(String),
}

/// Whom a quota is for. `None`: whatever that part is.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct QuotaEntity {
    pub user: Option<EntityName>,
    pub client_id: Option<EntityName>,
    pub ip: Option<EntityName>,
}

/// Who shares a limit: all that have the same key are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UsageKey {
    pub user: Option<String>,
    pub client_id: Option<String>,
}

/// All quotas of the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientQuotas {
    entities: BTreeMap<QuotaEntity, BTreeMap<String, QuotaLimit>>,
}

impl ClientQuotas {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// How many entities have a quota.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    #[must_use]
    pub fn contains(&self, entity: &QuotaEntity) -> bool {
        self.entities.contains_key(entity)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&QuotaEntity, &BTreeMap<String, QuotaLimit>)> {
        self.entities.iter()
    }

    pub(super) fn set(&mut self, entity: &QuotaEntity, key: &str, limit: Option<QuotaLimit>) {
        if let Some(limit) = limit {
            let limits = self.entities.entry(entity.clone()).or_default();
            limits.insert(key.to_owned(), limit);
        } else if let Some(limits) = self.entities.get_mut(entity) {
            limits.remove(key);
            if limits.is_empty() {
                self.entities.remove(entity);
            }
        }
    }

    /// The limit that holds for a client, and with whom it shares it: the most special one, as in Kafka.
    #[must_use]
    pub fn limit(&self, user: &str, client_id: &str, key: &str) -> Option<(UsageKey, QuotaLimit)> {
        if self.is_empty() {
            return None;
        }
        let users = [
            Some(EntityName::Named(user.to_owned())),
            Some(EntityName::Default),
            None,
        ];
        let client_ids = [
            Some(EntityName::Named(client_id.to_owned())),
            Some(EntityName::Default),
            None,
        ];
        for of_user in &users {
            for of_client in &client_ids {
                let entity = QuotaEntity {
                    user: of_user.clone(),
                    client_id: of_client.clone(),
                    ip: None,
                };
                let limits = self.entities.get(&entity);
                if let Some(&limit) = limits.and_then(|limits| limits.get(key)) {
                    // Also a default limit is each one's own: it holds for every client by itself.
                    let usage = UsageKey {
                        user: of_user.is_some().then(|| user.to_owned()),
                        client_id: of_client.is_some().then(|| client_id.to_owned()),
                    };
                    return Some((usage, limit));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(user: Option<&str>, client_id: Option<&str>) -> QuotaEntity {
        let name = |name: &str| match name {
            "*" => EntityName::Default,
            name => EntityName::Named(name.to_owned()),
        };
        QuotaEntity {
            user: user.map(name),
            client_id: client_id.map(name),
            ip: None,
        }
    }

    #[test]
    fn the_most_special_quota_holds() {
        // From the least special one on, each added to those before.
        let order = [
            (None, Some("*")),
            (None, Some("c")),
            (Some("*"), None),
            (Some("*"), Some("*")),
            (Some("*"), Some("c")),
            (Some("u"), None),
            (Some("u"), Some("*")),
            (Some("u"), Some("c")),
        ];
        let mut quotas = ClientQuotas::default();
        assert_eq!(quotas.limit("u", "c", PRODUCER_BYTE_RATE), None);
        for (number, (user, client_id)) in (1u8..).zip(order) {
            let limit = QuotaLimit::new(number.into());
            quotas.set(&entity(user, client_id), PRODUCER_BYTE_RATE, limit);
            let (usage, found) = quotas.limit("u", "c", PRODUCER_BYTE_RATE).unwrap();
            assert_eq!(Some(found), limit);
            assert_eq!(usage.user.as_deref(), user.map(|_| "u"));
            assert_eq!(usage.client_id.as_deref(), client_id.map(|_| "c"));
        }
        assert_eq!(quotas.limit("u", "c", CONSUMER_BYTE_RATE), None);
        let (usage, found) = quotas.limit("v", "d", PRODUCER_BYTE_RATE).unwrap();
        assert_eq!(found.get(), 4.0);
        assert_eq!(usage.client_id.as_deref(), Some("d"));
        for (user, client_id) in order {
            quotas.set(&entity(user, client_id), PRODUCER_BYTE_RATE, None);
        }
        assert!(quotas.is_empty());
    }

    #[test]
    fn limits_are_finite_and_above_zero() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(QuotaLimit::new(bad), None);
        }
        assert!(QuotaLimit::new(0.5).is_some());
    }
}
