//! Which crate may depend on which: the reactor on none of ours, net and storage on it, replication on storage, core on all.
//!
//! Reads the manifests as text; development dependencies are free.

use crate::assert_none;
use crate::tree;

/// A folder with the crates of ours that it may depend on.
const MAY_USE: &[(&str, &[&str])] = &[
    ("reactor", &[]),
    ("net", &["rinka-reactor"]),
    ("storage", &["rinka-reactor"]),
    ("replication", &["rinka-storage"]),
    (
        "core",
        &[
            "rinka-reactor",
            "rinka-net",
            "rinka-storage",
            "rinka-replication",
        ],
    ),
    ("bench-harness", &["rinka-net", "rinka-storage"]),
];

/// Crates of others that a folder must do without, and why.
const NEVER: &[(&str, &str, &str)] = &[(
    "replication",
    "glommio",
    "agreement has no I/O, so that a simulation can drive it",
)];

#[test]
fn dependencies_point_downwards() {
    let mut complaints = Vec::new();
    for file in tree::files() {
        let Some((folder, "Cargo.toml")) = file.path.split_once('/') else {
            continue;
        };
        complaints.extend(check(folder, &file.text));
    }
    assert_none(&complaints);
}

fn check(folder: &str, manifest: &str) -> Vec<String> {
    let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == folder) else {
        return vec![format!(
            "{folder}/Cargo.toml: a new crate is a change of the architecture; say in MAY_USE what it may depend on"
        )];
    };
    let mut complaints = Vec::new();
    for dependency in dependencies(manifest) {
        if dependency.starts_with("rinka-") && !allowed.contains(&dependency.as_str()) {
            complaints.push(format!(
                "{folder}/Cargo.toml: may not depend on {dependency}; it may use {allowed:?}"
            ));
        }
        for (_, crate_name, why) in NEVER.iter().filter(|(name, ..)| *name == folder) {
            if dependency == *crate_name {
                complaints.push(format!(
                    "{folder}/Cargo.toml: must do without {dependency}: {why}"
                ));
            }
        }
    }
    complaints
}

/// Names in `[dependencies]`, `[build-dependencies]` and those of a target, in whichever spelling.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.split(']').next().unwrap_or_default();
            let parts: Vec<&str> = section.rsplitn(2, '.').collect();
            let counts = |part: &str| {
                part == "build-dependencies" || part.split('.').next_back() == Some("dependencies")
            };
            inside = counts(section);
            // `[dependencies.name]`
            if let [name, table] = parts[..]
                && !inside
                && counts(table)
            {
                names.push(name.to_owned());
            }
        } else if inside && !line.starts_with('#') {
            let key = line.split(['=', '.', ' ']).next().unwrap_or_default();
            if !key.is_empty() {
                names.push(key.trim_matches('"').to_owned());
            }
        }
    }
    names
}

#[test]
fn dependencies_are_found() {
    let manifest = "[package]\nname = \"a\"\n[dependencies]\nb.workspace = true\nc = { path = \"c\" } # why\n\n\
         [dependencies.d]\npath = \"d\"\n[target.'cfg(unix)'.dependencies]\ne=\"1\"\n[dev-dependencies]\nf = \"1\"\n";
    assert_eq!(dependencies(manifest), ["b", "c", "d", "e"]);
    let complaints = check(
        "replication",
        "[dependencies]\nglommio = \"1\"\nrinka-net = \"1\"\n",
    );
    assert_eq!(complaints.len(), 2);
}
