//! DescribeClientQuotas (48): the quotas of users, client ids and addresses that match a filter.

use std::collections::BTreeMap;

use rinka_net::wire::describe_client_quotas::{
    ComponentData, DescribeClientQuotasRequest, DescribeClientQuotasResponse, EntityData,
    EntryData, ValueData,
};
use rinka_net::wire::{ErrorCode, Text};

use super::Context;
use crate::metadata::client_quotas::{EntityName, QuotaEntity};

pub(super) fn handle(
    context: &Context,
    request: &DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    let filter = match filter(&request.components) {
        Ok(filter) => filter,
        Err((error_code, message)) => {
            return DescribeClientQuotasResponse {
                error_code,
                error_message: Some(Text::from(message)),
                entries: None,
                ..Default::default()
            };
        }
    };
    let image = context.shard.image.borrow();
    let quotas = image.client_quotas().iter();
    let entries = quotas
        .filter(|(entity, _)| matches(&filter, request.strict, entity))
        .map(|(entity, limits)| EntryData {
            entity: parts(entity)
                .filter_map(|(entity_type, name)| {
                    Some(EntityData {
                        entity_type: Text::from(entity_type),
                        entity_name: match name? {
                            EntityName::Default => None,
                            EntityName::Named(name) => Some(Text::from(name.clone())),
                        },
                    })
                })
                .collect(),
            values: limits
                .iter()
                .map(|(key, limit)| ValueData {
                    key: Text::from(key.clone()),
                    value: limit.get(),
                })
                .collect(),
        });
    DescribeClientQuotasResponse {
        entries: Some(entries.collect()),
        ..Default::default()
    }
}

/// What one part of an entity must be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Is(EntityName),
    Any,
}

type Filter = BTreeMap<&'static str, Wanted>;

fn parts(entity: &QuotaEntity) -> impl Iterator<Item = (&'static str, Option<&EntityName>)> {
    [
        ("user", entity.user.as_ref()),
        ("client-id", entity.client_id.as_ref()),
        ("ip", entity.ip.as_ref()),
    ]
    .into_iter()
}

fn filter(components: &[ComponentData]) -> Result<Filter, (ErrorCode, String)> {
    let refuse = |message: String| Err((ErrorCode::INVALID_REQUEST, message));
    let mut filter = Filter::new();
    for component in components {
        let entity_type = match &*component.entity_type {
            "user" => "user",
            "client-id" => "client-id",
            "ip" => "ip",
            "" => return refuse("Invalid empty entity type.".to_owned()),
            other => {
                let message = format!("Unsupported entity type {other}");
                return Err((ErrorCode::UNSUPPORTED_VERSION, message));
            }
        };
        let wanted = match (component.match_type, &component.r#match) {
            (0, Some(name)) => Wanted::Is(EntityName::Named(name.to_string())),
            (0, None) => {
                return refuse(
                    "Request specified MATCH_TYPE_EXACT, but set match string to null.".to_owned(),
                );
            }
            (1, None) => Wanted::Is(EntityName::Default),
            (2, None) => Wanted::Any,
            (1 | 2, Some(_)) => {
                return refuse(
                    "Request specified no MATCH_TYPE_EXACT, but also specified a match string."
                        .to_owned(),
                );
            }
            (other, _) => return refuse(format!("Unknown match type {other}")),
        };
        if filter.insert(entity_type, wanted).is_some() {
            return refuse(format!(
                "Entity type {entity_type} cannot appear more than once in the filter."
            ));
        }
    }
    if filter.contains_key("ip") && filter.len() > 1 {
        return refuse(
            "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component."
                .to_owned(),
        );
    }
    Ok(filter)
}

fn matches(filter: &Filter, strict: bool, entity: &QuotaEntity) -> bool {
    parts(entity).all(
        |(entity_type, name)| match (filter.get(entity_type), name) {
            (None, Some(_)) => !strict,
            (None, None) => true,
            (Some(_), None) => false,
            (Some(Wanted::Any), Some(_)) => true,
            (Some(Wanted::Is(wanted)), Some(name)) => wanted == name,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(
        entity_type: &'static str,
        match_type: i8,
        name: Option<&'static str>,
    ) -> ComponentData {
        ComponentData {
            entity_type: Text::from(entity_type),
            match_type,
            r#match: name.map(Text::from),
        }
    }

    #[test]
    fn filters_match_what_they_say() {
        let named = |name: &str| Some(EntityName::Named(name.to_owned()));
        let both = QuotaEntity {
            user: named("u"),
            client_id: Some(EntityName::Default),
            ip: None,
        };
        let check = |components: &[ComponentData], strict: bool| {
            matches(&filter(components).unwrap(), strict, &both)
        };
        assert!(check(&[], false) && !check(&[], true));
        let user = component("user", 0, Some("u"));
        assert!(check(std::slice::from_ref(&user), false));
        assert!(!check(std::slice::from_ref(&user), true));
        assert!(check(
            &[user.clone(), component("client-id", 1, None)],
            true
        ));
        assert!(check(
            &[user.clone(), component("client-id", 2, None)],
            true
        ));
        assert!(!check(&[user, component("client-id", 0, Some("c"))], false));
        assert!(!check(&[component("ip", 2, None)], false));
    }

    #[test]
    fn filters_that_make_no_sense_are_refused() {
        for (components, expected) in [
            (
                vec![component("planet", 2, None)],
                ErrorCode::UNSUPPORTED_VERSION,
            ),
            (vec![component("user", 0, None)], ErrorCode::INVALID_REQUEST),
            (
                vec![component("user", 1, Some("u"))],
                ErrorCode::INVALID_REQUEST,
            ),
            (vec![component("user", 9, None)], ErrorCode::INVALID_REQUEST),
            (
                vec![component("user", 2, None), component("user", 2, None)],
                ErrorCode::INVALID_REQUEST,
            ),
            (
                vec![component("ip", 2, None), component("user", 2, None)],
                ErrorCode::INVALID_REQUEST,
            ),
        ] {
            assert_eq!(filter(&components).unwrap_err().0, expected);
        }
    }
}
