//! Points in time as people write and read them: RFC 3339, or milliseconds since 1970.
//!
//! Reads no clock but in [`now`].

use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Milliseconds since 1970, as records have it.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Milliseconds since 1970 of `2026-01-31T12:00:00Z`, of the same with an offset, or of `1769860800000ms`.
pub(crate) fn parse(text: &str) -> Option<i64> {
    if let Some(number) = text.strip_suffix("ms") {
        return number
            .parse()
            .ok()
            .filter(|milliseconds| *milliseconds >= 0);
    }
    let moment: Timestamp = text.parse().ok()?;
    Some(moment.as_millisecond()).filter(|milliseconds| *milliseconds >= 0)
}

/// RFC 3339 in UTC; the plain number where no calendar has it.
pub(crate) fn show(milliseconds: i64) -> String {
    match Timestamp::from_millisecond(milliseconds) {
        Ok(moment) => format!("{moment:.3}"),
        Err(_) => milliseconds.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_shown() {
        for (text, expected) in [
            ("1970-01-01T00:00:01Z", Some(1_000)),
            ("2026-01-31T12:00:00.5Z", Some(1_769_860_800_500)),
            ("2026-01-31T13:00:00+01:00", Some(1_769_860_800_000)),
            ("1769860800000ms", Some(1_769_860_800_000)),
            ("1769860800000", None),
            ("-5ms", None),
            ("ms", None),
            ("yesterday", None),
            ("1960-01-01T00:00:00Z", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(show(1_769_860_800_500), "2026-01-31T12:00:00.500Z");
        assert_eq!(show(i64::MAX), i64::MAX.to_string());
    }
}
