//! `rinka dump`: prints what is in the files of a data directory. Segments and their indexes come out as Kafka's own DumpLogSegments
//! prints them, so that the two can be compared; journals, checkpoints and the metadata log are Rinka's own.
//!
//! Reads only, beside a running broker too, and streams: no file is held in memory as a whole, save a checkpoint.

mod checkpoint;
mod index;
mod journal;
mod line;
mod metadata;
mod segment;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use line::Fields;

/// What to print, and how.
#[derive(Clone, Debug, Default)]
pub struct DumpOptions {
    /// The records with their keys and values.
    pub print_data_log: bool,
    /// The records, without keys and values.
    pub deep_iteration: bool,
    /// Of the records keys and values alone.
    pub skip_record_metadata: bool,
    /// Of an index only whether it is whole.
    pub index_sanity_check: bool,
    /// Of an index only where it does not agree with its segment.
    pub verify_index_only: bool,
    /// The values are records of Rinka's metadata log.
    pub cluster_metadata_decoder: bool,
    /// At most so many bytes of a segment.
    pub max_bytes: Option<u64>,
    /// One JSON object a line.
    pub json: bool,
}

/// Why the dump of a file ended early.
#[derive(Debug)]
enum DumpError {
    Read(io::Error),
    /// The file is not what its name says: why, in words.
    Content(String),
    /// Nobody takes the output.
    Write(io::Error),
}

impl From<io::Error> for DumpError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Where lines go: to `out` what was asked for, to `notes` what is wrong with it.
struct Sink<'a> {
    out: &'a mut dyn Write,
    notes: &'a mut dyn Write,
    json: bool,
}

impl Sink<'_> {
    /// Named values; in text `prefix` stands before them, if there are any.
    fn line(&mut self, kind: &str, prefix: &str, fields: &Fields<'_>) -> Result<(), DumpError> {
        let written = if self.json {
            line::write_json(self.out, kind, fields)
        } else {
            let prefix = if fields.is_empty() { "" } else { prefix };
            let written = self.out.write_all(prefix.as_bytes());
            written.and_then(|()| line::write_text(self.out, fields))
        };
        written
            .and_then(|()| self.out.write_all(b"\n"))
            .map_err(DumpError::Write)
    }

    /// A sentence in text, an object in JSON.
    fn say(&mut self, text: &str, kind: &str, fields: &Fields<'_>) -> Result<(), DumpError> {
        if self.json {
            return self.line(kind, "", fields);
        }
        writeln!(self.out, "{text}").map_err(DumpError::Write)
    }

    /// Something is wrong: beside the output in text, a line of it in JSON.
    fn note(&mut self, text: &str) -> Result<(), DumpError> {
        if self.json {
            return self.line("finding", "", &vec![("text", text.into())]);
        }
        writeln!(self.notes, "{text}").map_err(DumpError::Write)
    }
}

/// Prints every file in turn, of a directory all files in it. Returns whether everything could be read and was what its name says;
/// what is wrong goes to `notes`.
///
/// # Errors
/// When nobody takes the output any more.
pub fn dump(
    files: &[PathBuf],
    options: &DumpOptions,
    out: &mut dyn Write,
    notes: &mut dyn Write,
) -> io::Result<bool> {
    let mut sink = Sink {
        out,
        notes,
        json: options.json,
    };
    let mut all = true;
    for path in files {
        let result = dump_path(path, options, &mut sink);
        let problem = match result {
            Ok(()) => continue,
            Err(DumpError::Write(error)) => return Err(error),
            Err(DumpError::Read(error)) => format!("cannot read {}: {error}", path.display()),
            Err(DumpError::Content(what)) => what,
        };
        all = false;
        match sink.note(&problem) {
            Err(DumpError::Write(error)) => return Err(error),
            _ => continue,
        }
    }
    sink.out.flush()?;
    Ok(all)
}

fn dump_path(path: &Path, options: &DumpOptions, sink: &mut Sink<'_>) -> Result<(), DumpError> {
    if !path.is_dir() {
        return dump_file(path, options, sink);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_file() && is_known(&path) {
            files.push(path);
        }
    }
    files.sort();
    files
        .iter()
        .try_for_each(|path| dump_file(path, options, sink))
}

fn extension(path: &Path) -> &str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.unwrap_or_default()
}

fn is_known(path: &Path) -> bool {
    matches!(
        extension(path),
        "log" | "index" | "timeindex" | "journal" | "checkpoint"
    )
}

fn dump_file(path: &Path, options: &DumpOptions, sink: &mut Sink<'_>) -> Result<(), DumpError> {
    let shown = path.display().to_string();
    let heading = format!("Dumping {shown}");
    sink.say(&heading, "file", &vec![("path", shown.clone().into())])?;
    match extension(path) {
        "log" => segment::dump(path, options, sink),
        "index" => index::dump_offsets(path, options, sink),
        "timeindex" => index::dump_times(path, options, sink),
        "journal" => journal::dump(path, sink),
        "checkpoint" => checkpoint::dump(path, sink),
        _ => sink.note(&format!("Ignoring unknown file {shown}")),
    }
}
