//! Tables with iems in the first column, others behind it, and how many times better iems is than the best of them.

use std::fmt::Write as _;

/// The head of a table.
pub(crate) fn head(text: &mut String, what: &str, names: &[&str]) {
    let rule = "---|".repeat(names.len());
    let _ = writeln!(text, "\n### {what}\n\n| | {} | ratio |\n|---|{rule}---|", names.join(" | "));
}

/// A row. The first value is that of iems; one that could not be measured is `None`.
pub(crate) fn row(text: &mut String, name: &str, values: &[Option<f64>], more_is_better: bool) {
    let digits = |value: f64| match value {
        v if v >= 100.0 => 0,
        v if v >= 0.1 => 2,
        _ => 4,
    };
    let shown = |value: &Option<f64>| value.map_or("–".to_owned(), |v| format!("{v:.*}", digits(v)));
    let cells: Vec<String> = values.iter().map(shown).collect();
    let others = values[1..].iter().flatten().copied().filter(|value| *value > 0.0);
    let ratio = match (values[0], more_is_better) {
        (Some(ours), true) => others.reduce(f64::max).map(|best| ours / best.max(1e-9)),
        (Some(ours), false) => others.reduce(f64::min).map(|best| best / ours.max(1e-9)),
        (None, _) => None,
    };
    let ratio = ratio.map_or(String::new(), |ratio| format!("**{ratio:.1}**"));
    let _ = writeln!(text, "| {name} | {} | {ratio} |", cells.join(" | "));
}
