//! What clients with a quota took lately, and how long one that took too much must be held up (KIP-13, KIP-124, KIP-219).
//!
//! Decides from amounts and times alone: never looks at a clock and holds nobody up itself.

use std::collections::VecDeque;
use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::config::broker::QuotaConfig;
use crate::metadata::client_quotas::{QuotaLimit, UsageKey};

/// Clients whose usage a shard counts at most. Client ids are free for anyone to invent: beyond this they share one count.
const CLIENTS_MAX: usize = 10_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaKind {
    /// Bytes of produce requests.
    Produce,
    /// Bytes of fetch responses.
    Fetch,
    /// Time spent on requests, in seconds times 100.
    Request,
}

/// What a client took of something that is limited.
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    pub kind: QuotaKind,
    pub client: UsageKey,
    pub amount: f64,
    /// Per second.
    pub limit: QuotaLimit,
}

/// The usage of all clients that are counted here.
#[derive(Debug)]
pub struct QuotaUsage {
    windows: usize,
    window: Duration,
    rates: FxHashMap<(QuotaKind, UsageKey), Rate>,
}

/// Amounts of the last windows; one begins with the first amount that comes after the end of the one before.
#[derive(Debug, Default)]
struct Rate {
    windows: VecDeque<Window>,
}

#[derive(Debug)]
struct Window {
    begins: Duration,
    amount: f64,
}

impl QuotaUsage {
    #[must_use]
    pub fn new(config: QuotaConfig) -> Self {
        Self {
            windows: config.windows.max(1),
            window: Duration::from_secs(config.window_seconds.max(1).into()),
            rates: FxHashMap::default(),
        }
    }

    /// Counts what a client took at `now`, and says for how long it must take nothing to be within its limit again.
    ///
    /// As in Kafka: the rate is that of the last windows, of which at least all but the last one count in full, and the pause is what
    /// brings it down to the limit. A pause for request time is no longer than a window.
    pub fn charge(&mut self, charge: Charge, now: Duration) -> Duration {
        let key = self.key(charge.kind, charge.client, now);
        let (windows, window) = (self.windows, self.window);
        let rate = self.rates.entry(key).or_default();
        rate.forget(now, windows, window);
        rate.add(charge.amount, now, window);
        let span = rate.span(now, windows, window).as_secs_f64();
        let excess = rate.total() / span - charge.limit.get();
        if excess <= 0.0 {
            return Duration::ZERO;
        }
        let seconds = excess / charge.limit.get() * span;
        let pause = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        match charge.kind {
            QuotaKind::Request => pause.min(window),
            QuotaKind::Produce | QuotaKind::Fetch => pause,
        }
    }

    /// Clients that are counted now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rates.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rates.is_empty()
    }

    fn key(&mut self, kind: QuotaKind, client: UsageKey, now: Duration) -> (QuotaKind, UsageKey) {
        let key = (kind, client);
        if self.rates.contains_key(&key) || self.rates.len() < CLIENTS_MAX {
            return key;
        }
        // Who took nothing in all the windows has nothing to be remembered.
        let (windows, window) = (self.windows, self.window);
        self.rates.retain(|_, rate| {
            rate.forget(now, windows, window);
            !rate.windows.is_empty()
        });
        if self.rates.len() < CLIENTS_MAX {
            return key;
        }
        let nobody = UsageKey {
            user: None,
            client_id: None,
        };
        (kind, nobody)
    }
}

impl Rate {
    fn forget(&mut self, now: Duration, windows: usize, window: Duration) {
        let kept = window * u32::try_from(windows).unwrap_or(u32::MAX);
        while let Some(first) = self.windows.front()
            && now.saturating_sub(first.begins) >= kept
        {
            self.windows.pop_front();
        }
    }

    fn add(&mut self, amount: f64, now: Duration, window: Duration) {
        match self.windows.back_mut() {
            Some(last) if now.saturating_sub(last.begins) < window => last.amount += amount,
            _ => self.windows.push_back(Window {
                begins: now,
                amount,
            }),
        }
    }

    fn total(&self) -> f64 {
        self.windows.iter().map(|window| window.amount).sum()
    }

