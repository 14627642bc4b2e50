//! Why a command ended early, in words that say what to do next, and the exit code that stands for it.
//!
//! Knows no cause itself: whoever fails writes the sentence.

use std::fmt;
use std::io;
use std::process::ExitCode;

/// A command line that makes no sense, as clap's own errors have it.
const USAGE: u8 = 2;

#[derive(Debug)]
pub(crate) enum Failure {
    /// Something went wrong for good.
    Failed(String),
    /// A broker could not be reached or hung up; another try may go well.
    Connection(String),
    /// The arguments contradict each other or what they name.
    Usage(String),
    /// Nobody reads what is printed any more: no error.
    ReaderGone,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Failed(_) | Self::Connection(_) => ExitCode::FAILURE,
            Self::Usage(_) => ExitCode::from(USAGE),
            Self::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Connection(text) | Self::Usage(text) => {
                formatter.write_str(text)
            }
            Self::ReaderGone => formatter.write_str("nobody reads what is printed"),
        }
    }
}

/// Of printing: all other input and output says what it was about.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::ReaderGone
        } else {
            Self::Failed(format!("cannot print: {error}"))
        }
    }
}

/// What was printed as JSON goes the same way.
impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

/// A failure for good.
pub(crate) fn failed<T>(text: impl Into<String>) -> Result<T> {
    Err(Failure::Failed(text.into()))
}

/// A command line that makes no sense.
pub(crate) fn usage<T>(text: impl Into<String>) -> Result<T> {
    Err(Failure::Usage(text.into()))
}
