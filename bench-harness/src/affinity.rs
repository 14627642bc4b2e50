//! On which cores a thread, and every process that it starts, may run.
//!
//! Never moves a process that runs already: the threads it has by then would stay where they are.

use std::fmt;
use std::str::FromStr;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::client::Result;

/// Cores as taskset takes them: `1` or `0,2-3`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores(Vec<usize>);

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self> {
        let number = |word: &str| {
            let core: usize = word
                .trim()
                .parse()
                .map_err(|_| format!("`{word}` is no core"))?;
            if core < CpuSet::MAX_CPU {
                Ok(core)
            } else {
                Err(format!("no machine has a core {core}"))
            }
        };
        let mut cores = Vec::new();
        for part in text.split(',') {
            match part.split_once('-') {
                Some((first, last)) => cores.extend(number(first)?..=number(last)?),
                None => cores.push(number(part)?),
            }
        }
        if cores.is_empty() {
            return Err(format!("`{text}` names no core"));
        }
        Ok(Self(cores))
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.0.iter().map(usize::to_string).collect();
        out.write_str(&words.join(","))
    }
}

/// Puts this thread on these cores; a process that it starts inherits them.
pub(crate) fn pin(cores: Option<&Cores>) -> Result<()> {
    let Some(cores) = cores else { return Ok(()) };
    let mut set = CpuSet::new();
    for core in &cores.0 {
        set.set(*core);
    }
    sched_setaffinity(None, &set).map_err(|error| format!("cannot run on cores {cores}: {error}"))
}

/// Does the work on these cores, then puts the thread back to where it was.
pub(crate) fn pinned<T>(cores: Option<&Cores>, work: impl FnOnce() -> T) -> Result<T> {
    let before = sched_getaffinity(None).map_err(|error| format!("cores: {error}"))?;
    pin(cores)?;
    let done = work();
    sched_setaffinity(None, &before).map_err(|error| format!("cores: {error}"))?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_read_as_taskset_reads_them() {
        assert_eq!("0,2-4".parse(), Ok(Cores(vec![0, 2, 3, 4])));
        assert_eq!("1".parse::<Cores>().expect("a core").to_string(), "1");
        for wrong in ["", "a", "1-", "3-2", "100000", "0-99999999999"] {
            assert!(wrong.parse::<Cores>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_thread_comes_back_to_where_it_was() {
        let before = sched_getaffinity(None).expect("affinity");
        let first = (0..CpuSet::MAX_CPU)
            .find(|core| before.is_set(*core))
            .expect("a core");
        let inside = pinned(Some(&Cores(vec![first])), || {
            sched_getaffinity(None).expect("affinity").count()
        });
        assert_eq!(inside, Ok(1));
        assert_eq!(
            sched_getaffinity(None).expect("affinity").count(),
            before.count()
        );
    }
}