    /// The time that the total is of. With 11 windows of a second, 0.5 s after the first amount: 10.5 s.
    fn span(&self, now: Duration, windows: usize, window: Duration) -> Duration {
        let first = self.windows.front();
        let passed = first.map_or(Duration::ZERO, |first| now.saturating_sub(first.begins));
        let full = passed.as_secs() / window.as_secs();
        let full = usize::try_from(full).unwrap_or(usize::MAX);
        let missing = windows.saturating_sub(1).saturating_sub(full);
        let padded = passed + window * u32::try_from(missing).unwrap_or(u32::MAX);
        padded.max(window)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usage() -> QuotaUsage {
        QuotaUsage::new(QuotaConfig {
            windows: 11,
            window_seconds: 1,
        })
    }

    fn charge(kind: QuotaKind, client: &str, amount: f64, limit: f64) -> Charge {
        Charge {
            kind,
            client: UsageKey {
                user: None,
                client_id: Some(client.to_owned()),
            },
            amount,
            limit: QuotaLimit::new(limit).unwrap(),
        }
    }

    #[test]
    fn what_is_within_the_limit_waits_for_nothing_and_what_is_beyond_waits_in_proportion() {
        let mut usage = usage();
        // Ten seconds' worth at once is what the windows allow.
        let first = usage.charge(
            charge(QuotaKind::Produce, "a", 1000.0, 100.0),
            Duration::ZERO,
        );
        assert_eq!(first, Duration::ZERO);
        let second = usage.charge(
            charge(QuotaKind::Produce, "a", 500.0, 100.0),
            Duration::ZERO,
        );
        assert_eq!(second, Duration::from_secs(5));
        // Others are counted by themselves, and so are other kinds.
        for other in [
            charge(QuotaKind::Produce, "b", 1000.0, 100.0),
            charge(QuotaKind::Fetch, "a", 1000.0, 100.0),
        ] {
            assert_eq!(usage.charge(other, Duration::ZERO), Duration::ZERO);
        }
        let later = Duration::from_secs(11);
        let after_all = usage.charge(charge(QuotaKind::Produce, "a", 1000.0, 100.0), later);
        assert_eq!(after_all, Duration::ZERO, "old windows are forgotten");
    }

    #[test]
    fn request_time_is_held_up_for_a_window_at_most() {
        let mut usage = usage();
        let pause = usage.charge(charge(QuotaKind::Request, "a", 1e9, 1.0), Duration::ZERO);
        assert_eq!(pause, Duration::from_secs(1));
    }

    #[test]
    fn an_amount_beyond_all_measure_is_a_long_pause_and_no_panic() {
        let mut usage = usage();
        let pause = usage.charge(
            charge(QuotaKind::Produce, "a", f64::MAX, f64::MIN_POSITIVE),
            Duration::ZERO,
        );
        assert_eq!(pause, Duration::MAX);
    }

    #[test]
    fn invented_client_ids_are_bounded() {
        let mut usage = usage();
        for number in 0..CLIENTS_MAX + 100 {
            let client = number.to_string();
            usage.charge(charge(QuotaKind::Fetch, &client, 1.0, 1.0), Duration::ZERO);
        }
        assert!(usage.len() <= CLIENTS_MAX + 1, "{}", usage.len());
        usage.charge(
            charge(QuotaKind::Fetch, "new", 1.0, 1.0),
            Duration::from_secs(60),
        );
        assert_eq!(usage.len(), 1, "who took nothing lately is forgotten");
    }

    proptest! {
        /// A client that waits as it is told takes no more than its limit allows, but for what it may take at once. Amounts that are
        /// large beside the limit get away with more: they are forgotten before their pause is over, as in Kafka.
        #[test]
        fn who_obeys_stays_within_the_limit(
            seconds_worth in proptest::collection::vec(0.01f64..2.0, 1..200),
            limit in 50.0f64..1000.0,
            pause_ms in 0u64..50,
        ) {
            let mut usage = usage();
            let mut now = Duration::ZERO;
            let mut total = 0.0;
            for amount in seconds_worth {
                total += amount;
                let pause = usage.charge(charge(QuotaKind::Produce, "a", amount * limit, limit), now);
                now += pause + Duration::from_millis(pause_ms);
                let allowed = now.as_secs_f64() * 1.2 + 13.0;
                prop_assert!(total <= allowed, "{total} seconds' worth in {now:?}");
            }
        }
    }
}
