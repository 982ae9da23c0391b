//! The manual and the declarations say the same: every key, every default, nothing else.

use std::collections::BTreeMap;

use super::read::{FromToml, Key};
use super::written::File;

const MANUAL: &str = include_str!("../../../docs/config.md");

/// Key → default as it would stand in a file, by section heading.
type Sections = BTreeMap<String, BTreeMap<String, String>>;

/// What the manual's tables say.
fn manual() -> Sections {
    let mut sections = Sections::new();
    let mut heading = String::new();
    for line in MANUAL.lines() {
        if let Some(title) = line.strip_prefix("# ").or_else(|| line.strip_prefix("## ")) {
            heading = title.trim_matches('`').to_owned();
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        if let [key, default, _] = cells[..]
            && let Some(key) = key.strip_prefix("| `").and_then(|key| key.strip_suffix('`'))
        {
            let default = default.trim_matches('`').to_owned();
            sections.entry(heading.clone()).or_default().insert(key.to_owned(), default);
        }
    }
    sections
}

/// What the declarations say.
fn declared(heading: &str, keys: &[Key], sections: &mut Sections) {
    for key in keys {
        if key.inner.is_empty() {
            let default = key.default.unwrap_or("–").to_owned();
            sections.entry(heading.to_owned()).or_default().insert(key.name.to_owned(), default);
        } else if key.many {
            declared(&format!("[[{}]]", key.name), key.inner, sections);
        } else {
            declared(&format!("[{}]", key.name), key.inner, sections);
        }
    }
}

#[test]
fn the_manual_has_every_key_and_default() {
    let mut sections = Sections::new();
    declared("The top level", File::KEYS, &mut sections);
    assert_eq!(manual(), sections);
}

#[test]
fn the_examples_of_the_manual_are_right() {
    let mut examples = 0;
    for example in MANUAL.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
        let look = super::files::Look::AWAY;
        let understood = super::load::understand(example, "manual".as_ref(), "/".as_ref(), look);
        assert!(understood.is_ok(), "{}", understood.unwrap_err());
        examples += 1;
    }
    assert!(examples > 0);
}
