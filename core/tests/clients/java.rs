//! Apache Kafka's own Java client, the last 3.x and a 4.x: one Maven project, built once for each version.

use std::process::Command;
use std::sync::OnceLock;

use crate::client::Shape;
use crate::driver::Driver;
use crate::sources;
use crate::support::toolchain::{self, Absent};

const EXPECTED_ERRORS: &[(&str, &str)] = &[
    // Waits for the topic to appear in the metadata, max.block.ms long.
    ("unknown_topic_produce", "TimeoutException"),
    ("unknown_topic_consume", "TimeoutException"),
    ("record_too_large", "RecordTooLargeException"),
    ("no_such_partition_produce", "TimeoutException"),
    ("no_such_partition_consume", "TimeoutException"),
];

pub(crate) fn java_3_9() -> Result<Driver, Absent> {
    static JARS: OnceLock<String> = OnceLock::new();
    driver("java 3.9", "3.9.2", &JARS)
}

pub(crate) fn java_4() -> Result<Driver, Absent> {
    static JARS: OnceLock<String> = OnceLock::new();
    driver("java 4", "4.3.1", &JARS)
}

fn driver(
    name: &'static str,
    version: &str,
    class_path: &OnceLock<String>,
) -> Result<Driver, Absent> {
    toolchain::need(name, &["java", "mvn"])?;
    let class_path = class_path.get_or_init(|| build(version));
    let command = [
        "java",
        // Several of these run beside each other and a broker on a small machine.
        "-Xmx256m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
        "-cp",
        class_path,
        "Driver",
    ];
    Ok(Driver {
        name,
        command: command.map(str::to_owned).to_vec(),
        shape: Shape::FULL,
        expected_errors: EXPECTED_ERRORS,
    })
}

fn build(version: &str) -> String {
    let folder = toolchain::built(&format!("java-{version}"), &sources("java"), |folder| {
        toolchain::run(
            Command::new("mvn")
                .args(["-q", "-B", "-f"])
                .arg(sources("java").join("pom.xml"))
                .arg(format!("-Dkafka.version={version}"))
                .arg(format!("-Dbuild.folder={}", folder.display()))
                .arg("compile"),
        );
    });
    format!("{0}/classes:{0}/jars/*", folder.display())
}
