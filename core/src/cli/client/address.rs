//! Where a broker listens, as people write it: `host`, `host:port`, `[::1]:port`.
//!
//! Never resolves a name.

use std::fmt;

/// Kafka's usual port.
const PORT: u16 = 9092;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Address {
    /// # Errors
    /// A sentence that says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let wrong = || format!("`{text}` is no address: write HOST:PORT, as in 127.0.0.1:9092");
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(wrong)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(wrong()),
            }
        } else {
            match text.rsplit_once(':') {
                // More than one colon: an IPv6 address without brackets, and no telling where its port would begin.
                Some((host, _)) if host.contains(':') => return Err(wrong()),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| *port != 0),
            None => Some(PORT),
        };
        let strange = |character: char| character.is_whitespace() || character == '/';
        if host.is_empty() || host.contains(strange) {
            return Err(wrong());
        }
        Ok(Self {
            host: host.to_owned(),
            port: port.ok_or_else(wrong)?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("localhost", Some("localhost:9092")),
            ("10.0.0.1:19092", Some("10.0.0.1:19092")),
            ("[::1]:9092", Some("[::1]:9092")),
            ("[::1]", Some("[::1]:9092")),
            ("::1", None),
            ("http://localhost:9092", None),
            ("localhost:", None),
            ("localhost:0", None),
            ("localhost:70000", None),
            (":9092", None),
            ("", None),
        ] {
            let read = Address::parse(text).map(|address| address.to_string());
            assert_eq!(read.ok().as_deref(), expected, "{text:?}");
        }
    }
}
