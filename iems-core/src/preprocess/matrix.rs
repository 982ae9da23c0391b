//! The channel action matrix: on which flows a module runs.

use crate::message::ChannelId;

/// What a cell says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// The module runs.
    Run,
    /// It does not.
    Skip,
    /// Another module runs instead: the same judge registered with other settings.
    RunAs(String),
}

/// One matrix: rows are input channels, columns output channels, `*` matches any.
#[derive(Debug, Clone, Default)]
pub struct Matrix {
    cells: Vec<(String, String, Cell)>,
}

impl Matrix {
    /// A matrix that lets its module run on every flow.
    pub fn everywhere() -> Self {
        Self::default()
    }

    /// Adds a cell. The most specific cell wins: a named input and output, then a named output,
    /// then a named input, then `*` and `*`; among equals the one added last.
    #[must_use]
    pub fn cell(mut self, input: &str, output: &str, cell: Cell) -> Self {
        self.cells.push((input.into(), output.into(), cell));
        self
    }

    /// Whether there is any cell, so that some flow may be treated unlike others.
    pub fn has_cells(&self) -> bool {
        !self.cells.is_empty()
    }

    /// What the matrix says about a flow.
    pub fn at(&self, input: &ChannelId, output: &ChannelId) -> &Cell {
        let hits = |pattern: &str, name: &ChannelId| pattern == "*" || pattern == name.as_str();
        let found = self.cells.iter().filter(|(i, o, _)| hits(i, input) && hits(o, output));
        found.max_by_key(|(i, o, _)| (o != "*", i != "*")).map_or(&Cell::Run, |(_, _, cell)| cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_cell_wins() {
        let matrix = Matrix::everywhere().cell("*", "*", Cell::Skip).cell("smtp", "*", Cell::Run).cell(
            "smtp",
            "ccmail",
            Cell::RunAs("strict".into()),
        );
        let at = |i: &str, o: &str| matrix.at(&ChannelId::new(i), &ChannelId::new(o)).clone();
        assert_eq!(at("smtp", "ccmail"), Cell::RunAs("strict".into()));
        assert_eq!(at("smtp", "local"), Cell::Run);
        assert_eq!(at("web", "local"), Cell::Skip);
    }
}
