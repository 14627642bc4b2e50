//! `rinka-bench report`: results side by side on one page that needs nothing beside itself.
//!
//! Never runs a script, never loads a thing, and never joins runs: each file is a column and a line.

mod plot;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::client::Result;
use crate::compare::interval::figures_of;
use crate::compare::short;
use crate::floor::{Distance, Floor, Measured, distance};
use crate::result::{Durability, Latency, RunResult, SecondLatency};
use plot::Line;

#[derive(Args)]
pub(crate) struct Command {
    /// Results of runs; with a result of `floor` among them every run is held against it
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[arg(long)]
    out: PathBuf,
    #[arg(long, default_value = "Results")]
    title: String,
}

/// A run and how the page calls it.
struct Run {
    name: String,
    result: RunResult,
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let mut runs = Vec::new();
    let mut floor = None;
    for file in &command.files {
        match read(file)? {
            File::Floor(read) => floor = Some(*read),
            File::Run(run) => runs.push(*run),
        }
    }
    if runs.is_empty() && floor.is_none() {
        return Err("nothing to report".to_owned());
    }
    let page = page(&command.title, &runs, floor.as_ref())?;
    std::fs::write(&command.out, page)
        .map_err(|error| format!("cannot write {}: {error}", command.out.display()))
}

enum File {
    Run(Box<Run>),
    Floor(Box<Floor>),
}

