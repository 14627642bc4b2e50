//! Files and directories that should not be where they are: cut-off deletions, temporary files, and what no Rinka wrote.
//!
//! Goes by names alone.

use std::io;
use std::path::Path;

use rinka_storage::segment_files::DELETED_SUFFIX;
use rinka_storage::store::layout;

use super::repair::Remedy;
use super::{Report, Verdict};
use crate::offline::base_offset;

const REMOVE: &str = "stop the broker and run `rinka doctor --data DIR --repair`, which removes it";
const UNKNOWN: &str = "Rinka did not write it and does not look at it: move it elsewhere";

/// Looks through the data directory. `is_partition`: a directory's name is that of a partition.
pub(super) fn check(
    root: &Path,
    is_partition: &dyn Fn(&str) -> bool,
    report: &mut Report,
) -> io::Result<()> {
    for (name, path, is_directory) in list(root)? {
        let subject = path.display().to_string();
        if is_directory && name.ends_with(DELETED_SUFFIX) {
            let remedy = Remedy::RemoveDirectory(path);
            let advice = format!("the next start removes it; or {REMOVE}");
            let text = "what is left of a deleted partition";
            report.repairable(Verdict::Warning, subject, text, advice, remedy);
        } else if is_directory && is_partition(&name) {
            partition(&path, report)?;
        } else if is_directory && name == layout::DIRECTORY {
            own(&path, report)?;
        } else if name.ends_with(".tmp") && !is_directory {
            temporary(&path, report);
        } else if !matches!(&*name, ".lock" | "meta.properties" | "lost+found") {
            let text = "it belongs to no partition that is known";
            report.advise(Verdict::Warning, subject, text, UNKNOWN);
        }
    }
    Ok(())
}

fn temporary(path: &Path, report: &mut Report) {
    let subject = path.display().to_string();
    let text = "a file that was being replaced when the broker ended";
    let remedy = Remedy::RemoveFile(path.to_owned());
    report.repairable(Verdict::Warning, subject, text, REMOVE, remedy);
}

fn unknown(path: &Path, report: &mut Report) {
    let subject = path.display().to_string();
    report.advise(Verdict::Warning, subject, "an unknown file", UNKNOWN);
}

fn partition(directory: &Path, report: &mut Report) -> io::Result<()> {
    for (name, path, is_directory) in list(directory)? {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let segment = base_offset(&path).is_some() && !is_directory;
        match extension {
            Some("log" | "index" | "timeindex") if segment => {}
            // A segment that retention took out: the next start removes it.
            Some("deleted")
                if path
                    .file_stem()
                    .is_some_and(|stem| base_offset(Path::new(stem)).is_some()) => {}
            Some("tmp") if !is_directory => temporary(&path, report),
            _ if name == "partition.metadata" => {}
            _ => unknown(&path, report),
        }
    }
    Ok(())
}

fn own(directory: &Path, report: &mut Report) -> io::Result<()> {
    for (name, path, is_directory) in list(directory)? {
        let numbered = |prefix: &str, suffix: &str| {
            let number = name
                .strip_prefix(prefix)
                .and_then(|rest| rest.strip_suffix(suffix));
            number.is_some_and(|number| number.parse::<usize>().is_ok())
        };
        if is_directory && numbered("journal-", "") {
            for (name, path, _) in list(&path)? {
                if !name.ends_with(".journal") {
                    unknown(&path, report);
                }
            }
        } else if name.ends_with(".tmp") && !is_directory {
            temporary(&path, report);
        } else if name != "base.checkpoint"
            && !numbered("shard-", ".checkpoint")
            && !numbered("reserve-", "")
        {
            unknown(&path, report);
        }
    }
    Ok(())
}

fn list(directory: &Path) -> io::Result<Vec<(String, std::path::PathBuf, bool)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        found.push((name, entry.path(), entry.file_type()?.is_dir()));
    }
    found.sort();
    Ok(found)
}
