//! How results look: for people or for programs, with colour or without, sizes and counts in words.
//!
//! Never decides what is printed.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use clap::{Args, ValueEnum};
use serde::Serialize;

use super::failure::Result;
use super::table::Table;

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct OutputArguments {
    /// The form of the output
    #[arg(long, short, value_enum, default_value_t = Form::Text)]
    output: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Tables, for people
    Text,
    /// One JSON object a line, for programs
    Json,
}

impl OutputArguments {
    pub(crate) fn is_json(self) -> bool {
        self.output == Form::Json
    }

    pub(crate) fn open(self) -> Output {
        Output {
            out: BufWriter::new(io::stdout().lock()),
            form: self.output,
            paint: Paint::of_stdout(),
        }
    }
}

/// Standard output. Dropping it flushes; [`Output::finish`] also says whether that went well.
pub(crate) struct Output {
    out: BufWriter<StdoutLock<'static>>,
    form: Form,
    paint: Paint,
}

impl Output {
    pub(crate) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    /// A line for programs.
    pub(crate) fn json(&mut self, row: &impl Serialize) -> Result<()> {
        serde_json::to_writer(&mut self.out, row)?;
        self.out.write_all(b"\n")?;
        Ok(())
    }

    /// A line for people. What brokers say of themselves must come through [`printable`].
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> Result<()> {
        writeln!(self.out, "{line}")?;
        Ok(())
    }

    pub(crate) fn table(&mut self, table: &Table) -> Result<()> {
        table.print(&mut self.out, self.paint)?;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        self.out.flush()?;
        Ok(())
    }
}

/// Colours, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    pub(crate) on: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Colour {
    #[default]
    Plain,
    Bold,
    Dim,
    Red,
    Yellow,
}

impl Paint {
    /// On a terminal, unless NO_COLOR is set to anything (no-color.org) or the terminal says that it is dumb.
    pub(crate) fn of_stdout() -> Self {
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            on: io::stdout().is_terminal() && !refused && !is_dumb(),
        }
    }

    /// What switches a colour on, and what switches it off again.
    pub(crate) fn codes(self, colour: Colour) -> (&'static str, &'static str) {
        if !self.on {
            return ("", "");
        }
        match colour {
            Colour::Plain => ("", ""),
            Colour::Bold => ("\x1b[1m", "\x1b[0m"),
            Colour::Dim => ("\x1b[2m", "\x1b[0m"),
            Colour::Red => ("\x1b[31m", "\x1b[0m"),
            Colour::Yellow => ("\x1b[33m", "\x1b[0m"),
        }
    }
}

/// Whether the terminal says that it knows no control sequences.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// A remark for whoever watches; results go to standard output.
pub(crate) fn remark(text: impl fmt::Display) {
    // Nobody may be there to read it, which is no reason to end.
    let _ = writeln!(io::stderr(), "{}", printable_lines(&text.to_string()));
}

/// As [`printable`], of a text that may have several lines.
pub(crate) fn printable_lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

/// A text of somebody else's for a terminal: a control character would move the cursor, or worse.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A count with a comma between each three digits.
pub(crate) fn grouped(count: i64) -> String {
    let digits = count.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if count < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in the largest unit that leaves a digit before the point.
pub(crate) fn size(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in UNITS {
        if value.abs() < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if unit == "B" {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {unit}")
    }
}

/// "1 record", "2 records".
pub(crate) fn counted(count: i64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let grouped: Vec<String> = [0, 7, 999, 1_000, -1_234_567, i64::MIN]
            .map(grouped)
            .to_vec();
        let expected = [
            "0",
            "7",
            "999",
            "1,000",
            "-1,234,567",
            "-9,223,372,036,854,775,808",
        ];
        assert_eq!(grouped, expected);
        assert_eq!(
            [0, 1_023, 1_024, 1_572_864, 5 << 40].map(size),
            ["0 B", "1023 B", "1.0 KiB", "1.5 MiB", "5.0 TiB"]
        );
        assert_eq!(counted(1, "record"), "1 record");
        assert_eq!(counted(2_000, "record"), "2,000 records");
    }

    #[test]
    fn a_stranger_does_not_move_the_cursor() {
        assert_eq!(printable("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\nc");
        assert_eq!(printable("é日"), "é日");
    }
}
