//! The APIs we speak: number, name, versions, the first flexible version of each, and whether our broker serves it.
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

macro_rules! is_served {
    () => {
        false
    };
    (served) => {
        true
    };
}

/// One row an API. What is not yet `served` is known to the codec, so that a client can speak it, and is neither advertised nor
/// taken by the broker: the word is added together with the handler.
macro_rules! api_keys {
    ($($name:ident = $number:literal, versions $min:literal to $max:literal, flexible $flexible:tt $(, $served:ident)?;)*) => {
        /// An API of Kafka's.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ApiKey {
            $($name,)*
        }

        impl ApiKey {
            /// All that can be read and written, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Whether our broker has a handler of it. Only then may it be advertised.
            #[must_use]
            pub const fn is_served(self) -> bool {
                match self {
                    $(Self::$name => is_served!($($served)?),)*
                }
            }

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
                    $(Self::$name => version >= flexible_of!($flexible),)*
                }
            }
        }
    };
}

api_keys! {
    Produce = 0, versions 3 to 13, flexible 9, served;
    Fetch = 1, versions 4 to 17, flexible 12, served;
    ListOffsets = 2, versions 1 to 11, flexible 6, served;
    Metadata = 3, versions 0 to 13, flexible 9, served;
    OffsetCommit = 8, versions 2 to 10, flexible 8, served;
    OffsetFetch = 9, versions 1 to 10, flexible 6, served;
    FindCoordinator = 10, versions 0 to 6, flexible 3, served;
    JoinGroup = 11, versions 0 to 9, flexible 6, served;
    Heartbeat = 12, versions 0 to 4, flexible 4, served;
    LeaveGroup = 13, versions 0 to 5, flexible 4, served;
    SyncGroup = 14, versions 0 to 5, flexible 4, served;
    DescribeGroups = 15, versions 0 to 6, flexible 5, served;
    ListGroups = 16, versions 0 to 5, flexible 3, served;
    ApiVersions = 18, versions 0 to 4, flexible 3, served;
    CreateTopics = 19, versions 2 to 7, flexible 5, served;
    DeleteTopics = 20, versions 1 to 6, flexible 4, served;
    DeleteRecords = 21, versions 0 to 2, flexible 2, served;
    InitProducerId = 22, versions 0 to 5, flexible 2, served;
    OffsetForLeaderEpoch = 23, versions 2 to 4, flexible 4, served;
    DescribeAcls = 29, versions 1 to 3, flexible 2, served;
    CreateAcls = 30, versions 1 to 3, flexible 2, served;
    DeleteAcls = 31, versions 1 to 3, flexible 2, served;
    DescribeConfigs = 32, versions 1 to 4, flexible 4, served;
    AlterConfigs = 33, versions 0 to 2, flexible 2, served;
    AlterReplicaLogDirs = 34, versions 1 to 2, flexible 2, served;
    DescribeLogDirs = 35, versions 1 to 4, flexible 2, served;
    CreatePartitions = 37, versions 0 to 3, flexible 2, served;
    DeleteGroups = 42, versions 0 to 2, flexible 2, served;
    ElectLeaders = 43, versions 0 to 2, flexible 2, served;
    IncrementalAlterConfigs = 44, versions 0 to 1, flexible 1, served;
    AlterPartitionReassignments = 45, versions 0 to 1, flexible 0, served;
    ListPartitionReassignments = 46, versions 0 to 0, flexible 0, served;
    OffsetDelete = 47, versions 0 to 0, flexible never, served;
    DescribeClientQuotas = 48, versions 0 to 1, flexible 1, served;
    AlterClientQuotas = 49, versions 0 to 1, flexible 1, served;
    DescribeQuorum = 55, versions 0 to 2, flexible 0, served;
    UpdateFeatures = 57, versions 0 to 2, flexible 0, served;
    DescribeCluster = 60, versions 0 to 2, flexible 0, served;
    DescribeProducers = 61, versions 0 to 0, flexible 0, served;
    ConsumerGroupHeartbeat = 68, versions 0 to 1, flexible 0, served;
    ConsumerGroupDescribe = 69, versions 0 to 1, flexible 0, served;
    ListConfigResources = 74, versions 0 to 1, flexible 0, served;
    DescribeTopicPartitions = 75, versions 0 to 0, flexible 0, served;
}

impl ApiKey {
    /// What our broker has handlers of, in the order of their numbers.
    pub fn served() -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|api| api.is_served())
    }

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

    /// The versions we tell clients of, if it is served. Produce from 0: older librdkafka takes a higher minimum for "no compression"
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
