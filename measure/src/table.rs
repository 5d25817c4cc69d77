//! Tables for a terminal: no frame, a line under the head, numbers to the right.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Row, Table};
use comfy_table::{ContentLineStyle, LineStyle};

/// Where the cells of a column stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table under construction.
#[derive(Debug)]
pub struct Grid {
    table: Table,
    columns: Vec<Align>,
}

impl Grid {
    /// A table with these columns.
    #[must_use]
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let mut table = Table::new();
        let line = LineStyle::none().fill('─').junction('─');
        table.load_style(NOTHING.header_separator(line).content_lines(ContentLineStyle::none()));
        let mut grid = Self { table, columns: columns.iter().map(|(_, align)| *align).collect() };
        let head = grid.cells(columns.iter().map(|(name, _)| (*name).to_owned()));
        grid.table.set_header(head);
        for column in grid.table.column_iter_mut() {
            // A blank stands between two columns anyhow.
            column.set_padding((0, 1));
        }
        grid
    }

    /// Adds a row; cells that are missing at its end stay empty.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let row = self.cells(cells);
        self.table.add_row(row);
    }

    /// The lines of the table, each with an end of line, without blanks before it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for line in self.table.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    fn cells(&self, cells: impl IntoIterator<Item = String>) -> Row {
        let cell = |(text, align): (String, &Align)| {
            Cell::new(text).set_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            })
        };
        Row::from(cells.into_iter().zip(&self.columns).map(cell).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let mut grid = Grid::new(&[("corpus", Align::Left), ("MB/s", Align::Right)]);
        grid.row(["tiny".to_owned(), "7".to_owned()]);
        grid.row(["a".to_owned(), "1234 µs".to_owned()]);
        grid.row(["b".to_owned()]);
        assert_eq!(grid.text(), "corpus     MB/s\n────────────────\ntiny          7\na       1234 µs\nb\n");
    }
}
