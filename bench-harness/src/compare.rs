//! `rinka-bench compare`: two brokers, one workload, A B A B, and what that shows.
//!
//! Never measures by itself: each run is a child of this program with `--json`. Never prints a ratio that the runs do not bear.

mod broker;
pub(crate) mod interval;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum as _};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::affinity::{Cores, pinned};
use crate::client::Result;
use crate::result::{Durability, RunResult};
use broker::{Broker, LOOK_EVERY, Start};
use interval::{Figure, RUNS_MIN, figures};

#[derive(Args)]
#[command(after_help = "\
What follows `--` is the run, of this same program; {bootstrap}, {pid}, {json}, {class}, {name}, {data} (the broker's folder) and {run}
(which run it is) are put in;
--bootstrap, --pid and --json are added when they are not named. Example:
  rinka-bench compare --broker-cpu 1 --client-cpu 0 --keep --warm-ups 5 \\
    --a 'target/release/rinka serve --set log.dirs={data}' --a-name rinka --a-class power \\
    --b 'perf/kafka/start --data {data} --port 19092' --b-name kafka --b-class kill --b-bootstrap 127.0.0.1:19092 \\
    --b-ready 'Kafka Server started' --out results \\
    -- run --workload perf/workloads/tiny-batches.toml --durability {class} --data-dir {data} --broker-name {name}")]
pub(crate) struct Command {
    /// Starts the first broker, in the foreground; `{data}` is a folder that is made for it and removed
    #[arg(long)]
    a: String,
    /// Starts the second
    #[arg(long)]
    b: String,
    #[arg(long, default_value = "a")]
    a_name: String,
    #[arg(long, default_value = "b")]
    b_name: String,
    /// What its acknowledgement survives
    #[arg(long, value_enum)]
    a_class: Durability,
    #[arg(long, value_enum)]
    b_class: Durability,
    #[arg(long, default_value = "127.0.0.1:9092")]
    a_bootstrap: String,
    #[arg(long, default_value = "127.0.0.1:9093")]
    b_bootstrap: String,
    /// Words of its output that say it is ready [its port answers]
    #[arg(long)]
    a_ready: Option<String>,
    #[arg(long)]
    b_ready: Option<String>,
    /// For both: KEY=VALUE
    #[arg(long, value_parser = variable)]
    env: Vec<(String, String)>,
    #[arg(long, default_value = "120")]
    ready_seconds: u64,
    /// Cores of either broker
    #[arg(long)]
    broker_cpu: Option<Cores>,
    /// Cores of the load
    #[arg(long)]
    client_cpu: Option<Cores>,
    /// Runs of each
    #[arg(long, default_value_t = RUNS_MIN)]
    rounds: usize,
    /// Runs after a start that do not count: a JIT, a cold file
    #[arg(long, default_value = "1")]
    warm_ups: usize,
    /// Both stay up to the end [each run has a new broker and an empty folder]
    #[arg(long)]
    keep: bool,
    /// New folder for the results, the logs and meanwhile the data
    #[arg(long)]
    out: PathBuf,
    /// Another program that runs the load
    #[arg(long, hide = true)]
    runner: Option<PathBuf>,
    #[arg(last = true, required = true)]
    run: Vec<String>,
}

fn variable(text: &str) -> Result<(String, String)> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("KEY=VALUE".to_owned()),
    }
}

/// One of the two.
struct Side {
    start: Start,
    class: Durability,
    broker: Option<Broker>,
    results: Vec<RunResult>,
}

#[derive(Serialize)]
struct Comparison<'a> {
    kind: &'static str,
    a: &'a str,
    a_class: Durability,
    a_command: &'a str,
    b: &'a str,
    b_class: Durability,
    b_command: &'a str,
    run: &'a [String],
    kept_up: bool,
    figures: &'a [Figure],
}

