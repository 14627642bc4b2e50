//! `rinka doctor`: says whether a machine will do for a broker and whether a data directory is whole, in words that say what to do.
//!
//! Decides nothing for the broker. Changes a data directory only when asked to repair it, and then never a byte of a record or of a
//! checkpoint.

mod directory;
mod disk_check;
mod index_check;
mod journals;
mod leftovers;
mod machine_check;
mod repair;
mod segment;

use std::fmt;
use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use directory::check_directory;
pub use machine_check::check_machine;

use repair::Remedy;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Ok,
    /// The broker runs, and worse than it could, or something lies about that should not.
    Warning,
    /// The broker does not run, or does not serve everything it should.
    Problem,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Problem => "PROBLEM",
        })
    }
}

/// What was looked at, what was found, and what to do about it.
#[derive(Clone, Debug)]
pub struct Finding {
    pub verdict: Verdict,
    pub subject: String,
    pub found: String,
    /// Empty when there is nothing to do.
    pub advice: String,
    remedy: Option<Remedy>,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub struct Report {
    pub findings: Vec<Finding>,
    /// What was looked at, in one line.
    pub summary: String,
}

impl Report {
    fn add(&mut self, verdict: Verdict, subject: impl Into<String>, found: impl Into<String>) {
        self.advise(verdict, subject, found, "");
    }

    fn advise(
        &mut self,
        verdict: Verdict,
        subject: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.findings.push(Finding {
            verdict,
            subject: subject.into(),
            found: found.into(),
            advice: advice.into(),
            remedy: None,
        });
    }

    /// As `advise`, for what a repair can put right.
    fn repairable(
        &mut self,
        verdict: Verdict,
        subject: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
        remedy: Remedy,
    ) {
        self.advise(verdict, subject, found, advice);
        self.findings.last_mut().expect("just added").remedy = Some(remedy);
    }

    fn count(&self, verdict: Verdict) -> usize {
        let of_it = self
            .findings
            .iter()
            .filter(|found| found.verdict == verdict);
        of_it.count()
    }

    /// 2 with problems, 1 with warnings where they count, else 0.
    #[must_use]
    pub fn exit_code(&self, strict: bool) -> u8 {
        match self.findings.iter().map(|found| found.verdict).max() {
            Some(Verdict::Problem) => 2,
            Some(Verdict::Warning) if strict => 1,
            _ => 0,
        }
    }

    /// # Errors
    /// When nobody takes the output.
    pub fn print(&self, out: &mut dyn Write) -> io::Result<()> {
        for finding in &self.findings {
            let Finding {
                verdict,
                subject,
                found,
                advice,
                ..
            } = finding;
            writeln!(out, "{verdict:<8} {subject}: {found}")?;
            if !advice.is_empty() {
                writeln!(out, "         {advice}")?;
            }
        }
        let counted = |count, one: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {one}s"),
        };
        let problems = counted(self.count(Verdict::Problem), "problem");
        let warnings = counted(self.count(Verdict::Warning), "warning");
        writeln!(out, "{}{problems}, {warnings}", self.summary)
    }
}

/// Which directory to check, and whether to repair it.
#[derive(Clone, Debug)]
pub struct DirectoryOptions {
    pub path: PathBuf,
    pub repair: bool,
}

/// How far the reading is, on standard error when a person looks at it.
struct Progress {
    total: u64,
    done: u64,
    shown: Option<Instant>,
    visible: bool,
}

/// Often enough to see that it moves.
const SHOW_EVERY: Duration = Duration::from_millis(200);

impl Progress {
    fn new(total: u64) -> Self {
        Self {
            total,
            done: 0,
            shown: None,
            visible: io::stderr().is_terminal(),
        }
    }

    fn add(&mut self, bytes: u64) {
        self.done += bytes;
        let due = self.shown.is_none_or(|shown| shown.elapsed() >= SHOW_EVERY);
        if self.visible && due {
            self.shown = Some(Instant::now());
            let (done, total) = (size(self.done), size(self.total));
            let _ = write!(io::stderr(), "\r\x1b[Kread {done} of {total}");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}
