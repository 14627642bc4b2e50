//! What each Rust file may do: wait for the kernel, be unsafe, be long, be called so.
//!
//! Looks at lines, not at syntax: a rule that a line cannot show belongs to clippy.

use crate::assert_none;
use crate::tree::{self, File, TIDY};

/// The shells: whatever awaits, accepts or reads for real. Everything else decides, and runs in a simulation as well.
const SHELLS: &[&str] = &[
    "core/src/api/connections.rs",
    "core/src/api/describe_log_dirs.rs",
    "core/src/api/fetch.rs",
    "core/src/server.rs",
    "core/src/shard.rs",
    "core/src/shard/compaction.rs",
    "core/src/shard/coordinator.rs",
    "core/src/shard/mailbox.rs",
    "core/src/shard/offset_lookup.rs",
    "core/src/shard/report.rs",
    "core/src/shard/retention.rs",
    "net/src/connection.rs",
    "net/src/connection/tests.rs",
    "net/src/listener.rs",
    "net/src/socket.rs",
    "storage/src/disk/ring.rs",
];

/// Where no shell is, whatever the reason.
const NO_SHELLS: &[&str] = &[
    "replication/",
    "net/src/wire",
    "core/src/config",
    "core/src/metadata",
    "core/src/controller",
    "core/src/coordinator",
];

/// The files with `allow(unsafe_code)`; the workspace denies it elsewhere.
const UNSAFE: &[&str] = &[
    "core/src/machine.rs",
    "net/src/socket.rs",
    "reactor/src/file.rs",
    "reactor/src/foreign.rs",
    "reactor/src/operation.rs",
    "reactor/src/ring.rs",
    "reactor/src/tests.rs",
    "storage/src/disk/ring.rs",
];

const LINES_MAX: usize = 900;

/// Longer files, each with the lines it had when it was listed: it may shrink and never grow.
const LONG: &[(&str, usize)] = &[];

/// Names that say nothing of what a module holds.
const BANNED: &[&str] = &[
    "common", "helper", "helpers", "manager", "misc", "types", "util", "utils",
];

#[test]
fn only_shells_wait_for_the_kernel() {
    let files = tree::rust_files();
    let mut complaints = Vec::new();
    let outside = |file: &&File| !file.path.starts_with(TIDY) && !file.path.starts_with("reactor/");
    for file in files.iter().filter(outside) {
        let listed = SHELLS.contains(&file.path.as_str());
        match (uses_the_reactor(&file.text), listed) {
            (true, false) => complaints.push(format!(
                "{}: waits for the kernel; move that to a shell, or list the file in SHELLS if it is one",
                file.path
            )),
            (false, true) => complaints.push(format!(
                "{}: no longer waits for the kernel; take it off the list SHELLS",
                file.path
            )),
            _ => {}
        }
    }
    complaints.extend(gone("SHELLS", SHELLS, &files));
    for path in SHELLS {
        let pure = NO_SHELLS.iter().any(|folder| path.starts_with(folder));
        let storage = path.starts_with("storage/") && *path != "storage/src/disk/ring.rs";
        if pure || storage {
            complaints.push(format!(
                "{path}: must stay pure; take it off the list SHELLS"
            ));
        }
    }
    assert_none(&complaints);
}

#[test]
fn unsafe_stays_in_the_named_files_and_says_why() {
    let files = tree::rust_files();
    let mut complaints = Vec::new();
    for file in files.iter().filter(|file| !file.path.starts_with(TIDY)) {
        let listed = UNSAFE.contains(&file.path.as_str());
        let allows = code(&file.text).any(|(_, line)| line.contains("unsafe_code"));
        let unsafe_lines = unsafe_lines(&file.text);
        if (allows || !unsafe_lines.is_empty()) && !listed {
            complaints.push(format!(
                "{}: has unsafe code; write it without, or list the file in UNSAFE and have it reviewed",
                file.path
            ));
        }
        if listed && unsafe_lines.is_empty() {
            complaints.push(format!(
                "{}: has no unsafe code any more; take it off the list UNSAFE",
                file.path
            ));
        }
        for number in unsafe_lines {
            if !has_safety_comment(&file.text, number) {
                complaints.push(format!(
                    "{}:{}: say in a `// SAFETY:` comment right above why this is sound",
                    file.path,
                    number + 1
                ));
            }
        }
    }
    complaints.extend(gone("UNSAFE", UNSAFE, &files));
    assert_none(&complaints);
}

