//! A result for people: a screen of text.
//!
//! Says nothing that the file does not say.

use std::fmt::Write as _;

use crate::result::{Flow, Latency, ProcessUse, RunResult};

pub(crate) fn text(result: &RunResult) -> String {
    let mut out = String::new();
    let workload = &result.workload;
    let offered = workload.offered_requests_per_second;
    let offered = offered.map_or("closed loop".to_owned(), |rate| {
        format!("{rate} requests/s offered")
    });
    let _ = writeln!(
        out,
        "{}: {offered}, {} x {} B a batch, {} connections, {} partitions, {} consumers, durability {}",
        workload.name,
        workload.records_per_batch,
        workload.record_bytes,
        workload.connections,
        workload.partitions,
        workload.consumers,
        format!("{:?}", workload.durability).to_lowercase(),
    );
    flow(&mut out, "produced", &result.produced);
    flow(&mut out, "consumed", &result.consumed);
    latency(&mut out, "publish", result.publish.as_ref());
    latency(&mut out, "end to end", result.end_to_end.as_ref());
    latency(&mut out, "send delay", result.send_delay.as_ref());
    if let Some(found) = &result.verification {
        let _ = writeln!(
            out,
            "records: {} sent, {} acked, {} read back; {} lost, {} duplicate, {} out of order, {} damaged",
            found.sent,
            found.acked,
            found.read_back,
            found.lost,
            found.duplicate,
            found.out_of_order,
            found.damaged
        );
        for example in &found.examples {
            let _ = writeln!(out, "  {example}");
        }
    }
    process(
        &mut out,
        "broker",
        result.broker_use.as_ref(),
        &result.produced,
    );
    process(
        &mut out,
        "client",
        result.client_use.as_ref(),
        &result.produced,
    );
    if let Some(device) = &result.device {
        let _ = writeln!(
            out,
            "device {}: {} flushes ({} needed at least), {} writes, {:.1} MB written, {:.1} MB read",
            result.machine.device,
            device.flushes,
            device.flushes_needed,
            device.writes,
            device.bytes_written as f64 / 1e6,
            device.bytes_read as f64 / 1e6
        );
    }
    let noise = &result.noise;
    let _ = writeln!(
        out,
        "noise: hiccup p99.9 {} us, max {} us, steal {:.2} %",
        noise.hiccup_p99_9_us,
        noise.hiccup_max_us,
        noise.steal_share * 100.0
    );
    for mark in &result.verdict.marks {
        let _ = writeln!(out, "mark: {mark}");
    }
    for reason in &result.verdict.refused {
        let _ = writeln!(out, "refused: {reason}");
    }
    if result.verdict.accepted {
        out.push_str("accepted\n");
    }
    out
}

fn flow(out: &mut String, name: &str, flow: &Flow) {
    let _ = write!(
        out,
        "{name}: {:.0} requests/s, {:.0} records/s, {:.1} MB/s",
        flow.requests_per_second,
        flow.records_per_second,
        flow.bytes_per_second / 1e6
    );
    if let Some(share) = flow.achieved_share {
        let _ = write!(out, ", {:.2} % of the offered load", share * 100.0);
    }
    out.push('\n');
}

fn latency(out: &mut String, name: &str, latency: Option<&Latency>) {
    let Some(latency) = latency else { return };
    let ms = |micros: u64| micros as f64 / 1e3;
    let _ = writeln!(
        out,
        "{name} in ms: p50 {:.3}, p90 {:.3}, p99 {:.3}, p99.9 {:.3}, p99.99 {:.3}, max {:.3} ({} samples)",
        ms(latency.p50),
        ms(latency.p90),
        ms(latency.p99),
        ms(latency.p99_9),
        ms(latency.p99_99),
        ms(latency.max),
        latency.samples
    );
}

fn process(out: &mut String, name: &str, used: Option<&ProcessUse>, produced: &Flow) {
    let Some(used) = used else { return };
    let cpu = used.user_seconds + used.system_seconds;
    let _ = writeln!(
        out,
        "{name}: {:.2} s user, {:.2} s system ({:.2} per GB, {:.1} us per request), peak memory since its start {:.0} MiB, \
         context switches {} voluntary, {} involuntary",
        used.user_seconds,
        used.system_seconds,
        cpu * 1e9 / produced.bytes as f64,
        cpu * 1e6 / produced.requests as f64,
        used.rss_peak_bytes as f64 / f64::from(1 << 20),
        used.switches_voluntary,
        used.switches_involuntary
    );
}
