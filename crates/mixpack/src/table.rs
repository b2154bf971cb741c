//! Tables for terminals: capital headings, columns separated by two spaces, no trailing spaces.

use std::fmt::Write;

/// Returns a line with the headings, then one for each row.
pub(crate) fn table<const N: usize>(headings: [&str; N], rows: &[[String; N]]) -> String {
    let headings = headings.map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().chain([&headings]);
        cells
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let mut text = String::new();
    for row in [&headings].into_iter().chain(rows) {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(line, "{cell:<0$}  ", width(column));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned);
        let rows = [row(["node", "24"]), row(["prêt-à-porter", ""])];
        assert_eq!(
            table(["TOOL", "ASKED"], &rows),
            "TOOL           ASKED\nnode           24\nprêt-à-porter\n"
        );
    }
}
