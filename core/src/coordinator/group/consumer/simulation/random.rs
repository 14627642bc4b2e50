//! Random numbers from a seed: splitmix64.
//!
//! Never asks the machine for any.

#[derive(Clone, Debug)]
pub(in crate::coordinator::group) struct Random(pub(in crate::coordinator::group) u64);

impl Random {
    pub(in crate::coordinator::group) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(in crate::coordinator::group) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(in crate::coordinator::group) fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }

    pub(in crate::coordinator::group) fn of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[usize::try_from(self.below(choices.len() as u64)).expect("an index")]
    }
}
