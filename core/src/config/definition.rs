//! What is known of one configuration key: its type, default, range, effect and documentation; and how a text becomes its value.
//!
//! Decides about one value at a time; never about how two keys go together.

use std::fmt;

/// A key as the tables of this module's neighbours list it.
#[derive(Debug)]
pub struct Definition {
    pub key: &'static str,
    pub config_type: ConfigType,
    /// As it would be written in a file. `None`: unset unless somebody sets it.
    pub default: Option<&'static str>,
    pub allowed: Allowed,
    pub effect: Effect,
    pub documentation: &'static str,
}

/// Kafka's types of configuration values; the numbers are those of DescribeConfigs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum ConfigType {
    Boolean = 1,
    String = 2,
    Int = 3,
    Short = 4,
    Long = 5,
    Double = 6,
    List = 7,
    Class = 8,
    Password = 9,
}

/// Which values of the type are taken.
#[derive(Clone, Copy, Debug)]
pub enum Allowed {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    BetweenDoubles(f64, f64),
    /// The text, or each element of the list, is one of these.
    OneOf(&'static [&'static str]),
    /// As `OneOf`, and the list may be empty.
    NoneOrSomeOf(&'static [&'static str]),
    /// `*`, or `partition:broker` pairs: the form of the replication throttles.
    ThrottledReplicas,
}

/// What setting the key does here.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    Honoured,
    /// Taken and shown, but nothing listens to it; the text says why.
    Without(&'static str),
    /// Not built, and ignoring it would silently give less than was asked for: start-up stops unless the value is one of these.
    RefusedUnless(&'static [&'static str], &'static str),
}

/// A text that became what its type says.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Boolean(bool),
    Number(i64),
    Double(f64),
    Text(String),
    List(Vec<String>),
}

/// Reads as Kafka's ConfigException does: clients and their tests look for these words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidValue {
    pub key: String,
    pub value: String,
    pub problem: String,
}

impl fmt::Display for InvalidValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            value,
            problem,
        } = self;
        write!(
            formatter,
            "Invalid value {value} for configuration {key}: {problem}"
        )
    }
}

impl std::error::Error for InvalidValue {}

impl Definition {
    pub(crate) fn parse(&self, text: &str) -> Result<Value, InvalidValue> {
        self.parse_type(text)
            .and_then(|value| self.check_allowed(&value).map(|()| value))
            .map_err(|problem| InvalidValue {
                key: self.key.to_owned(),
                value: if self.is_sensitive() {
                    "[hidden]".to_owned()
                } else {
                    text.to_owned()
                },
                problem,
            })
    }

    #[must_use]
    pub fn is_sensitive(&self) -> bool {
        self.config_type == ConfigType::Password
    }

    fn parse_type(&self, text: &str) -> Result<Value, String> {
        let trimmed = text.trim();
        let whole = |type_name: &str, min: i64, max: i64| match trimmed.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(Value::Number(number)),
            _ => Err(format!("Not a number of type {type_name}")),
        };
        match self.config_type {
            ConfigType::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
            ConfigType::Boolean if trimmed.eq_ignore_ascii_case("false") => {
                Ok(Value::Boolean(false))
            }
            ConfigType::Boolean => Err("Expected value to be either true or false".to_owned()),
            ConfigType::Int => whole("INT", i32::MIN.into(), i32::MAX.into()),
            ConfigType::Short => whole("SHORT", i16::MIN.into(), i16::MAX.into()),
            ConfigType::Long => whole("LONG", i64::MIN, i64::MAX),
            ConfigType::Double => match trimmed.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Value::Double(number)),
                _ => Err("Not a number of type DOUBLE".to_owned()),
            },
            ConfigType::List => Ok(Value::List(split_list(trimmed))),
            ConfigType::Password => Ok(Value::Text(text.to_owned())),
            ConfigType::String | ConfigType::Class => Ok(Value::Text(trimmed.to_owned())),
        }
    }

    fn check_allowed(&self, value: &Value) -> Result<(), String> {
        match (self.allowed, value) {
            (Allowed::AtLeast(min) | Allowed::Between(min, _), Value::Number(number))
                if *number < min =>
            {
                Err(format!("Value must be at least {min}"))
            }
            (Allowed::Between(_, max), Value::Number(number)) if *number > max => {
                Err(format!("Value must be no more than {max}"))
            }
            (Allowed::BetweenDoubles(min, _), Value::Double(number)) if *number < min => {
                Err(format!("Value must be at least {min}"))
            }
            (Allowed::BetweenDoubles(_, max), Value::Double(number)) if *number > max => {
                Err(format!("Value must be no more than {max}"))
            }
            (Allowed::OneOf(choices), Value::Text(text)) if !choices.contains(&text.as_str()) => {
                Err(none_of(choices))
            }
            (Allowed::OneOf(choices), Value::List(list)) if list.is_empty() => {
                Err(none_of(choices))
            }
            (Allowed::OneOf(choices) | Allowed::NoneOrSomeOf(choices), Value::List(list))
                if !list.iter().all(|e| choices.contains(&e.as_str())) =>
            {
                Err(none_of(choices))
            }
            (Allowed::ThrottledReplicas, Value::List(list)) if !are_throttled_replicas(list) => {
                Err(format!(
                    "{} must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],...",
                    self.key
                ))
            }
            _ => Ok(()),
        }
    }
}

