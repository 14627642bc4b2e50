//! How many flushes a run's acknowledgements need at least, if each was given after a flush that began after its request was sent.
//!
//! Knows nothing of devices: it compares intervals, and someone else counts.

/// One flush can serve every request that was under way while it ran, and no other. So requests that lie apart in time each need one
/// of their own, and the largest number of such requests is what is needed:
///
/// ```text
/// request  |---|  |----|        three requests, two flushes:
///             |----|            the first ack, then the first request that was sent after it
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FlushesNeeded {
    count: u64,
    last_ack: u64,
}

impl FlushesNeeded {
    /// In the order of the acknowledgements.
    pub(crate) fn on_acked(&mut self, sent: u64, acked: u64) {
        if self.count == 0 || sent > self.last_ack {
            self.count += 1;
            self.last_ack = acked;
        }
    }

    pub(crate) fn count(self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needed(requests: &[(u64, u64)]) -> u64 {
        let mut needed = FlushesNeeded::default();
        for (sent, acked) in requests {
            needed.on_acked(*sent, *acked);
        }
        needed.count()
    }

    #[test]
    fn requests_apart_need_one_each_and_those_together_share() {
        assert_eq!(needed(&[]), 0);
        assert_eq!(needed(&[(0, 5), (6, 9), (10, 12)]), 3);
        assert_eq!(needed(&[(0, 5), (1, 5), (2, 5)]), 1);
        assert_eq!(needed(&[(0, 5), (4, 8), (6, 9)]), 2);
        // Five in flight all the time, acknowledged in pairs.
        assert_eq!(needed(&[(0, 2), (0, 2), (1, 4), (1, 4), (3, 6), (3, 6)]), 2);
    }
}
