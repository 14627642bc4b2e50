//! Checks a machine for a broker: what `serve` insists on, and what makes it slow or unsafe without stopping it.
//!
//! Reads /proc and /sys; what a kernel does not tell is left out.

use std::fs;
use std::path::Path;

use super::{Report, Verdict, disk_check};
use crate::machine::{self, MachineError};

/// The oldest kernel the broker is tested for.
const KERNEL_MIN: (u32, u32) = (6, 1);

/// Segments, sockets and rings of a small broker; clients and partitions come on top.
const DESCRIPTORS_MIN: u64 = 10_000;

/// Checks the machine, and the disk below `disk`.
#[must_use]
pub fn check_machine(disk: &Path) -> Report {
    let mut report = Report::default();
    kernel(
        &read("/proc/sys/kernel/osrelease").unwrap_or_default(),
        &mut report,
    );
    io_uring(&mut report);
    let memlock = machine::check_memlock();
    match memlock {
        Ok(()) => report.add(Verdict::Ok, "locked memory", "enough"),
        Err(error) => report.add(Verdict::Problem, "locked memory", error.to_string()),
    }
    if let Some(limit) = read("/proc/self/limits").and_then(|text| descriptors(&text)) {
        descriptor_limit(limit, &mut report);
    }
    cores(&mut report);
    governor(&mut report);
    if let Some(source) = read("/sys/devices/system/clocksource/clocksource0/current_clocksource") {
        clock(&source, &mut report);
    }
    disk_check::check(disk, &mut report);
    report.summary = "machine: ".to_owned();
    report
}

fn read(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

fn kernel(release: &str, report: &mut Report) {
    let mut numbers = release
        .split(|character: char| !character.is_ascii_digit())
        .map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= KERNEL_MIN {
        report.add(Verdict::Ok, "kernel", release);
    } else {
        report.advise(
            Verdict::Problem,
            "kernel",
            release,
            "Rinka needs Linux 6.1 or newer",
        );
    }
}

fn io_uring(report: &mut Report) {
    match machine::check_io_uring() {
        Ok(()) => report.add(Verdict::Ok, "io_uring", "allowed"),
        Err(MachineError::IoUring(error)) => {
            let (found, advice) = match read("/proc/sys/kernel/io_uring_disabled").as_deref() {
                Some("1" | "2") => (
                    "the sysctl kernel.io_uring_disabled forbids it",
                    "set kernel.io_uring_disabled=0",
                ),
                _ => (
                    "refused, as a container's seccomp profile does",
                    "allow io_uring_setup, io_uring_enter and io_uring_register in the container's profile",
                ),
            };
            report.advise(
                Verdict::Problem,
                "io_uring",
                format!("{found} ({error})"),
                advice,
            );
        }
        Err(error) => report.add(Verdict::Problem, "io_uring", error.to_string()),
    }
}

/// The soft limit of open files.
fn descriptors(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        soft => soft.parse().ok(),
    }
}

fn descriptor_limit(limit: u64, report: &mut Report) {
    if limit >= DESCRIPTORS_MIN {
        report.add(Verdict::Ok, "open files", format!("up to {limit}"));
    } else {
        let advice = "raise it with `ulimit -n 100000` or LimitNOFILE=100000 in the service file: every client is one, every segment in use another";
        report.advise(
            Verdict::Warning,
            "open files",
            format!("up to {limit}"),
            advice,
        );
    }
}

fn cores(report: &mut Report) {
    let usable = machine::usable_cpus().len();
    let smt = match read("/sys/devices/system/cpu/smt/active").as_deref() {
        Some("1") => ", two threads a core: two shards then share one",
        _ => "",
    };
    report.add(Verdict::Ok, "cores", format!("{usable} usable{smt}"));
}

fn governor(report: &mut Report) {
    let slow = machine::usable_cpus().into_iter().find_map(|cpu| {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor");
        read(&path).filter(|governor| governor != "performance")
    });
    if let Some(governor) = slow {
        let advice = "latency varies with it: `cpupower frequency-set -g performance`";
        report.advise(Verdict::Warning, "CPU governor", governor, advice);
    }
}

fn clock(source: &str, report: &mut Report) {
    match source {
        "tsc" | "arch_sys_counter" | "kvm-clock" => report.add(Verdict::Ok, "clock source", source),
        _ => {
            let advice = "reading the clock is a system call with it, many times a request: find out why the kernel distrusts the TSC (dmesg)";
            report.advise(Verdict::Warning, "clock source", source, advice);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(check: impl FnOnce(&mut Report)) -> Verdict {
        let mut report = Report::default();
        check(&mut report);
        report.findings[0].verdict
    }

    #[test]
    fn kernels_limits_and_clocks() {
        for (release, expected) in [
            ("6.1.0-13-amd64", Verdict::Ok),
            ("6.0.9", Verdict::Problem),
            ("5.15.0", Verdict::Problem),
            ("10.0", Verdict::Ok),
            ("", Verdict::Problem),
        ] {
            assert_eq!(
                verdict(|report| kernel(release, report)),
                expected,
                "{release}"
            );
        }
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(descriptors(limits), Some(1024));
        assert_eq!(
            verdict(|report| descriptor_limit(1024, report)),
            Verdict::Warning
        );
        assert_eq!(
            verdict(|report| descriptor_limit(u64::MAX, report)),
            Verdict::Ok
        );
        assert_eq!(verdict(|report| clock("tsc", report)), Verdict::Ok);
        assert_eq!(verdict(|report| clock("hpet", report)), Verdict::Warning);
    }
}
