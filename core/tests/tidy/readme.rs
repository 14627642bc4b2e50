//! The README's tables against the code: the folders, and the APIs with their versions; and the dispatch against the APIs.
//!
//! Only what stands between the markers is looked at; the notes are for people.

use std::collections::BTreeSet;

use rinka_net::wire::ApiKey;

use crate::assert_none;
use crate::tree;

#[test]
fn the_map_names_the_folders() {
    let mut folders = BTreeSet::from(["perf".to_owned()]);
    for file in tree::files() {
        if let Some((folder, "Cargo.toml")) = file.path.split_once('/') {
            folders.insert(folder.to_owned());
        }
    }
    assert_none(&check_map(&tree::read("README.md"), &folders));
}

#[test]
fn the_supported_apis_are_those_of_the_code() {
    assert_none(&check_apis(&tree::read("README.md")));
}

#[test]
fn what_is_served_has_an_arm_in_the_dispatch() {
    assert_none(&check_dispatch(&tree::read("core/src/api/dispatch.rs")));
}

/// What is marked as served is advertised: without an arm, clients would be promised what closes their connection.
fn check_dispatch(dispatch: &str) -> Vec<String> {
    let names = dispatch.lines().filter_map(|line| {
        let (name, _) = line.trim().strip_prefix("ApiKey::")?.split_once(" => ")?;
        Some(name)
    });
    let arms: BTreeSet<&str> = names.collect();
    let served: BTreeSet<&str> = ApiKey::served().map(ApiKey::name).collect();
    let missing = served.difference(&arms);
    let missing =
        missing.map(|name| format!("core/src/api/dispatch.rs: {name} is served; give it an arm"));
    let unknown = arms.difference(&served);
    let unknown = unknown.map(|name| {
        format!("net/src/wire/api_key.rs: {name} has an arm in the dispatch; mark it as served")
    });
    missing.chain(unknown).collect()
}

fn check_map(readme: &str, folders: &BTreeSet<String>) -> Vec<String> {
    let rows = match rows(readme, "map") {
        Ok(rows) => rows,
        Err(complaint) => return vec![complaint],
    };
    let named: BTreeSet<String> = rows.into_iter().map(|mut row| row.swap_remove(0)).collect();
    let missing = folders.difference(&named);
    let missing = missing.map(|folder| format!("README.md: add a row for {folder} to the map"));
    let gone = named.difference(folders);
    let gone =
        gone.map(|folder| format!("README.md: {folder} is no crate of ours; take it off the map"));
    missing.chain(gone).collect()
}

fn check_apis(readme: &str) -> Vec<String> {
    let rows = match rows(readme, "apis") {
        Ok(rows) => rows,
        Err(complaint) => return vec![complaint],
    };
    let mut said = BTreeSet::new();
    for row in rows {
        let cells: Vec<&str> = row.iter().take(3).map(String::as_str).collect();
        said.insert(format!("| {} |", cells.join(" | ")));
    }
    let true_rows: BTreeSet<String> = ApiKey::served().map(row_of).collect();
    let missing = true_rows.difference(&said);
    let missing = missing.map(|row| format!("README.md: the table of APIs lacks `{row} note |`"));
    let wrong = said.difference(&true_rows);
    let wrong = wrong.map(|row| {
        format!("README.md: `{row}` is not what the code offers; see net/src/wire/api_key.rs")
    });
    missing.chain(wrong).collect()
}

/// The cells that the code decides.
fn row_of(api: ApiKey) -> String {
    let versions = api.versions();
    format!(
        "| {} | {} | {}-{} |",
        api.name(),
        api.number(),
        versions.min,
        versions.max
    )
}

/// The cells of the table between `<!-- name -->` and `<!-- /name -->`, without its head.
fn rows(readme: &str, name: &str) -> Result<Vec<Vec<String>>, String> {
    let (begin, end) = (format!("<!-- {name} -->"), format!("<!-- /{name} -->"));
    let table = readme
        .split_once(&begin)
        .and_then(|(_, rest)| rest.split_once(&end))
        .map(|(table, _)| table)
        .ok_or_else(|| format!("README.md: put the table `{name}` between {begin} and {end}"))?;
    let lines: Vec<&str> = table.lines().filter(|line| line.starts_with('|')).collect();
    let ruled = |line: &str| line.chars().all(|c| "|-: ".contains(c));
    // The head is everything up to the ruled line.
    let from = lines
        .iter()
        .position(|line| ruled(line))
        .map_or(0, |at| at + 1);
    let cells = |line: &&str| {
        let line = line.trim().trim_matches('|');
        let cells = line.split('|').map(|cell| cell.trim().trim_matches('`'));
        cells
            .map(|cell| cell.trim_end_matches('/').to_owned())
            .collect()
    };
    Ok(lines[from..].iter().map(cells).collect())
}

#[test]
fn a_table_that_is_missing_or_wrong_is_found() {
    assert_eq!(check_apis("# Rinka\n").len(), 1);
    let mut table =
        "<!-- apis -->\n| API | key | versions | note |\n|---|---|---|---|\n".to_owned();
    for api in ApiKey::served() {
        table.push_str(&format!("{} a note |\n", row_of(api)));
    }
    table.push_str("<!-- /apis -->\n");
    assert_eq!(check_apis(&table), [""; 0]);
    // One row differs: one is lacking and one is wrong.
    let other = table.replacen("| Produce | 0 |", "| Produce | 1 |", 1);
    assert_eq!(check_apis(&other).len(), 2);

    let mut arms = String::new();
    for api in ApiKey::served() {
        arms.push_str(&format!("            ApiKey::{api} => {{\n"));
    }
    assert_eq!(check_dispatch(&arms), [""; 0]);
    assert_eq!(check_dispatch(&arms.replace("Metadata", "Other")).len(), 2);

    let folders = BTreeSet::from(["core".to_owned(), "net".to_owned()]);
    let map =
        "<!-- map -->\n| folder | what |\n|---|---|\n| `core/` | b |\n| net | c |\n<!-- /map -->";
    assert_eq!(check_map(map, &folders), [""; 0]);
    assert_eq!(check_map(&map.replace("net", "web"), &folders).len(), 2);
    assert_eq!(check_map("", &folders).len(), 1);
}