fn read(file: &Path) -> Result<File> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| failed(&error))?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    match value.get("kind").and_then(|kind| kind.as_str()) {
        Some("floor") => {
            let floor = serde_json::from_value(value).map_err(|error| failed(&error))?;
            Ok(File::Floor(Box::new(floor)))
        }
        Some(other) => Err(failed(&format!(
            "a {other} is no run; name the files of its runs"
        ))),
        None => {
            let result = RunResult::parse(&text).map_err(|error| failed(&error))?;
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let name = match result.broker.name.as_str() {
                "" => stem.into_owned(),
                broker => format!("{stem}: {broker}"),
            };
            Ok(File::Run(Box::new(Run { name, result })))
        }
    }
}

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--text:#222;--ground:#fdfdfd}\
@media(prefers-color-scheme:dark){:root{--text:#ddd;--ground:#16181b}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--ground);max-width:1000px;margin:2em auto;padding:0 1em}\
h1{font-size:1.5em}h2{font-size:1.1em;margin-top:2em}svg{width:100%;height:auto}.wide{overflow-x:auto}\
table{border-collapse:collapse;font-variant-numeric:tabular-nums}td,th{border-bottom:1px solid var(--line);padding:.25em .8em;text-align:right;vertical-align:top}\
td:first-child,th:first-child{text-align:left}.key{display:inline-block;width:1em;height:.8em;border-radius:2px;margin-right:.4em}\
.legend span{margin-right:1.5em}.refused{color:#d33}pre{white-space:pre-wrap;overflow-wrap:anywhere;border:1px solid var(--line);padding:.7em}small{color:#888}";

fn page(title: &str, runs: &[Run], floor: Option<&Floor>) -> Result<String> {
    let title = escaped(title);
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n"
    );
    table(&mut out, runs, floor);
    for (name, of, second) in KINDS {
        plots(&mut out, runs, name, *of, *second)?;
    }
    if let Some(floor) = floor {
        let text = escaped(&floor.to_string());
        let _ = writeln!(out, "<h2>The machine's floor</h2>\n<pre>{text}</pre>");
    }
    origins(&mut out, runs);
    out.push_str("</html>\n");
    Ok(out)
}

type OfRun = fn(&RunResult) -> Option<&Latency>;
type OfSecond = fn(&crate::result::Second) -> Option<SecondLatency>;

const KINDS: &[(&str, OfRun, OfSecond)] = &[
    (
        "Acknowledgement",
        |run| run.publish.as_ref(),
        |second| second.publish,
    ),
    (
        "End to end",
        |run| run.end_to_end.as_ref(),
        |second| second.end_to_end,
    ),
];

fn plots(out: &mut String, runs: &[Run], name: &str, of: OfRun, second: OfSecond) -> Result<()> {
    let (mut percentiles, mut times) = (Vec::new(), Vec::new());
    for (series, run) in runs.iter().enumerate() {
        if let Some(latency) = of(&run.result) {
            percentiles.push(Line {
                series,
                faint: false,
                points: plot::by_percentile(latency),
            });
        }
        for (faint, value) in [(false, p99 as fn(SecondLatency) -> u64), (true, max)] {
            let point = |at: &crate::result::Second| {
                Some((f64::from(at.second), value(second(at)?) as f64 / 1e3))
            };
            let points: Vec<(f64, f64)> = run.result.seconds.iter().filter_map(point).collect();
            if !points.is_empty() {
                times.push(Line {
                    series,
                    faint,
                    points,
                });
            }
        }
    }
    if !percentiles.is_empty() {
        let _ = writeln!(out, "<h2>{name}: latency by percentile</h2>");
        legend(out, runs);
        out.push_str(&plot::percentiles(&percentiles)?);
    }
    if !times.is_empty() {
        let _ = writeln!(
            out,
            "<h2>{name}: over time</h2>\n<small>strong: p99 of each second; faint: its slowest</small>"
        );
        legend(out, runs);
        out.push_str(&plot::over_time(&times)?);
    }
    Ok(())
}

fn p99(second: SecondLatency) -> u64 {
    second.p99
}

fn max(second: SecondLatency) -> u64 {
    second.max
}

fn key(series: usize) -> String {
    let plotters::style::RGBColor(red, green, blue) = plot::colour(series);
    format!("<span class=\"key\" style=\"background:rgb({red},{green},{blue})\"></span>")
}

fn legend(out: &mut String, runs: &[Run]) {
    out.push_str("<p class=\"legend\">");
    for (series, run) in runs.iter().enumerate() {
        let _ = write!(out, "<span>{}{}</span>", key(series), escaped(&run.name));
    }
    out.push_str("</p>\n");
}

fn table(out: &mut String, runs: &[Run], floor: Option<&Floor>) {
    out.push_str("<div class=\"wide\"><table>\n<tr><th></th>");
    for (series, run) in runs.iter().enumerate() {
        let _ = write!(out, "<th>{}{}</th>", key(series), escaped(&run.name));
    }
    out.push_str("</tr>\n");
    rows(out, runs, floor);
    out.push_str("</table></div>\n");
}

fn rows(out: &mut String, runs: &[Run], floor: Option<&Floor>) {
    let mut row = |name: &str, cell: &dyn Fn(&Run) -> Option<String>| {
        let cells: Vec<Option<String>> = runs.iter().map(cell).collect();
        if cells.iter().any(Option::is_some) {
            let _ = write!(out, "<tr><td>{}</td>", escaped(name));
            for cell in cells {
                let _ = write!(out, "<td>{}</td>", cell.unwrap_or_else(|| "-".to_owned()));
            }
            out.push_str("</tr>\n");
        }
    };
    row("workload", &|run| text(&run.result.workload.name));
    row("durability", &|run| {
        Some(durability(&run.result).to_owned())
    });
    row("counts", &|run| {
        let verdict = &run.result.verdict;
        let reasons = escaped(&verdict.refused.join("; "));
        Some(match (verdict.accepted, verdict.marks.is_empty()) {
            (false, _) => format!("<span class=\"refused\">no: {reasons}</span>"),
            (true, true) => "yes".to_owned(),
            (true, false) => format!("yes, with: {}", escaped(&verdict.marks.join("; "))),
        })
    });
    row("ack samples", &|run| {
        Some(run.result.publish.as_ref()?.samples.to_string())
    });
    let present = |run: &Run| {
        figures_of(&run.result)
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    let all: BTreeSet<&str> = runs.iter().flat_map(present).collect();
    for name in crate::compare::interval::names().filter(|name| all.contains(name)) {
        row(name, &|run| {
            let found = figures_of(&run.result).find(|(figure, _)| *figure == name);
            found.map(|(_, value)| short(value))
        });
    }
    if let Some(floor) = floor {
        row("against the floor", &|run| {
            let distances = distance(&Measured::of(&run.result), floor);
            let sentences: Vec<String> = distances.iter().map(Distance::sentence).collect();
            (!sentences.is_empty()).then(|| escaped(&sentences.join("; ")).replace("; ", "<br>"))
        });
    }
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| escaped(text))
}

fn durability(run: &RunResult) -> &'static str {
    match run.workload.durability {
        Durability::Mem => "mem",
        Durability::Kill => "kill",
        Durability::Power => "power",
    }
}

/// What a reader needs to do it again.
fn origins(out: &mut String, runs: &[Run]) {
    out.push_str("<h2>Where the figures come from</h2>\n");
    for (series, run) in runs.iter().enumerate() {
        let RunResult {
            machine,
            broker,
            workload,
            ..
        } = &run.result;
        let _ = writeln!(out, "<h3>{}{}</h3>\n<pre>", key(series), escaped(&run.name));
        let lines = [
            ("shows", workload.shows.clone()),
            ("flatters", workload.flatters.clone()),
            ("run", run.result.command.join(" ")),
            ("broker", format!("{} {}", broker.command, broker.version)),
            (
                "machine",
                format!(
                    "{} x {}, Linux {}",
                    machine.cpus, machine.cpu, machine.kernel
                ),
            ),
            ("device", machine.device.clone()),
            (
                "cores",
                format!(
                    "broker {}, load {}",
                    machine.broker_cpus, machine.client_cpus
                ),
            ),
            ("commit", machine.commit.clone()),
        ];
        for (name, line) in lines.iter().filter(|(_, line)| !line.trim().is_empty()) {
            let _ = writeln!(out, "{name:<9} {}", escaped(line));
        }
        out.push_str("</pre>\n");
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::floor::example;
    use crate::result::{Flow, Second, Verdict};

    use super::*;

    fn example_run(name: &str, slow: u64) -> Run {
        let latency = Latency {
            samples: 1000,
            p50: slow,
            p99: slow * 4,
            max: slow * 9,
            histogram: vec![(slow, 900), (slow * 4, 95), (slow * 9, 5)],
            ..Latency::default()
        };
        let second = SecondLatency {
            samples: 100,
            p50: slow,
            p99: slow * 4,
            max: slow * 9,
        };
        let result = RunResult {
            publish: Some(latency),
            seconds: (0..5)
                .map(|at| Second {
                    second: at,
                    publish: Some(second),
                    ..Second::default()
                })
                .collect(),
            produced: Flow {
                requests: 10,
                bytes: 1000,
                bytes_per_second: 5e6,
                ..Flow::default()
            },
            command: vec!["produce".into(), "--topic".into(), "<b>".into()],
            verdict: Verdict {
                accepted: slow < 500,
                refused: vec!["the machine was not quiet".into()],
                marks: vec![],
            },
            ..RunResult::default()
        };
        Run {
            name: name.to_owned(),
            result,
        }
    }

    #[test]
    fn every_run_is_a_column_and_a_line() {
        let runs = [example_run("first", 200), example_run("second & last", 800)];
        let page = page("A <title>", &runs, Some(&example())).expect("a page");
        for words in [
            "<th>",
            "second &amp; last",
            "A &lt;title&gt;",
            "--topic &lt;b&gt;",
            "no: the machine was not quiet",
            "by percentile",
            "over time",
            "ack p50: 4.0x the floor",
            "loopback round trip",
            "ack p99, ms",
        ] {
            assert!(page.contains(words), "{words}: {page}");
        }
        // Two plots, and in each a line of each run's colour.
        let plots: Vec<&str> = page.split("<svg").skip(1).collect();
        assert_eq!(plots.len(), 2);
        for plot in plots {
            assert!(plot.contains("stroke=\"#0072B2\"") && plot.contains("stroke=\"#E69F00\""));
        }
        for outside in ["<script", "src=", "href=", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
    }
}
