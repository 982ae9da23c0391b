//! Nested answers for people: what `--json` has, indented, without the braces.

use serde_json::Value;

use super::output::printable;

/// The value as indented lines: `key: value`, `- item`.
pub(super) fn text(value: &Value) -> String {
    let mut lines = Vec::new();
    write(value, 0, &mut lines);
    lines.join("\n")
}

fn write(value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter().filter(|(_, value)| !is_empty(value)) {
                let key = key.replace('_', " ");
                match leaf(value) {
                    Some(text) => lines.push(format!("{indent}{key}: {text}")),
                    None => {
                        lines.push(format!("{indent}{key}:"));
                        write(value, depth + 1, lines);
                    }
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|item| write_item(item, depth, lines)),
        other => lines.push(format!("{indent}{}", leaf(other).unwrap_or_default())),
    }
}

/// An item of a list: its first line bears the hyphen.
fn write_item(item: &Value, depth: usize, lines: &mut Vec<String>) {
    let first = lines.len();
    write(item, depth + 1, lines);
    if let Some(line) = lines.get_mut(first) {
        line.replace_range(2 * depth..2 * depth + 1, "-");
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// The value on one line, if it fits there.
fn leaf(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(printable(text)),
        Value::Bool(truth) => Some(if *truth { "yes".into() } else { "no".into() }),
        Value::Number(number) => Some(number.to_string()),
        Value::Array(list) if list.iter().all(|item| item.is_string()) => {
            let all: Vec<String> = list.iter().filter_map(leaf).collect();
            Some(all.join(", ")).filter(|line| line.len() < 100)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indents_lists_and_sections() {
        let value = serde_json::json!({
            "id": "X", "none": null, "to": ["a", "b"],
            "events": [{"at": "now", "what": {"done": true}}, {"at": "later\u{1b}[2J"}],
        });
        let expected =
            "events:\n  - at: now\n    what:\n      done: yes\n  - at: later\u{FFFD}[2J\nid: X\nto: a, b";
        assert_eq!(text(&value), expected);
    }
}
