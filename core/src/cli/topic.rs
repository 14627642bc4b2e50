//! `rinka topic`: what topics there are, and changing them. One file a subcommand.
//!
//! Never changes more than it was told: names are exact, and there are no patterns.

mod alter;
mod create;
mod delete;
mod describe;
mod each;
mod list;

use clap::Subcommand;

use super::failure::Result;
pub(super) use each::no_doubles;

/// List, describe, create, delete and change topics
#[derive(Subcommand)]
#[command(after_help = "\
Examples:
  rinka topic list
  rinka topic create orders --partitions 12
  rinka topic alter orders --config retention.ms=86400000
  rinka topic describe orders
  rinka topic delete orders")]
pub(crate) enum Topic {
    List(list::List),
    Describe(describe::Describe),
    Create(create::Create),
    Delete(delete::Delete),
    Alter(alter::Alter),
}

pub(crate) fn run(arguments: Topic) -> Result<()> {
    match arguments {
        Topic::List(arguments) => list::run(&arguments),
        Topic::Describe(arguments) => describe::run(&arguments),
        Topic::Create(arguments) => create::run(&arguments),
        Topic::Delete(arguments) => delete::run(&arguments),
        Topic::Alter(arguments) => alter::run(&arguments),
    }
}

/// `key=value`, as `--config` takes it. The value may hold more equal signs, or nothing.
pub(super) fn parse_setting(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write KEY=VALUE, as in retention.ms=60000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_split_at_the_first_equal_sign() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(parse_setting("a=b"), pair("a", "b"));
        assert_eq!(parse_setting("a=b=c"), pair("a", "b=c"));
        assert_eq!(parse_setting("a="), pair("a", ""));
        assert!(parse_setting("a").is_err());
        assert!(parse_setting("=b").is_err());
    }
}