fn none_of(choices: &[&str]) -> String {
    format!("String must be one of: {}", choices.join(", "))
}

impl Value {
    pub(crate) fn boolean(&self) -> bool {
        match self {
            Self::Boolean(value) => *value,
            other => panic!("the table says this key is not a boolean: {other:?}"),
        }
    }

    pub(crate) fn number(&self) -> i64 {
        match self {
            Self::Number(value) => *value,
            other => panic!("the table says this key is not a whole number: {other:?}"),
        }
    }

    pub(crate) fn double(&self) -> f64 {
        match self {
            Self::Double(value) => *value,
            other => panic!("the table says this key is not a double: {other:?}"),
        }
    }

    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Text(value) => value,
            other => panic!("the table says this key is not a string: {other:?}"),
        }
    }

    pub(crate) fn into_list(self) -> Vec<String> {
        match self {
            Self::List(value) => value,
            other => panic!("the table says this key is not a list: {other:?}"),
        }
    }
}

/// `a, b` becomes two elements; an empty text is an empty list.
pub(crate) fn split_list(text: &str) -> Vec<String> {
    text.split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .map(str::to_owned)
        .collect()
}

fn are_throttled_replicas(list: &[String]) -> bool {
    let is_number = |text: &str| text.parse::<u32>().is_ok();
    let is_pair = |element: &String| {
        element
            .split_once(':')
            .is_some_and(|(partition, broker)| is_number(partition) && is_number(broker))
    };
    matches!(list, [only] if only == "*") || list.iter().all(is_pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(config_type: ConfigType, allowed: Allowed, text: &str, expected: Result<Value, &str>) {
        let definition = Definition {
            key: "k",
            config_type,
            default: None,
            allowed,
            effect: Effect::Honoured,
            documentation: "",
        };
        let parsed = definition.parse(text).map_err(|error| error.to_string());
        assert_eq!(parsed, expected.map_err(str::to_owned));
    }

    #[test]
    fn errors_read_as_in_kafka() {
        use ConfigType::*;
        check(Int, Allowed::AtLeast(1), " 7 ", Ok(Value::Number(7)));
        check(
            Int,
            Allowed::AtLeast(1),
            "0",
            Err("Invalid value 0 for configuration k: Value must be at least 1"),
        );
        check(
            Int,
            Allowed::Any,
            "3000000000",
            Err("Invalid value 3000000000 for configuration k: Not a number of type INT"),
        );
        check(
            Long,
            Allowed::Any,
            "week",
            Err("Invalid value week for configuration k: Not a number of type LONG"),
        );
        check(
            Boolean,
            Allowed::Any,
            "yes",
            Err("Invalid value yes for configuration k: Expected value to be either true or false"),
        );
        check(
            Double,
            Allowed::BetweenDoubles(0.0, 1.0),
            "1.5",
            Err("Invalid value 1.5 for configuration k: Value must be no more than 1"),
        );
        check(
            List,
            Allowed::OneOf(&["compact", "delete"]),
            "compact, purge",
            Err(
                "Invalid value compact, purge for configuration k: String must be one of: compact, delete",
            ),
        );
        check(
            List,
            Allowed::NoneOrSomeOf(&["compact", "delete"]),
            "",
            Ok(Value::List(Vec::new())),
        );
        check(
            Int,
            Allowed::Between(1, 17),
            "99",
            Err("Invalid value 99 for configuration k: Value must be no more than 17"),
        );
        check(
            Password,
            Allowed::Any,
            " secret ",
            Ok(Value::Text(" secret ".to_owned())),
        );
    }

    #[test]
    fn throttled_replicas() {
        let list = |text: &str| are_throttled_replicas(&split_list(text));
        assert!(list("") && list("*") && list("0:1, 5:2"));
        assert!(!list("*,0:1") && !list("0") && !list("0:1:2") && !list("a:1"));
    }
}
