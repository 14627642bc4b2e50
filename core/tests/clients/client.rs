//! What the suite asks of a client. Knows the shape of every client and the behaviour of none.

use std::collections::BTreeMap;
use std::fmt;

use crate::record::{Ack, Record};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    pub(crate) const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];
}

impl fmt::Display for Codec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

/// What a client can carry as a producer; each restriction is the client's own, not the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Timestamps and headers of one's own, empty keys and values beside null ones, any bytes. Otherwise what can be piped through
    /// a command line.
    pub(crate) full: bool,
    /// Headers without a value.
    pub(crate) null_headers: bool,
    /// Records with neither key nor value.
    pub(crate) null_records: bool,
}

impl Shape {
    pub(crate) const FULL: Self = Self {
        full: true,
        null_headers: true,
        null_records: true,
    };
    pub(crate) const LINES: Self = Self {
        full: false,
        null_headers: false,
        null_records: true,
    };
}

/// What a driver answered: `name=value` lines.
pub(crate) type Answers = BTreeMap<String, String>;

/// A real, unmodified client.
pub(crate) trait Client: Sync {
    fn name(&self) -> &'static str;

    fn shape(&self) -> Shape {
        Shape::FULL
    }

    /// Produces the records with acks=all, idempotent where the client can be; the acks in the order of the records, or `None`
    /// where the client does not tell them.
    fn write(
        &self,
        topic: &Topic<'_>,
        codec: Codec,
        records: &mut (dyn Iterator<Item = Record> + Send),
    ) -> Option<Vec<Ack>>;

    /// Consumes all partitions from the earliest offset to the latest, without a group.
    fn read(&self, topic: &Topic<'_>, on_record: &mut dyn FnMut(Record));

    /// Creates, describes, and deletes a topic of this name, and tells what it saw; `None` where the client has no admin.
    fn admin(&self, topic: &Topic<'_>) -> Option<Answers>;

    /// Meets the errors a user meets, and tells how the client reports them. The topic exists, with two partitions and
    /// max.message.bytes of 100,000; the topic `<name>-absent` does not.
    fn errors(&self, topic: &Topic<'_>) -> Answers;

    /// What [`Self::errors`] must answer.
    fn expected_errors(&self) -> &[(&'static str, &'static str)];
}

/// A topic of a broker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topic<'a> {
    pub(crate) bootstrap: &'a str,
    pub(crate) name: &'a str,
}

/// Reads `name=value` lines.
pub(crate) fn parse_answers(text: &str) -> Answers {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}