pub(crate) fn run(command: &Command) -> Result<()> {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stopped))
            .map_err(|error| error.to_string())?;
    }
    let failed = |error: std::io::Error| format!("{}: {error}", command.out.display());
    fs::create_dir(&command.out).map_err(failed)?;
    let out = fs::canonicalize(&command.out).map_err(failed)?;
    let side =
        |key: &str, name: &str, text: &str, bootstrap: &str, ready: &Option<String>, class| Side {
            start: Start {
                name: name.to_owned(),
                command: text.to_owned(),
                bootstrap: bootstrap.to_owned(),
                ready: ready.clone(),
                ready_within: Duration::from_secs(command.ready_seconds),
                env: command.env.clone(),
                cores: command.broker_cpu.clone(),
                data: out.join(format!("{key}.data")),
                log: out.join(format!("{key}.log")),
            },
            class,
            broker: None,
            results: Vec::new(),
        };
    let Command {
        a,
        a_name,
        a_bootstrap,
        a_ready,
        a_class,
        ..
    } = command;
    let Command {
        b,
        b_name,
        b_bootstrap,
        b_ready,
        b_class,
        ..
    } = command;
    let mut sides = [
        side("a", a_name, a, a_bootstrap, a_ready, *a_class),
        side("b", b_name, b, b_bootstrap, b_ready, *b_class),
    ];
    let each = command.rounds + command.warm_ups * if command.keep { 1 } else { command.rounds };
    let session = Session {
        command,
        out: &out,
        stopped: &stopped,
        bar: bar(2 * each),
    };
    session.interleave(&mut sides)?;
    session.bar.finish_and_clear();
    let [a, b] = &sides;
    let figures = figures(&a.accepted(), &b.accepted());
    print!("{}", table(a, b, &figures));
    let comparison = Comparison {
        kind: "comparison",
        a: &a.start.name,
        a_class: a.class,
        a_command: &a.start.command,
        b: &b.start.name,
        b_class: b.class,
        b_command: &b.start.command,
        run: &command.run,
        kept_up: command.keep,
        figures: &figures,
    };
    let text = serde_json::to_string_pretty(&comparison).map_err(|error| error.to_string())?;
    fs::write(out.join("comparison.json"), text + "\n").map_err(failed)?;
    println!("results: {}", out.display());
    Ok(())
}

fn bar(runs: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} runs, {elapsed} gone, {msg}");
    ProgressBar::new(runs as u64).with_style(style.expect("a constant template"))
}

struct Session<'a> {
    command: &'a Command,
    out: &'a Path,
    stopped: &'a AtomicBool,
    bar: ProgressBar,
}

