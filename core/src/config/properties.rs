//! Reads the text of a Java `.properties` file into its pairs, in the file's order.
//!
//! Knows the syntax only: which keys exist and what a value means is decided elsewhere.

use std::fmt;
use std::io;
use std::path::Path;

/// One `key=value` of the file and the line (from 1) on which it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub key: String,
    pub value: String,
    pub line: usize,
}

/// The text is not a properties file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertiesError {
    pub line: usize,
    pub problem: &'static str,
}

impl fmt::Display for PropertiesError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "line {}: {}", self.line, self.problem)
    }
}

impl std::error::Error for PropertiesError {}

/// The text of the file at `path`: the only input of `config` that is not an argument.
pub fn read_file(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}

/// The pairs of `text`. A key that is given twice appears twice; the last one is the one that counts in Java.
pub fn parse(text: &str) -> Result<Vec<Property>, PropertiesError> {
    let mut properties = Vec::new();
    let mut lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .enumerate();
    while let Some((index, first)) = lines.next() {
        let start = skip_blanks(first);
        if start.is_empty() || start.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = start.to_owned();
        while ends_in_continuation(&logical) {
            logical.pop();
            // The blanks that indent a continuation are not part of the value.
            match lines.next() {
                Some((_, next)) => logical.push_str(skip_blanks(next)),
                None => break,
            }
        }
        properties.push(parse_pair(&logical, index + 1)?);
    }
    Ok(properties)
}

fn parse_pair(logical: &str, line: usize) -> Result<Property, PropertiesError> {
    let mut escaped = false;
    let key_end = logical
        .find(|character| {
            let ends_key = !escaped && (is_blank(character) || matches!(character, '=' | ':'));
            escaped = !escaped && character == '\\';
            ends_key
        })
        .unwrap_or(logical.len());
    let (key, rest) = logical.split_at(key_end);
    let rest = skip_blanks(rest);
    let rest = rest
        .strip_prefix(['=', ':'])
        .map_or(rest, |after| skip_blanks(after));
    Ok(Property {
        key: unescape(key, line)?,
        value: unescape(rest, line)?,
        line,
    })
}

/// Java keeps blanks at the end of a value. So does this: whoever reads a number trims, whoever reads a password does not.
fn unescape(text: &str, line: usize) -> Result<String, PropertiesError> {
    if !text.contains('\\') {
        return Ok(text.to_owned());
    }
    // UTF-16, since a character beyond the basic plane is written as two \u escapes.
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut characters = text.chars();
    let mut buffer = [0; 2];
    while let Some(character) = characters.next() {
        let plain = if character != '\\' {
            character
        } else {
            match characters.next() {
                None => break,
                Some('u') => {
                    units.push(unicode_escape(&mut characters, line)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{c}',
                Some(other) => other,
            }
        };
        units.extend_from_slice(plain.encode_utf16(&mut buffer));
    }
    String::from_utf16(&units).map_err(|_| PropertiesError {
        line,
        problem: "a \\u escape is half of a surrogate pair",
    })
}

fn unicode_escape(
    characters: &mut std::str::Chars<'_>,
    line: usize,
) -> Result<u16, PropertiesError> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = characters.next().and_then(|c| c.to_digit(16));
        let digit = digit.ok_or(PropertiesError {
            line,
            problem: "\\u must be followed by four hexadecimal digits",
        })?;
        unit = unit << 4 | u16::try_from(digit).expect("a hexadecimal digit is below 16");
    }
    Ok(unit)
}

/// An odd number of backslashes at the end: the last one is not itself escaped.
fn ends_in_continuation(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{c}')
}

fn skip_blanks(text: &str) -> &str {
    text.trim_start_matches(is_blank)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[(&str, &str, usize)]) {
        let parsed = parse(text).unwrap();
        let seen: Vec<_> = parsed
            .iter()
            .map(|p| (p.key.as_str(), p.value.as_str(), p.line))
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn separators_comments_and_blank_lines() {
        check(
            "# one\n! two\n\n  a=1\nb : 2\r\nc\t3\nd=\ne\nf = = x\n",
            &[
                ("a", "1", 4),
                ("b", "2", 5),
                ("c", "3", 6),
                ("d", "", 7),
                ("e", "", 8),
                ("f", "= x", 9),
            ],
        );
    }

    #[test]
    fn continuations_drop_the_indent_and_count_their_lines() {
        check(
            "list=a,\\\n   b,\\\n   c\nnext=1\nlast=x\\",
            &[("list", "a,b,c", 1), ("next", "1", 4), ("last", "x", 5)],
        );
        check(
            "path=c:\\\\dir\\\\\nb=1",
            &[("path", "c:\\dir\\", 1), ("b", "1", 2)],
        );
        check("a=1\\\n# not a comment", &[("a", "1# not a comment", 1)]);
    }

    #[test]
    fn escapes() {
        check("a\\=b\\ c=d\\te\\q", &[("a=b c", "d\teq", 1)]);
        check("x=\\u0041\\uD83D\\uDE00é", &[("x", "A😀é", 1)]);
        check("end=kept  ", &[("end", "kept  ", 1)]);
    }

    #[test]
    fn errors_name_the_line() {
        let error = parse("a=1\n\nb=\\u12").unwrap_err();
        assert_eq!(error.line, 3);
        assert_eq!(parse("a=\\uD800").unwrap_err().line, 1);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-c=: \\\\u0-9\\n\\r#!é😀]*") {
            let _ = parse(&text);
        }

        #[test]
        fn plain_pairs_come_back(pairs in proptest::collection::vec(("[a-z.]{1,20}", "[a-zA-Z0-9/,:=.-]{0,20}"), 0..20)) {
            let text: String = pairs.iter().map(|(k, v)| format!("{k} = {v}\n")).collect();
            let parsed = parse(&text).unwrap();
            let seen: Vec<_> = parsed.into_iter().map(|p| (p.key, p.value)).collect();
            prop_assert_eq!(seen, pairs);
        }
    }
}
