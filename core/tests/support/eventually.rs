//! Looking again and again at what tells nothing by itself. Never for what can be awaited.

use std::time::{Duration, Instant};

/// Looks until it is so; panics when that takes too long.
pub(crate) fn eventually(within: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + within;
    while !is_so() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
