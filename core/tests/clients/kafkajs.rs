//! kafkajs, the Node client, with the codecs its users add to it.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::client::Shape;
use crate::driver::Driver;
use crate::sources;
use crate::support::toolchain::{self, Absent};

pub(crate) fn client() -> Result<Driver, Absent> {
    toolchain::need("kafkajs", &["node", "npm"])?;
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let folder = toolchain::built("kafkajs", &sources("kafkajs"), |folder| {
            // Copied, because node looks for modules beside the program.
            for file in ["package.json", "package-lock.json", "driver.js"] {
                std::fs::copy(sources("kafkajs").join(file), folder.join(file))
                    .expect("the target folder can be written");
            }
            toolchain::run(
                Command::new("npm")
                    .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .current_dir(folder),
            );
        });
        folder.join("driver.js")
    });
    Ok(Driver {
        name: "kafkajs",
        command: vec!["node".to_owned(), program.display().to_string()],
        // It fails on a header without a value.
        shape: Shape {
            null_headers: false,
            ..Shape::FULL
        },
        expected_errors: &[
            ("unknown_topic_produce", "UNKNOWN_TOPIC_OR_PARTITION"),
            ("unknown_topic_consume", "UNKNOWN_TOPIC_OR_PARTITION"),
            ("record_too_large", "MESSAGE_TOO_LARGE"),
        ],
    })
}
