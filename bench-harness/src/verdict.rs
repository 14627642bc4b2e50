//! Whether the figures of a run may be quoted.
//!
//! Reads the result and nothing else, so that a file can be judged again.

use crate::machine::FlushCount;
use crate::result::{Durability, RunResult, Verdict};

const ACHIEVED_SHARE_MIN: f64 = 0.99;
const HICCUP_MICROS_MAX: u64 = 2_000;
const STEAL_SHARE_MAX: f64 = 0.01;
/// Counters are read a moment before and after the first and last acknowledgement.
const FLUSHES_SHARE_MIN: f64 = 0.95;
/// Below it p99.99 rests on fewer than 100 samples.
const SAMPLES_OF_P99_99: u64 = 1_000_000;

/// `noise_allowed`: a noisy machine is a mark and no reason to refuse.
pub(crate) fn judge(
    result: &RunResult,
    flush_count: Option<FlushCount>,
    noise_allowed: bool,
) -> Verdict {
    let mut refused = Vec::new();
    let mut marks = Vec::new();

    let errors = result.produced.errors.iter().chain(&result.consumed.errors);
    refused.extend(errors.map(|(name, count)| format!("{count} errors: {name}")));
    if result.produced.requests == 0 {
        refused.push("no request was acknowledged in the measured time".to_owned());
    }
    if let Some(share) = result
        .produced
        .achieved_share
        .filter(|share| *share < ACHIEVED_SHARE_MIN)
    {
        refused.push(format!(
            "achieved {:.2} % of the offered load",
            share * 100.0
        ));
    }
    match &result.verification {
        Some(found) if found.faults() > 0 => refused.push(format!(
            "records lost {}, duplicate {}, out of order {}, damaged {}",
            found.lost, found.duplicate, found.out_of_order, found.damaged
        )),
        Some(_) => {}
        None => refused.push("nothing was read back".to_owned()),
    }
    if result.workload.durability == Durability::Power {
        refused.extend(power(result, flush_count, &mut marks));
    }

    let noise = &result.noise;
    let mut noises = Vec::new();
    if noise.hiccup_p99_9_us > HICCUP_MICROS_MAX {
        noises.push(format!(
            "hiccup p99.9 of {} us: the machine was not quiet",
            noise.hiccup_p99_9_us
        ));
    }
    if noise.steal_share > STEAL_SHARE_MAX {
        noises.push(format!(
            "steal of {:.2} %: the machine was not ours",
            noise.steal_share * 100.0
        ));
    }
    match noise_allowed {
        true => marks.extend(noises),
        false => refused.extend(noises),
    }
    if result
        .publish
        .as_ref()
        .is_some_and(|latency| latency.samples < SAMPLES_OF_P99_99)
    {
        marks.push("p99.99 rests on fewer than 1,000,000 samples".to_owned());
    }
    Verdict {
        accepted: refused.is_empty(),
        refused,
        marks,
    }
}

/// Why the class `power` is not proven.
fn power(
    result: &RunResult,
    flush_count: Option<FlushCount>,
    marks: &mut Vec<String>,
) -> Option<String> {
    let (Some(device), Some(flush_count)) = (&result.device, flush_count) else {
        return Some("durability power is not proven: --data-dir or --device tells where flushes are counted".to_owned());
    };
    match flush_count {
        FlushCount::NotNeeded => None,
        FlushCount::Hidden => {
            marks.push(
                "durability power rests on the broker's word: the device counts no forced writes"
                    .to_owned(),
            );
            None
        }
        FlushCount::Proves => {
            let needed = device.flushes_needed as f64 * FLUSHES_SHARE_MIN;
            ((device.flushes as f64) < needed).then(|| {
                let (seen, needed) = (device.flushes, device.flushes_needed);
                format!(
                    "durability power is refuted: {needed} flushes needed at least, {seen} seen"
                )
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{DeviceUse, Flow, Latency, Verification, Workload};

    fn right() -> RunResult {
        RunResult {
            workload: Workload {
                durability: Durability::Power,
                ..Workload::default()
            },
            produced: Flow {
                requests: 1_000_000,
                achieved_share: Some(0.999),
                ..Flow::default()
            },
            publish: Some(Latency {
                samples: 1_000_000,
                ..Latency::default()
            }),
            verification: Some(Verification::default()),
            device: Some(DeviceUse {
                flushes: 1_000,
                flushes_needed: 1_000,
                ..DeviceUse::default()
            }),
            ..RunResult::default()
        }
    }

    fn judged(result: &RunResult) -> Verdict {
        judge(result, Some(FlushCount::Proves), false)
    }

    #[test]
    fn a_right_run_is_accepted_without_a_mark() {
        let verdict = judged(&right());
        assert!(verdict.accepted, "{verdict:?}");
        assert_eq!(verdict.marks, [""; 0]);
    }

    #[test]
    fn each_fault_refuses_the_run() {
        let faults: [fn(&mut RunResult); 9] = [
            |result| result.produced.requests = 0,
            |result| result.produced.achieved_share = Some(0.98),
            |result| result.produced.errors.extend([("X".to_owned(), 1)]),
            |result| result.verification = None,
            |result| result.verification.as_mut().expect("some").lost = 1,
            |result| result.device = None,
            |result| result.device.as_mut().expect("some").flushes = 900,
            |result| result.noise.hiccup_p99_9_us = 2_001,
            |result| result.noise.steal_share = 0.011,
        ];
        for (number, fault) in faults.iter().enumerate() {
            let mut result = right();
            fault(&mut result);
            let verdict = judged(&result);
            assert_eq!(verdict.refused.len(), 1, "{number}: {verdict:?}");
            assert!(!verdict.accepted, "{number}");
        }
    }

    #[test]
    fn noise_can_be_allowed_and_is_marked() {
        let mut result = right();
        result.noise.hiccup_p99_9_us = 5_000;
        let verdict = judge(&result, Some(FlushCount::Proves), true);
        assert!(verdict.accepted);
        assert_eq!(verdict.marks.len(), 1);
        result.verification = None;
        assert!(!judge(&result, Some(FlushCount::Proves), true).accepted);
    }

    #[test]
    fn a_device_without_a_cache_needs_no_flush_and_one_that_hides_them_is_marked() {
        let mut result = right();
        result.device.as_mut().expect("some").flushes = 0;
        assert!(judge(&result, Some(FlushCount::NotNeeded), false).accepted);
        assert_eq!(
            judge(&result, Some(FlushCount::Hidden), false).marks.len(),
            1
        );
        result.workload.durability = Durability::Kill;
        assert!(judged(&result).accepted);
    }
}
