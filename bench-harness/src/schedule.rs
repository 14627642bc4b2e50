//! When requests are due: decided before the run begins, by a rate and a seed, and by nothing that the broker does.
//!
//! Never looks at a clock: times are nanoseconds from the run's beginning.

/// Due times, ascending, without end.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    requests_per_second: f64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Constant { number: u64 },
    Poisson { state: u64, at: f64 },
}

impl Arrivals {
    /// At equal distances, the first at once.
    pub(crate) fn constant(requests_per_second: f64) -> Self {
        Self {
            requests_per_second,
            kind: Kind::Constant { number: 0 },
        }
    }

    /// Independent of one another: a Poisson process, the same one for the same seed.
    pub(crate) fn poisson(requests_per_second: f64, seed: u64) -> Self {
        let kind = Kind::Poisson {
            state: seed,
            at: 0.0,
        };
        Self {
            requests_per_second,
            kind,
        }
    }
}

impl Iterator for Arrivals {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        Some(match &mut self.kind {
            // From the number and not from the one before: no error adds up.
            Kind::Constant { number } => {
                let due = *number as f64 * 1e9 / self.requests_per_second;
                *number += 1;
                due as u64
            }
            Kind::Poisson { state, at } => {
                let uniform = (splitmix64(state) >> 11) as f64 / (1_u64 << 53) as f64;
                *at -= (1.0 - uniform).ln() * 1e9 / self.requests_per_second;
                *at as u64
            }
        })
    }
}

/// The next number of the generator.
pub(crate) fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_distances_do_not_drift() {
        let due: Vec<u64> = Arrivals::constant(1_000.0).take(4).collect();
        assert_eq!(due, [0, 1_000_000, 2_000_000, 3_000_000]);
        // A rate whose distance is no whole number: after an hour the request of that second is due in that second.
        let hour = Arrivals::constant(3.0).nth(3 * 3_600);
        assert_eq!(hour, Some(3_600_000_000_000));
    }

    proptest! {
        #[test]
        fn a_second_has_its_requests(rate in 1_u32..50_000) {
            let within = Arrivals::constant(f64::from(rate)).take_while(|due| *due < 1_000_000_000).count();
            prop_assert_eq!(within, rate as usize);
        }

        #[test]
        fn random_arrivals_have_the_rate_and_the_spread_of_a_poisson_process(seed: u64) {
            let due: Vec<u64> = Arrivals::poisson(1_000.0, seed).take(20_001).collect();
            prop_assert!(due.is_sorted());
            let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect();
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            // Seven standard errors: fails for no seed in a lifetime.
            prop_assert!((mean / 1e6 - 1.0).abs() < 0.05, "mean {mean}");
            prop_assert!((variance.sqrt() / mean - 1.0).abs() < 0.12, "deviation {}", variance.sqrt());
            let again: Vec<u64> = Arrivals::poisson(1_000.0, seed).take(20_001).collect();
            prop_assert_eq!(due, again);
        }
    }
}
