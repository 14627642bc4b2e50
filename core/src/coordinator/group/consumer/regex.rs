//! Subscriptions by regular expression: which topics an expression means (KIP-848, ConsumerGroupHeartbeat version 1).
//!
//! The syntax is RE2's, which has no backreferences and matches in linear time; an expression means the topics whose whole name it
//! matches. Never waits and never takes more memory than its limits say.

use std::collections::BTreeSet;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::topics_view::TopicsView;

/// Memory of a compiled expression. Topic names are short and simple; what needs more is an attack.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// How deep groups may nest, as in RE2.
const NESTING_MAX: u32 = 1000;

/// The topics that an expression meant when it was looked at last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedRegex {
    pub topics: BTreeSet<Arc<str>>,
    /// The version of the view that was looked at.
    pub version: u64,
    /// When, in milliseconds since the Unix epoch.
    pub timestamp_ms: i64,
}

/// Compiles an expression so that it matches whole names only.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    let pattern = without_quotations(pattern);
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .size_limit(COMPILED_BYTES_MAX)
            .dfa_size_limit(COMPILED_BYTES_MAX)
            .nest_limit(NESTING_MAX)
            .build()
    };
    // Alone first: `a)|(b` would be well-formed between the parentheses below, and mean something else.
    let whole = build(&pattern).and_then(|_| build(&format!(r"\A(?:{pattern})\z")));
    whole.map_err(|error| match error {
        regex::Error::Syntax(text) => in_words_of_re2(text.lines().last().unwrap_or_default()),
        other => other.to_string(),
    })
}

/// The topics that the expression means; none when it does not compile, which it did when it was subscribed to.
pub(super) fn resolve(pattern: &str, topics: &TopicsView) -> BTreeSet<Arc<str>> {
    let Ok(regex) = compile(pattern) else {
        return BTreeSet::new();
    };
    let names = topics.names().filter(|name| regex.is_match(name));
    names.map(Arc::clone).collect()
}

/// Kafka shows its users RE2's words for what is wrong; for what has none there, those of this parser.
fn in_words_of_re2(reason: &str) -> String {
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    let words = match reason {
        "unclosed group" => "missing closing )",
        "unclosed character class" => "missing closing ]",
        "repetition operator missing expression" => "missing argument to repetition operator",
        "incomplete escape sequence, reached end of pattern prematurely" => {
            "trailing backslash at end of expression"
        }
        "unrecognized escape sequence" | "backreferences are not supported" => {
            "invalid escape sequence"
        }
        "invalid repetition count range, the start must be <= the end" => "invalid repeat count",
        "invalid character class range, the start must be <= the end"
        | "Unicode property not found" => "invalid character class range",
        "look-around, including look-ahead and look-behind, is not supported"
        | "unrecognized flag" => "invalid or unsupported Perl syntax",
        "empty capture group name"
        | "invalid capture group character"
        | "unclosed capture group name" => "invalid named capture",
        other => other,
    };
    words.to_owned()
}

/// RE2 takes what stands between `\Q` and `\E` literally; here it must be escaped.
fn without_quotations(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        plain.push_str(before);
        if let Some(quoted) = escape.strip_prefix(r"\Q") {
            let (literal, after) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
            plain.push_str(&regex::escape(literal));
            rest = after;
        } else {
            // The backslash and what it escapes, whole: `\\Q` is a backslash and a letter.
            let length = escape.chars().take(2).map(char::len_utf8).sum();
            let (escaped, after) = escape.split_at(length);
            plain.push_str(escaped);
            rest = after;
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::super::topics_view::tests::view;
    use super::*;

    #[track_caller]
    fn check(pattern: &str, expected: &[&str]) {
        let view = view(&[("a", 1), ("ab", 1), ("b", 1), ("a.b", 1), ("a-b", 1)]);
        let found = resolve(pattern, &view);
        let expected: BTreeSet<Arc<str>> = expected.iter().map(|name| Arc::from(*name)).collect();
        assert_eq!(found, expected, "{pattern}");
        assert!(compile(pattern).is_ok());
    }

    #[test]
    fn an_expression_means_whole_names() {
        check("a", &["a"]);
        check("a|b", &["a", "b"]);
        check("a.*", &["a", "ab", "a.b", "a-b"]);
        check(r"a\.b", &["a.b"]);
        check("^a.b$", &["a.b", "a-b"]);
        check("", &[]);
        check("(?x) a  # a comment\n b", &["ab"]);
    }

    #[test]
    fn quotations_are_taken_literally() {
        check(r"\Qa.b\E", &["a.b"]);
        check(r"\Qa.\E.", &["a.b"]);
        check(r"a\Q.b", &["a.b"]);
        assert_eq!(without_quotations(r"\\Qa\\E"), r"\\Qa\\E");
        assert_eq!(without_quotations("é\\"), "é\\");
    }

    #[test]
    fn what_is_no_expression_of_re2_is_refused() {
        for pattern in [
            "a)|(b",
            "(",
            "a{2,1}",
            r"(a)\1",
            "(?=a)",
            "[",
            "\\",
            "(?x)a # )",
        ] {
            assert!(compile(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_in_the_words_of_re2() {
        for (pattern, words) in [
            ("(", "missing closing )"),
            ("[a", "missing closing ]"),
            ("*", "missing argument to repetition operator"),
            ("|*", "missing argument to repetition operator"),
            ("\\", "trailing backslash at end of expression"),
            (r"\y", "invalid escape sequence"),
            (r"(a)\1", "invalid escape sequence"),
            ("a{2,1}", "invalid repeat count"),
            ("[z-a]", "invalid character class range"),
            (r"\p{Foo}", "invalid character class range"),
            ("(?=a)", "invalid or unsupported Perl syntax"),
            ("(?z)a", "invalid or unsupported Perl syntax"),
            ("(?P<>a)", "invalid named capture"),
            ("(?P<n>a)(?P<n>b)", "duplicate capture group name"),
        ] {
            assert_eq!(compile(pattern).err().as_deref(), Some(words), "{pattern}");
        }
    }

    #[test]
    fn an_expression_that_would_take_much_memory_is_refused() {
        assert!(compile(r"((a{1,300}){1,300}){1,300}").is_err());
        assert!(compile(&"(".repeat(5_000)).is_err());
        let nested = format!("{}a{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(compile(&nested).is_err());
    }
}
