//! franz-go, the Go client: kgo to produce and consume, kadm to administrate, kmsg for single requests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::client::Shape;
use crate::driver::Driver;
use crate::sources;
use crate::support::toolchain::{self, Absent};

pub(crate) fn client() -> Result<Driver, Absent> {
    toolchain::need("franz-go", &["go"])?;
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let folder = toolchain::built("franz-go", &sources("franz_go"), |folder| {
            toolchain::run(
                Command::new("go")
                    .args(["build", "-o"])
                    .arg(folder.join("driver"))
                    .arg(".")
                    .current_dir(sources("franz_go")),
            );
        });
        folder.join("driver")
    });
    Ok(Driver {
        name: "franz-go",
        command: vec![program.display().to_string()],
        shape: Shape::FULL,
        expected_errors: &[
            ("unknown_topic_produce", "UNKNOWN_TOPIC_OR_PARTITION"),
            ("unknown_topic_consume", "UNKNOWN_TOPIC_OR_PARTITION"),
            ("record_too_large", "MESSAGE_TOO_LARGE"),
            (
                "no_such_partition_produce",
                "invalid record partitioning choice of 99 from 2 available",
            ),
            // It goes on asking until its caller has waited long enough.
            ("no_such_partition_consume", "deadline"),
            (
                "no_such_partition_on_the_wire",
                "UNKNOWN_TOPIC_OR_PARTITION",
            ),
            ("out_of_range_on_the_wire", "OFFSET_OUT_OF_RANGE"),
        ],
    })
}
