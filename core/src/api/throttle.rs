//! Holds up clients that took more than their quota allows (KIP-219): the answer goes out at once and says for how long, and so long
//! nothing more is taken from the connection.
//!
//! Each client is counted on one shard, whichever its connections are on. Costs one look at the image where there is no quota at all.

use std::future::poll_fn;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rinka_net::connection::{Outcome, Reply};
use rinka_net::wire::{ApiKey, RequestHeader, Structure, Text, encode_response};

use super::Context;
use crate::metadata::client_quotas::{
    CONSUMER_BYTE_RATE, ClientQuotas, PRODUCER_BYTE_RATE, REQUEST_PERCENTAGE, UsageKey,
};
use crate::quota::{Charge, QuotaKind};
use crate::shard::Shard;
use crate::shard::mailbox::Lane;

/// Whoever connects without credentials; nobody connects with any yet.
const USER: &str = "ANONYMOUS";

/// One client while there are quotas.
#[derive(Clone)]
pub(super) struct Throttle {
    shard: Rc<Shard>,
    quotas: Arc<ClientQuotas>,
    client_id: Text,
}

impl Throttle {
    /// `None`: there is no quota at all.
    pub(super) fn of(context: &Context, header: &RequestHeader) -> Option<Self> {
        let image = context.shard.image.borrow();
        let quotas = image.client_quotas();
        if quotas.is_empty() {
            return None;
        }
        Some(Self {
            shard: Rc::clone(&context.shard),
            quotas: Arc::clone(quotas),
            client_id: header.client_id.clone().unwrap_or_default(),
        })
    }

    /// The most bytes that one fetch may bring: what the client's quota allows in all the windows. As a request says it.
    pub(super) fn fetch_bytes_max(&self) -> i32 {
        let limit = self.quotas.limit(USER, &self.client_id, CONSUMER_BYTE_RATE);
        let quota = &self.shard.node.config.quota;
        let windows = quota.windows.saturating_sub(1).max(1) as f64;
        let seconds = windows * f64::from(quota.window_seconds);
        // Of a float beyond it the largest integer is made.
        limit.map_or(i32::MAX, |(_, limit)| (limit.get() * seconds) as i32)
    }

    /// A request whose response says how long its client is held up.
    pub(super) fn reply<R: Structure>(
        self,
        api: ApiKey,
        version: i16,
        correlation_id: i32,
        work: impl Future<Output = R> + 'static,
    ) -> Outcome {
        Outcome::Reply(Box::pin(async move {
            let (mut response, spent) = timed(work).await;
            let mut pause = self.charge_time(spent).await;
            let parts = encode_response(api, version, correlation_id, &response);
            if api == ApiKey::Fetch {
                let bytes = parts.iter().map(Bytes::len).sum();
                pause = pause.max(self.charge_bytes(QuotaKind::Fetch, bytes).await);
            }
            let milliseconds = milliseconds(pause);
            if milliseconds == 0 {
                return Reply::Send(parts);
            }
            response.set_throttle_time_ms(milliseconds);
            let parts = encode_response(api, version, correlation_id, &response);
            Reply::SendThenMute(parts, pause)
        }))
    }

    /// Counts bytes, and says how long the client must be held up for them.
    pub(super) async fn charge_bytes(&self, kind: QuotaKind, bytes: usize) -> Duration {
        self.charge(kind, bytes as f64).await
    }

    /// The same for time that was spent on a request: the quota is in hundredths of it.
    pub(super) async fn charge_time(&self, spent: Duration) -> Duration {
        let hundredths = spent.as_secs_f64() * 100.0;
        self.charge(QuotaKind::Request, hundredths).await
    }

    async fn charge(&self, kind: QuotaKind, amount: f64) -> Duration {
        let key = match kind {
            QuotaKind::Produce => PRODUCER_BYTE_RATE,
            QuotaKind::Fetch => CONSUMER_BYTE_RATE,
            QuotaKind::Request => REQUEST_PERCENTAGE,
        };
        let Some((client, limit)) = self.quotas.limit(USER, &self.client_id, key) else {
            return Duration::ZERO;
        };
        let owner = owner(&client, self.shard.shards());
        let charge = Charge {
            kind,
            client,
            amount,
            limit,
        };
        let count = move |shard: &Rc<Shard>| {
            let now = shard.now();
            std::future::ready(shard.quota_usage.borrow_mut().charge(charge, now))
        };
        match self.shard.start_on(owner, Lane::Read, count).await {
            Ok(started) => started.wait().await.unwrap_or_default(),
            // The broker ends: nobody need be held up.
            Err(_) => Duration::ZERO,
        }
    }
}

/// The shard that counts a client.
fn owner(client: &UsageKey, shards: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    client.hash(&mut hasher);
    usize::try_from(hasher.finish() % shards as u64).expect("below the number of shards")
}

/// As a response says it; 0 for less than half of one.
pub(super) fn milliseconds(pause: Duration) -> i32 {
    let rounded = pause.as_secs_f64() * 1000.0;
    // Of a float beyond it the largest integer is made.
    rounded.round() as i32
}

/// What the work comes to, and how much of this shard's time it took: waiting is not counted, nor what other shards did for it.
pub(super) async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let mut work = pin!(work);
    let mut spent = Duration::ZERO;
    let result = poll_fn(|context| {
        let begun = Instant::now();
        let polled = work.as_mut().poll(context);
        spent += begun.elapsed();
        polled
    })
    .await;
    (result, spent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_told_in_whole_milliseconds() {
        for (pause, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_micros(400), 0),
            (Duration::from_micros(1600), 2),
            (Duration::from_secs(5), 5000),
            (Duration::MAX, i32::MAX),
        ] {
            assert_eq!(milliseconds(pause), expected);
        }
    }

    #[test]
    fn a_client_is_counted_on_one_shard() {
        let client = UsageKey {
            user: None,
            client_id: Some("c".to_owned()),
        };
        assert!(owner(&client, 4) < 4);
        assert_eq!(owner(&client, 4), owner(&client.clone(), 4));
    }
}
