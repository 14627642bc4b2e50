//! The Python clients: librdkafka by way of confluent-kafka, and aiokafka. One virtual environment with pinned wheels for both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::client::Shape;
use crate::driver::Driver;
use crate::sources;
use crate::support::toolchain::{self, Absent};

pub(crate) fn librdkafka() -> Result<Driver, Absent> {
    Ok(Driver {
        name: "librdkafka",
        command: command("librdkafka", "librdkafka_driver.py")?,
        shape: Shape::FULL,
        expected_errors: &[
            ("unknown_topic_produce", "UNKNOWN_TOPIC_OR_PART"),
            ("unknown_topic_consume", "_UNKNOWN_PARTITION"),
            ("record_too_large", "MSG_SIZE_TOO_LARGE"),
            ("no_such_partition_produce", "_UNKNOWN_PARTITION"),
            ("no_such_partition_consume", "_UNKNOWN_PARTITION"),
        ],
    })
}

pub(crate) fn aiokafka() -> Result<Driver, Absent> {
    Ok(Driver {
        name: "aiokafka",
        command: command("aiokafka", "aiokafka_driver.py")?,
        // It refuses to send a record without key and value.
        shape: Shape {
            null_records: false,
            ..Shape::FULL
        },
        expected_errors: &[
            ("unknown_topic_produce", "UnknownTopicOrPartitionError"),
            ("unknown_topic_consume", "KafkaTimeoutError"),
            ("record_too_large", "MessageSizeTooLargeError"),
            // "Unrecognized partition": it looks in the metadata first.
            ("no_such_partition_produce", "AssertionError"),
            ("no_such_partition_consume", "KafkaTimeoutError"),
        ],
    })
}

fn command(suite: &'static str, driver: &str) -> Result<Vec<String>, Absent> {
    toolchain::need(suite, &["python3"])?;
    let python = environment().join("bin/python");
    let driver = sources("python").join(driver);
    Ok([python, driver]
        .map(|path| path.display().to_string())
        .to_vec())
}

fn environment() -> &'static Path {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let folder = toolchain::built("python", &sources("python"), |folder| {
            toolchain::run(
                Command::new("python3")
                    .args(["-m", "venv", "--clear"])
                    .arg(folder.join("venv")),
            );
            // Wheels only: nothing is compiled, and nothing asks for a compiler.
            toolchain::run(
                Command::new(folder.join("venv/bin/python"))
                    .args([
                        "-m",
                        "pip",
                        "install",
                        "--quiet",
                        "--only-binary=:all:",
                        "-r",
                    ])
                    .arg(sources("python").join("requirements.txt")),
            );
        });
        folder.join("venv")
    })
}
