//! Which names a topic may have, and which are the broker's own.

use std::fmt;

pub const CONSUMER_OFFSETS: &str = "__consumer_offsets";
pub const TRANSACTION_STATE: &str = "__transaction_state";
/// Kafka's quorum keeps its log under this name; nobody may create a topic of it.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Kafka's limit: with `-`, a partition number and a suffix it still makes a file name.
pub const NAME_LENGTH_MAX: usize = 249;

/// Whether Metadata shows the topic as internal.
#[must_use]
pub fn is_internal(name: &str) -> bool {
    matches!(name, CONSUMER_OFFSETS | TRANSACTION_STATE)
}

/// Why a text is no topic name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidTopicName {
    Empty,
    Dots(String),
    TooLong(String),
    Characters(String),
}

impl fmt::Display for InvalidTopicName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Topic name is invalid: ")?;
        match self {
            Self::Empty => formatter.write_str("the empty string is not allowed"),
            Self::Dots(name) => write!(formatter, "'{name}' is not allowed"),
            Self::TooLong(name) => write!(
                formatter,
                "the length of '{name}' is longer than the max allowed length {NAME_LENGTH_MAX}"
            ),
            Self::Characters(name) => write!(
                formatter,
                "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
            ),
        }
    }
}

pub fn validate(name: &str) -> Result<(), InvalidTopicName> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name {
        "" => Err(InvalidTopicName::Empty),
        "." | ".." => Err(InvalidTopicName::Dots(name.to_owned())),
        _ if name.len() > NAME_LENGTH_MAX => Err(InvalidTopicName::TooLong(name.to_owned())),
        _ if !name.bytes().all(is_allowed) => Err(InvalidTopicName::Characters(name.to_owned())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Result<(), &str>) {
        let validated = validate(name).map_err(|error| error.to_string());
        assert_eq!(
            validated,
            expected.map_err(|e| format!("Topic name is invalid: {e}"))
        );
    }

    #[test]
    fn names() {
        check("a.B_9-z", Ok(()));
        check("...", Ok(()));
        check(&"x".repeat(249), Ok(()));
        check("", Err("the empty string is not allowed"));
        check("..", Err("'..' is not allowed"));
        let long = "x".repeat(250);
        let expected = format!("the length of '{long}' is longer than the max allowed length 249");
        check(&long, Err(&expected));
        for bad in ["a b", "a/b", "ä", "a\n"] {
            let expected = format!(
                "'{bad}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
            );
            check(bad, Err(&expected));
        }
    }
}