#[test]
fn every_module_begins_with_what_it_is() {
    let mut complaints = Vec::new();
    for file in tree::rust_files() {
        // A tests.rs belongs to the module beside it.
        let tests = file.path.ends_with("/tests.rs");
        if !tests && !file.text.trim_start().starts_with("//!") {
            complaints.push(format!(
                "{}: begin with two sentences in `//!`: what it decides or moves, and what it never does",
                file.path
            ));
        }
    }
    assert_none(&complaints);
}

#[test]
fn module_names_say_something() {
    let mut complaints = Vec::new();
    for file in tree::rust_files() {
        let names = file.path.trim_end_matches(".rs").split('/');
        for name in names.filter(|name| BANNED.contains(name)) {
            complaints.push(format!(
                "{}: `{name}` names no thing; find the noun, or move each part to where it is used",
                file.path
            ));
        }
    }
    assert_none(&complaints);
}

#[test]
fn files_stay_readable() {
    let mut complaints = Vec::new();
    let files = tree::rust_files();
    for file in &files {
        let lines = file.text.lines().count();
        let listed = LONG.iter().find(|(path, _)| *path == file.path);
        match listed {
            None if lines > LINES_MAX => complaints.push(format!(
                "{}: {lines} lines, more than {LINES_MAX}; which role, API or aspect can have a file of its own?",
                file.path
            )),
            Some((_, most)) if lines > *most => complaints.push(format!(
                "{}: {lines} lines, and it had {most}; a file in LONG may only shrink",
                file.path
            )),
            Some(_) if lines <= LINES_MAX => complaints.push(format!(
                "{}: {lines} lines are fine; take it off the list LONG",
                file.path
            )),
            _ => {}
        }
    }
    let long: Vec<&str> = LONG.iter().map(|(path, _)| *path).collect();
    complaints.extend(gone("LONG", &long, &files));
    assert_none(&complaints);
}

/// Entries of a list that name no file.
fn gone(list: &str, paths: &[&str], files: &[File]) -> Vec<String> {
    let there = |path: &str| files.iter().any(|file| file.path == path);
    let gone = paths.iter().filter(|path| !there(path));
    gone.map(|path| format!("{path}: is not there; take it off the list {list}"))
        .collect()
}

/// The lines without comments, with their index.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter_map(|(index, line)| {
        let line = line.split("//").next().unwrap_or_default().trim();
        (!line.is_empty()).then_some((index, line))
    })
}

fn uses_the_reactor(text: &str) -> bool {
    code(text).any(|(_, line)| {
        ["rinka_reactor", "glommio"].iter().any(|name| {
            line.contains(&format!("{name}::")) || line.starts_with(&format!("use {name}"))
        })
    })
}

/// Indexes of the lines where something unsafe begins.
fn unsafe_lines(text: &str) -> Vec<usize> {
    const BEGINNINGS: &[&str] = &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"];
    let begins = |line: &str| BEGINNINGS.iter().any(|beginning| line.contains(beginning));
    let lines = code(text).filter(|(_, line)| begins(line));
    lines.map(|(index, _)| index).collect()
}

/// Whether the statement that this line belongs to has its reason right above.
fn has_safety_comment(text: &str, index: usize) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut above = lines[..index].iter().rev().peekable();
    // Up to the first line of the statement.
    while above
        .next_if(|line| !line.starts_with("//") && !line.ends_with([';', '{', '}', ',']))
        .is_some()
    {}
    let mut comment = above.take_while(|line| line.starts_with("//"));
    comment.any(|line| line.contains("SAFETY:"))
}

#[test]
fn unsafe_lines_are_found() {
    assert_eq!(
        unsafe_lines("a\nlet b = unsafe { c() };\n// unsafe {\n"),
        [1]
    );
    assert!(has_safety_comment(
        "// SAFETY: so.\n// More.\nlet b =\n    unsafe { c() };",
        3
    ));
    assert!(!has_safety_comment(
        "// SAFETY: so.\na();\nunsafe { c() };",
        2
    ));
    assert!(!has_safety_comment("// So.\nunsafe { c() };", 1));
}

#[test]
fn the_reactor_is_found() {
    assert!(uses_the_reactor("    rinka_reactor::spawn(task);"));
    assert!(uses_the_reactor("    glommio::spawn_local(task);"));
    assert!(uses_the_reactor("use glommio as executor;"));
    assert!(!uses_the_reactor("/// Not with [`glommio::Task`]."));
}
