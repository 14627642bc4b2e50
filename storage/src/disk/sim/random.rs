//! The only source of chance of the simulated disk: a seed decides everything.

/// splitmix64: any generator does.
#[derive(Clone, Default)]
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `bound`, or 0 when that is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// True in about `parts` of ten thousand cases. Draws nothing when it never is.
    pub(super) fn chance(&mut self, parts: u32) -> bool {
        parts > 0 && self.below(10_000) < u64::from(parts)
    }
}
