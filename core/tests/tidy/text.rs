//! What no tracked file may say: where it was written, and where its dependencies came from.
//!
//! Looks at every text file, whatever its language.

use crate::assert_none;
use crate::tree::{self, TIDY};

const MACHINE_PATHS: &[&str] = &["/work/", "/root/", "/tmp/rt"];

const REGISTRIES: &[&str] = &[
    "index.crates.io",
    "static.crates.io",
    "registry.npmjs.org",
    "registry.yarnpkg.com",
    "pypi.org",
    "files.pythonhosted.org",
    "proxy.golang.org",
    "sum.golang.org",
    "repo.maven.apache.org",
    "repo1.maven.org",
];

#[test]
fn no_path_of_one_machine_and_no_registry() {
    let mut complaints = Vec::new();
    for file in tree::files() {
        if !file.path.starts_with(TIDY) {
            complaints.extend(check(&file.path, &file.text));
        }
    }
    assert_none(&complaints);
}

fn check(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let number = index + 1;
        for word in MACHINE_PATHS.iter().filter(|word| line.contains(**word)) {
            complaints.push(format!(
                "{path}:{number}: `{word}` is on one machine only; use a relative path, an argument or a temporary folder"
            ));
        }
        for word in REGISTRIES.iter().filter(|word| line.contains(**word)) {
            complaints.push(format!(
                "{path}:{number}: leave `{word}` out; each tool's own configuration says where packages come from"
            ));
        }
    }
    complaints
}

#[test]
fn paths_and_registries_are_found() {
    assert_eq!(check("a", "in a `network`\n").len(), 0);
    assert_eq!(
        check("a", "cd /work/main\nget https://pypi.org/simple\n").len(),
        2
    );
}
