//! What another system said, in its own words: for the fields of a report that programs read, where our words around
//! them would be in the way.

use serde::{Deserialize, Serialize};

/// The most that is kept of what a system said, in characters.
const MOST: usize = 1000;

/// The words of another system about one recipient (RFC 3464 sections 2.3.5 and 2.3.6).
///
/// Every text is one line of printable characters: [`Remote::new`] replaces the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// Its host name, or its address in brackets; `None` if it has none that means something elsewhere.
    pub host: Option<String>,
    /// The diagnostic type of its protocol, as the channel knows it.
    pub kind: String,
    /// What it said, line by line, codes included.
    pub said: Vec<String>,
}

impl Remote {
    /// The words of `host`. More than 1000 characters are cut.
    pub fn new(host: Option<&str>, kind: &str, said: impl IntoIterator<Item = String>) -> Self {
        let mut room = MOST;
        let mut kept = Vec::new();
        for text in said {
            let text: String = line(&text).trim_end().chars().take(room).collect();
            room -= text.chars().count();
            if !text.is_empty() {
                kept.push(text);
            }
            if room == 0 {
                break;
            }
        }
        Self { host: host.map(line), kind: line(kind), said: kept }
    }
}

fn line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_lines_and_have_a_bound() {
        let said = ["550-no\r\nX: y".to_owned(), String::new(), "z".repeat(2000)];
        let remote = Remote::new(Some("mx\r\n"), "smtp", said);
        assert_eq!(remote.said[0], "550-no  X: y");
        assert_eq!(remote.said.iter().map(String::len).sum::<usize>(), MOST);
        assert_eq!(remote.host.as_deref(), Some("mx  "));
    }
}
