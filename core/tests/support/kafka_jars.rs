//! The published jars of Apache Kafka, as the control in `perf/kafka` has them. Never runs them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::broker::workspace;
use super::toolchain::{self, Absent};

/// The folder of the jars, fetched once; `KAFKA_JARS` names one that is there already, as for `perf/kafka/start`.
pub(crate) fn jars(suite: &'static str) -> Result<&'static Path, Absent> {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    let given = std::env::var_os("KAFKA_JARS").map(PathBuf::from);
    let given = given.filter(|jars| is_complete(jars));
    let programs: &[&str] = match given {
        Some(_) => &["java"],
        None => &["java", "mvn"],
    };
    toolchain::need(suite, programs)?;
    Ok(JARS.get_or_init(|| given.unwrap_or_else(fetch)))
}

/// Whether it was fetched to its end, and not by a list that did not yet have Connect's file connectors.
fn is_complete(jars: &Path) -> bool {
    let mut names = std::fs::read_dir(jars).into_iter().flatten().flatten();
    jars.join("complete").exists()
        && names.any(|jar| {
            let name = jar.file_name();
            name.to_string_lossy().starts_with("connect-file-")
        })
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
