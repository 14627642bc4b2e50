//! A terminal that is painted over in place: no scrolling, no flicker, and as it was when done.
//!
//! Never writes more lines than it has.

use std::io::{self, IsTerminal as _, Write as _};

use crate::cli::failure::Result;
use crate::cli::output::{Paint, is_dumb, printable};

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const CLEAR: &str = "\x1b[2J";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Where the terminal does not say how large it is.
const ROWS: usize = 24;

pub(super) struct Screen {
    paint: Paint,
}

impl Screen {
    /// Nothing where the standard output is no terminal, or one that cannot move its cursor.
    pub(super) fn open(paint: Paint) -> Option<Self> {
        let mut out = io::stdout().lock();
        if !out.is_terminal() || is_dumb() || write!(out, "{HIDE_CURSOR}{CLEAR}").is_err() {
            return None;
        }
        Some(Self { paint })
    }

    pub(super) fn paint(&self) -> Paint {
        self.paint
    }

    /// What does not fit is left out of the table, and that is said; the head and the foot are always there.
    pub(super) fn paint_over(
        &mut self,
        head: &[String],
        table: &[String],
        foot: Option<&str>,
    ) -> Result<()> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        let rows = size.map_or(0, |size| usize::from(size.ws_row));
        let rows = if rows == 0 { ROWS } else { rows };
        let mut frame = HOME.to_owned();
        for (index, line) in fitting(head, table, foot, rows).iter().enumerate() {
            if index > 0 {
                frame.push_str("\r\n");
            }
            frame.push_str(line);
            frame.push_str(CLEAR_LINE);
        }
        frame.push_str(CLEAR_BELOW);
        let mut out = io::stdout().lock();
        out.write_all(frame.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Above what is there.
    pub(super) fn say(&mut self, reason: &str) -> Result<()> {
        let mut out = io::stdout().lock();
        write!(out, "{HOME}{}{CLEAR_LINE}", printable(reason))?;
        out.flush()?;
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = writeln!(io::stdout(), "{SHOW_CURSOR}");
    }
}

fn fitting(head: &[String], table: &[String], foot: Option<&str>, rows: usize) -> Vec<String> {
    let mut lines = head.to_vec();
    let room = rows.saturating_sub(head.len() + foot.map_or(0, |_| 1));
    if table.len() <= room {
        lines.extend_from_slice(table);
    } else {
        let shown = room.saturating_sub(1);
        lines.extend_from_slice(&table[..shown]);
        lines.push(format!("... and {} more", table.len() - shown));
    }
    lines.extend(foot.map(str::to_owned));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let texts = |count: usize| -> Vec<String> { (0..count).map(|n| n.to_string()).collect() };
        assert_eq!(fitting(&texts(1), &texts(3), Some("f"), 5).len(), 5);
        let cut = fitting(&texts(1), &texts(9), Some("f"), 5);
        assert_eq!(cut, ["0", "0", "1", "... and 7 more", "f"]);
        assert_eq!(
            fitting(&texts(1), &texts(9), None, 1),
            ["0", "... and 9 more"]
        );
    }
}
