//! Tables for people: columns that line up by what a terminal shows, numbers to the right, a head above.
//!
//! Never cuts a cell, and shows no control character of somebody else's.

use std::io::{self, Write};

use unicode_width::UnicodeWidthStr as _;

use super::output::{Colour, Paint, printable};

/// Between two columns.
const GAP: &str = "  ";

#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    head: Vec<Column>,
    rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug)]
struct Column {
    name: &'static str,
    right: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    colour: Colour,
}

impl Cell {
    pub(crate) fn coloured(text: impl Into<String>, colour: Colour) -> Self {
        Self {
            text: printable(&text.into()),
            colour,
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::coloured(text, Colour::Plain)
    }
}

impl Table {
    /// A column whose name begins with `>` is one of numbers.
    pub(crate) fn new(columns: &[&'static str]) -> Self {
        let column = |name: &&'static str| match name.strip_prefix('>') {
            Some(name) => Column { name, right: true },
            None => Column { name, right: false },
        };
        Self {
            head: columns.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let cells: Vec<Cell> = cells.into_iter().collect();
        assert_eq!(cells.len(), self.head.len(), "a cell for each column");
        self.rows.push(cells);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines, the head first.
    pub(crate) fn lines(&self, paint: Paint) -> Vec<String> {
        let head: Vec<Cell> = self
            .head
            .iter()
            .map(|column| Cell::coloured(column.name, Colour::Bold))
            .collect();
        let widths: Vec<usize> = (0..self.head.len())
            .map(|index| {
                let rows = self.rows.iter().chain(std::iter::once(&head));
                let widths = rows.map(|row| row[index].text.width());
                widths.max().unwrap_or(0)
            })
            .collect();
        std::iter::once(&head)
            .chain(&self.rows)
            .map(|row| self.render(row, &widths, paint))
            .collect()
    }

    fn render(&self, row: &[Cell], widths: &[usize], paint: Paint) -> String {
        let mut line = String::new();
        for (index, cell) in row.iter().enumerate() {
            let padding = " ".repeat(widths[index] - cell.text.width());
            let (on, off) = paint.codes(cell.colour);
            let right = self.head[index].right;
            if index > 0 {
                line.push_str(GAP);
            }
            if right {
                line.push_str(&padding);
            }
            line.push_str(on);
            line.push_str(&cell.text);
            line.push_str(off);
            // Nothing trails behind the last column.
            if !right && index + 1 < row.len() {
                line.push_str(&padding);
            }
        }
        line.truncate(line.trim_end_matches(' ').len());
        line
    }

    pub(crate) fn print(&self, out: &mut impl Write, paint: Paint) -> io::Result<()> {
        for line in self.lines(paint) {
            writeln!(out, "{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_what_is_shown() {
        let mut table = Table::new(&["TOPIC", ">LAG", "HOST"]);
        table.row(["日本".into(), "7".into(), "a".into()]);
        table.row(["plain-text".into(), "12,345".into(), "".into()]);
        let lines = table.lines(Paint { on: false });
        assert_eq!(
            lines,
            [
                "TOPIC          LAG  HOST",
                "日本             7  a",
                "plain-text  12,345",
            ]
        );
    }

    #[test]
    fn colours_take_no_room() {
        let mut table = Table::new(&["A", "B"]);
        table.row([Cell::coloured("x", Colour::Red), "y".into()]);
        let lines = table.lines(Paint { on: true });
        assert_eq!(lines[1], "\x1b[31mx\x1b[0m  y");
    }
}
