//! The APIs we speak: number, name, versions offered, and the first flexible version of each.
//!
//! Knows nothing of what an API does.

use std::fmt;

use super::message::Version;

/// Versions of an API, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VersionRange {
    pub min: i16,
    pub max: i16,
}

impl VersionRange {
    #[must_use]
    pub fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }
}

macro_rules! api_keys {
    ($($name:ident = $number:literal, versions $min:literal to $max:literal, flexible $flexible:literal;)*) => {
        /// An API of Kafka's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ApiKey {
            $($name,)*
        }

        impl ApiKey {
            /// In the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            #[must_use]
            pub fn from_number(number: i16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            #[must_use]
            pub fn number(self) -> i16 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// As Kafka spells it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The versions we can read and write.
            #[must_use]
            pub fn versions(self) -> VersionRange {
                match self {
                    $(Self::$name => VersionRange { min: $min, max: $max },)*
                }
            }

            /// Whether this version has compact lengths and tagged fields (KIP-482).
            #[must_use]
            pub fn is_flexible(self, version: i16) -> bool {
                match self {
                    $(Self::$name => version >= $flexible,)*
                }
            }
        }
    };
}

api_keys! {
    Produce = 0, versions 3 to 13, flexible 9;
    Fetch = 1, versions 4 to 17, flexible 12;
    ListOffsets = 2, versions 1 to 10, flexible 6;
    Metadata = 3, versions 0 to 13, flexible 9;
    FindCoordinator = 10, versions 0 to 6, flexible 3;
    ApiVersions = 18, versions 0 to 4, flexible 3;
    CreateTopics = 19, versions 2 to 7, flexible 5;
    DeleteTopics = 20, versions 1 to 6, flexible 4;
    DeleteRecords = 21, versions 0 to 2, flexible 2;
    InitProducerId = 22, versions 0 to 5, flexible 2;
    OffsetForLeaderEpoch = 23, versions 2 to 4, flexible 4;
    DescribeConfigs = 32, versions 1 to 4, flexible 4;
    DescribeCluster = 60, versions 0 to 2, flexible 0;
}

impl ApiKey {
    /// How this version is read and written.
    #[must_use]
    pub fn version(self, number: i16) -> Version {
        Version {
            number,
            flexible: self.is_flexible(number),
        }
    }

    /// 1, or 2 with tagged fields.
    #[must_use]
    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// 0, or 1 with tagged fields. Of ApiVersions it is always 0: a client that has yet to learn our versions must be able
    /// to read it (KIP-511).
    #[must_use]
    pub fn response_header_version(self, version: i16) -> i16 {
        (self != Self::ApiVersions && self.is_flexible(version)).into()
    }

    /// The versions we tell clients of. Produce from 0: older librdkafka takes a higher minimum for "no compression"
    /// (KAFKA-18659), though nobody sends those versions any more.
    #[must_use]
    pub fn advertised(self) -> VersionRange {
        let versions = self.versions();
        match self {
            Self::Produce => VersionRange { min: 0, ..versions },
            _ => versions,
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
