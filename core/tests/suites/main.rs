//! Client libraries' own tests against the real broker: the quick part of each, by its script in this folder. Tests no client.
//!
//! - `cargo test -p rinka-core --test suites`; all of librdkafka's: `core/tests/suites/librdkafka`, of kafka-python's: `.../kafka-python`.
//! - What a script needs and does not find is skipped by name; with `CI=true` that is a failure.
//! - `RINKA_TEST_BOOTSTRAP=host:port`: against a broker that runs already.

#[path = "../support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use support::broker::workspace;
use support::toolchain::{self, Absent};

/// They measure time: two at once would fail where one does not.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn librdkafka() {
    let needed = toolchain::need("librdkafka's tests", &["python3", "cmake", "c++"]);
    check("librdkafka", needed.and_then(|()| headers()));
}

#[test]
fn kafka_python() {
    let needed = toolchain::need("kafka-python's tests", &["python3"]);
    check("kafka-python", needed);
}

fn check(suite: &str, needed: Result<(), Absent>) {
    if let Err(absent) = needed {
        return toolchain::skip(&absent);
    }
    let _turn = ONE_AT_A_TIME
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let output = Command::new(workspace().join("core/tests/suites").join(suite))
        .args(["--quick", "--show"])
        .env("RINKA", env!("CARGO_BIN_EXE_rinka"))
        .env(
            "RINKA_SUITES",
            target.expect("a folder of it").join("suites"),
        )
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .expect("the script can be run");
    assert!(
        output.status.success(),
        "{suite} ({}):\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Without the first two, codecs would be left out without a word.
fn headers() -> Result<(), Absent> {
    let found = Command::new("c++")
        .args([
            "-E", "-x", "c++", "-include", "zlib.h", "-include", "zstd.h",
        ])
        .args(["-include", "rapidjson/document.h"])
        .arg("/dev/null")
        .output()
        .is_ok_and(|output| output.status.success());
    match found {
        true => Ok(()),
        false => Err(Absent {
            suite: "librdkafka's tests",
            missing: "no headers of zlib, zstd and rapidjson".to_owned(),
            impossible: false,
        }),
    }
}
