//! The records of `__consumer_offsets` in Kafka's own formats, byte for byte: committed offsets and the metadata of classic groups.
//!
//! Never decides what a record means for a group; a length is checked against the bytes that remain before anything is allocated.

pub mod field_bytes;
pub mod group_metadata;
pub mod offset_commit;

use bytes::Bytes;

use field_bytes::{RecordError, RecordReader};
use group_metadata::GroupMetadata;
use offset_commit::{CommittedOffset, OffsetKey};

/// A record as the log holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedRecord {
    pub key: Bytes,
    /// `None` is a tombstone: the key is gone.
    pub value: Option<Bytes>,
}

/// What a record of the topic says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRecord {
    /// An offset was committed, or (`None`) is gone.
    Offset {
        key: OffsetKey,
        value: Option<CommittedOffset>,
    },
    /// A classic group changed, or (`None`) is gone.
    Group {
        group_id: String,
        value: Option<GroupMetadata>,
    },
    /// A record of another kind of group; the number is the key's version, which tells the kinds apart.
    Other { kind: i16 },
}

/// The versions of keys, which are what tells the kinds of records apart. 0 and 1 are the same.
mod kind {
    pub(super) const OFFSET_COMMIT_OLD: i16 = 0;
    pub(super) const OFFSET_COMMIT: i16 = 1;
    pub(super) const GROUP_METADATA: i16 = 2;
}

impl GroupRecord {
    /// # Errors
    /// When the bytes are not a record of a version that this release reads.
    pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Self, RecordError> {
        let mut reader = RecordReader::new(key, "key");
        match reader.i16()? {
            kind::OFFSET_COMMIT_OLD | kind::OFFSET_COMMIT => {
                let key = OffsetKey::decode(&mut reader)?;
                reader.end()?;
                let value = value.map(CommittedOffset::decode).transpose()?;
                Ok(Self::Offset { key, value })
            }
            kind::GROUP_METADATA => {
                let group_id = reader.text()?;
                reader.end()?;
                let value = value.map(GroupMetadata::decode).transpose()?;
                Ok(Self::Group { group_id, value })
            }
            kind => Ok(Self::Other { kind }),
        }
    }
}
