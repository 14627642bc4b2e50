//! A producer of batches that go past the journal, straight to their segment, and what it was answered. Judges only its own topic.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use rinka_storage::record_batch::RecordBatchBuilder;

use crate::hammer;
use crate::support::admin::{create_topic, produce};

const TOPIC: &str = "large";

/// Above the size from which a batch goes past the journal.
const VALUE_BYTES: usize = 200 << 10;

const PAUSE: Duration = Duration::from_millis(30);

/// Produces until it is dropped.
pub(crate) struct LargeBatches {
    acked: Arc<Mutex<Vec<u64>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LargeBatches {
    pub(crate) fn start(bootstrap: &str) -> Self {
        create_topic(bootstrap, TOPIC, 1, &[("segment.bytes", "4194304")]);
        let acked = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let bootstrap = bootstrap.to_owned();
        let (told, asked) = (Arc::clone(&acked), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            let mut number = 0;
            while !asked.load(Ordering::Relaxed) {
                // What was not answered may be there or not: its number is never sent again.
                if produce(&bootstrap, TOPIC, &batch(number)).is_ok_and(|error| error == 0) {
                    told.lock().expect("no panic while held").push(number);
                }
                number += 1;
                // The load's own pace.
                std::thread::sleep(PAUSE);
            }
        });
        Self {
            acked,
            ended,
            thread: Some(thread),
        }
    }

    /// Reads the topic from its beginning: all that was acknowledged before is there, whole, in order and once. How many there are.
    pub(crate) fn check(&self, program: &Path, bootstrap: &str, when: &str) -> usize {
        let acked = self.acked.lock().expect("no panic while held").clone();
        let mut found = Vec::new();
        hammer::read(program, bootstrap, TOPIC, &[0], |_, offset, value| {
            assert_eq!(offset, found.len() as u64, "no offset is left out {when}");
            let (number, _) = value.split_first_chunk().expect("a number");
            let number = u64::from_be_bytes(*number);
            assert!(
                value == self::value(number),
                "batch {number} is changed {when}"
            );
            found.push(number);
        });
        assert!(
            found.is_sorted_by(|one, next| one < next),
            "in order {when}: {found:?}"
        );
        let lost = acked
            .iter()
            .filter(|number| found.binary_search(number).is_err());
        let lost: Vec<&u64> = lost.collect();
        assert!(lost.is_empty(), "acknowledged and lost {when}: {lost:?}");
        acked.len()
    }
}

impl Drop for LargeBatches {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn value(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(VALUE_BYTES / 8)
}

fn batch(number: u64) -> Bytes {
    let mut builder = RecordBatchBuilder::new();
    builder.append(-1, None, Some(&value(number)));
    builder.build()
}