impl Session<'_> {
    fn interleave(&self, sides: &mut [Side; 2]) -> Result<()> {
        if self.command.keep {
            for side in &mut *sides {
                self.start(side)?;
            }
        }
        for round in 1..=self.command.rounds {
            for (side, key) in sides.iter_mut().zip(["a", "b"]) {
                if !self.command.keep {
                    self.start(side)?;
                }
                let result = self.one(side, &format!("{key}{round}"))?;
                side.results.push(result);
                if !self.command.keep {
                    side.broker = None;
                }
            }
        }
        for side in sides {
            side.broker = None;
        }
        Ok(())
    }

    fn start(&self, side: &mut Side) -> Result<()> {
        self.bar.set_message(format!("{} starts", side.start.name));
        side.broker = Some(Broker::start(&side.start, &|| self.stopped())?);
        for number in 1..=self.command.warm_ups {
            let count = side.results.len();
            self.one(
                side,
                &format!("warm-up-{}-{count}-{number}", side.start.name),
            )?;
        }
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// One run, to its result.
    fn one(&self, side: &Side, run: &str) -> Result<RunResult> {
        let broker = side.broker.as_ref().ok_or("no broker")?;
        self.bar
            .set_message(format!("{} runs ({run})", side.start.name));
        let json = self.out.join(format!("{run}.json"));
        let log = self.out.join(format!("{run}.txt"));
        let failed = |error: std::io::Error| format!("{run}: {error}");
        let program = match &self.command.runner {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(failed)?,
        };
        let output = fs::File::create(&log).map_err(failed)?;
        let mut process = Process::new(program);
        process
            .args(self.arguments(side, broker.pid(), run, &json))
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(failed)?)
            .stderr(output);
        // What the run before left in the page cache is not written back at the cost of this one.
        rustix::fs::sync();
        let mut child =
            pinned(self.command.client_cpu.as_ref(), || process.spawn())?.map_err(failed)?;
        let success = self.awaited(&mut child)?;
        // A refused run leaves a result that says so; one that leaves nothing ends the comparison.
        let Ok(text) = fs::read_to_string(&json) else {
            let said = fs::read_to_string(&log).unwrap_or_default();
            return Err(format!(
                "{run} of {} left no result:\n{said}",
                side.start.name
            ));
        };
        let mut result = RunResult::parse(&text).map_err(|error| format!("{run}: {error}"))?;
        if !success {
            result.verdict.accepted = false;
        }
        self.bar.inc(1);
        Ok(result)
    }

    fn arguments(&self, side: &Side, pid: u32, run: &str, json: &Path) -> Vec<String> {
        let class = side.class.to_possible_value();
        let values = [
            ("bootstrap", side.start.bootstrap.clone()),
            ("pid", pid.to_string()),
            ("json", json.to_string_lossy().into_owned()),
            (
                "class",
                class.map_or(String::new(), |value| value.get_name().to_owned()),
            ),
            ("run", run.to_owned()),
            ("name", side.start.name.clone()),
            ("data", side.start.data.to_string_lossy().into_owned()),
        ];
        let mut arguments = self.command.run.clone();
        for (key, _) in &values[..3] {
            let (place, option) = (format!("{{{key}}}"), format!("--{key}"));
            let named = |word: &String| word.contains(&place) || *word == option;
            if !arguments.iter().any(named) {
                arguments.extend([option, place]);
            }
        }
        for word in &mut arguments {
            for (key, value) in &values {
                *word = word.replace(&format!("{{{key}}}"), value);
            }
        }
        arguments
    }

    /// Whether it ended well; ends it when this process is told to end.
    fn awaited(&self, child: &mut Child) -> Result<bool> {
        loop {
            if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
                return Ok(status.success());
            }
            if self.stopped() {
                let _ = child.kill();
                let _ = child.wait();
                return Err("stopped".to_owned());
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

impl Side {
    fn accepted(&self) -> Vec<&RunResult> {
        let accepted = self.results.iter().filter(|run| run.verdict.accepted);
        accepted.collect()
    }

    fn title(&self) -> String {
        let class = self.class.to_possible_value();
        let class = class.as_ref().map_or("", |value| value.get_name());
        format!("{} ({class})", self.start.name)
    }
}

fn table(a: &Side, b: &Side, figures: &[Figure]) -> String {
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{:<28} {:>30} {:>30}  a to b",
        "median (min-max)",
        a.title(),
        b.title()
    );
    for figure in figures {
        let cell = |of: &interval::Interval| {
            format!("{} ({}-{})", short(of.median), short(of.min), short(of.max))
        };
        let verdict = match figure.ratio {
            Some(ratio) => format!("{ratio:.2}x"),
            None if figure.a.runs.min(figure.b.runs) < RUNS_MIN => "too few runs".to_owned(),
            None => "no difference shown".to_owned(),
        };
        let _ = writeln!(
            out,
            "{:<28} {:>30} {:>30}  {verdict}",
            figure.name,
            cell(&figure.a),
            cell(&figure.b)
        );
    }
    for side in [a, b] {
        let refused = side.results.len() - side.accepted().len();
        let _ = writeln!(
            out,
            "{}: {} runs counted, {refused} refused; {}",
            side.title(),
            side.results.len() - refused,
            side.start.command
        );
        for reason in side.results.iter().flat_map(|run| &run.verdict.refused) {
            let _ = writeln!(out, "  refused: {reason}");
        }
    }
    out
}

/// Three digits, or all of a larger number.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
