//! Kafka's own DumpLogSegments, from the published jars. Never interprets what it prints.

use std::path::PathBuf;
use std::process::Command;

use crate::Printed;
use crate::support::kafka_jars::jars;
use crate::support::toolchain::Absent;

/// What Kafka's tool prints of these files.
pub(crate) fn dump(files: &[PathBuf], options: &[&str]) -> Result<Printed, Absent> {
    let jars = jars("Kafka's DumpLogSegments")?;
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let mut command = Command::new("java");
    command
        .args(["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
        // Of what it prints to standard error only its findings are wanted, and text as UTF-8 whatever the locale.
        .args(["-Dlog4j2.level=OFF", "-Dfile.encoding=UTF-8", "-cp"])
        .arg(format!("{}/*", jars.display()))
        .arg("org.apache.kafka.tools.DumpLogSegments")
        .args(options)
        .arg("--files")
        .arg(names.join(","));
    Ok(Printed::of(&mut command))
}
