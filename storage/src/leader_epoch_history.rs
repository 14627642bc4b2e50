//! Which leader epoch began at which offset (KIP-101): what a log is truncated by, never by its high watermark.
//!
//! Remembers only epochs that wrote something.

use crate::leader_epoch::LeaderEpoch;
use crate::offset::Offset;

/// Epochs and the offset each began at; both grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaderEpochHistory {
    entries: Vec<(LeaderEpoch, Offset)>,
}

/// The bytes are no history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryError;

impl LeaderEpochHistory {
    /// A batch of `epoch` was appended at `offset`.
    pub fn assign(&mut self, epoch: LeaderEpoch, offset: Offset) {
        if self.entries.last().is_none_or(|(last, _)| epoch > *last) {
            self.entries.push((epoch, offset));
        }
    }

    /// Each epoch with the offset it began at, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    #[must_use]
    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|(epoch, _)| *epoch)
    }

    /// The largest epoch that is not above `epoch`, and the offset where it ended. `None`: there is no such epoch.
    ///
    /// With epochs 0 from offset 0 and 2 from 10, and the log's end at 15: asked for 1 it says (0, 10), for 2 (2, 15).
    #[must_use]
    pub fn end_of(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        let above = self.entries.partition_point(|(entry, _)| *entry <= epoch);
        let (found, _) = *self.entries.get(above.checked_sub(1)?)?;
        let end = self.entries.get(above).map_or(log_end, |(_, start)| *start);
        Some((found, end))
    }

    /// The log ends at `end` now.
    pub fn truncate_from_end(&mut self, end: Offset) {
        self.entries.retain(|(_, start)| *start < end);
    }

    /// The log starts at `start` now.
    pub fn truncate_from_start(&mut self, start: Offset) {
        let kept = self
            .entries
            .partition_point(|(_, from)| *from <= start)
            .saturating_sub(1);
        self.entries.drain(..kept);
        if let Some(first) = self.entries.first_mut() {
            first.1 = first.1.max(start);
        }
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        for (epoch, offset) in &self.entries {
            out.extend_from_slice(&epoch.0.to_le_bytes());
            out.extend_from_slice(&offset.0.to_le_bytes());
        }
    }

    /// # Errors
    /// [`HistoryError`] for anything but what [`LeaderEpochHistory::encode`] made.
    pub fn decode(bytes: &[u8]) -> Result<Self, HistoryError> {
        let (entries, rest) = bytes.as_chunks::<12>();
        let entries: Vec<_> = entries
            .iter()
            .map(|entry| {
                let epoch = i32::from_le_bytes(entry[..4].try_into().expect("four bytes"));
                let offset = i64::from_le_bytes(entry[4..].try_into().expect("eight bytes"));
                (LeaderEpoch(epoch), Offset(offset))
            })
            .collect();
        let grows = entries
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        if rest.is_empty() && grows {
            Ok(Self { entries })
        } else {
            Err(HistoryError)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> LeaderEpochHistory {
        let mut history = LeaderEpochHistory::default();
        for (epoch, offset) in [(0, 0), (0, 5), (2, 10), (5, 20)] {
            history.assign(LeaderEpoch(epoch), Offset(offset));
        }
        history
    }

    #[test]
    fn an_epoch_ends_where_the_next_begins() {
        let end = |epoch| {
            history()
                .end_of(LeaderEpoch(epoch), Offset(30))
                .map(|(epoch, end)| (epoch.0, end.0))
        };
        assert_eq!(end(-1), None);
        assert_eq!(end(0), Some((0, 10)));
        assert_eq!(end(1), Some((0, 10)));
        assert_eq!(end(4), Some((2, 20)));
        assert_eq!(end(9), Some((5, 30)));
    }

    #[test]
    fn truncation_forgets_what_is_gone() {
        let mut history = history();
        history.truncate_from_end(Offset(20));
        assert_eq!(history.latest(), Some(LeaderEpoch(2)));
        history.truncate_from_start(Offset(12));
        assert_eq!(history.end_of(LeaderEpoch(1), Offset(20)), None);
        assert_eq!(
            history.end_of(LeaderEpoch(2), Offset(20)),
            Some((LeaderEpoch(2), Offset(20)))
        );
    }

    #[test]
    fn bytes_round_trip() {
        let mut bytes = Vec::new();
        history().encode(&mut bytes);
        assert_eq!(LeaderEpochHistory::decode(&bytes), Ok(history()));
        assert_eq!(LeaderEpochHistory::decode(&bytes[1..]), Err(HistoryError));
        bytes.rotate_left(12);
        assert_eq!(LeaderEpochHistory::decode(&bytes), Err(HistoryError));
    }
}
