//! Kafka's own DumpLogSegments, from the published jars of the control in `perf/kafka`. Never interprets what it prints.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::Printed;
use crate::support::broker::workspace;
use crate::support::toolchain::{self, Absent};

/// The folder of the jars, fetched once; `KAFKA_JARS` names one that is there already, as for `perf/kafka/start`.
fn jars() -> Result<&'static Path, Absent> {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    let given = std::env::var_os("KAFKA_JARS").map(PathBuf::from);
    let given = given.filter(|jars| jars.join("complete").exists());
    let programs: &[&str] = match given {
        Some(_) => &["java"],
        None => &["java", "mvn"],
    };
    toolchain::need("Kafka's DumpLogSegments", programs)?;
    Ok(JARS.get_or_init(|| given.unwrap_or_else(fetch)))
}

fn fetch() -> PathBuf {
    let sources = workspace().join("perf/kafka");
    let folder = toolchain::built("kafka-jars", &sources, |folder| {
        toolchain::run(
            Command::new("mvn")
                .args(["-q", "-B", "-f"])
                .arg(sources.join("pom.xml"))
                .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
                .arg(format!(
                    "-DoutputDirectory={}",
                    folder.join("jars").display()
                )),
        );
    });
    folder.join("jars")
}

/// What Kafka's tool prints of these files.
pub(crate) fn dump(files: &[PathBuf], options: &[&str]) -> Result<Printed, Absent> {
    let jars = jars()?;
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
