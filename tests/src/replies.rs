//! Every reply that refuses, as the sources have it: found by reading them, so that none can be forgotten.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Where replies to a connected peer are made.
const PLACES: &[&str] = &[
    "iems-core/src/receive",
    "iems-core/src/route",
    "iems-core/src/health",
    "iems-core/src/preprocess",
    "iems-smtp/src/batch",
    "iems-smtp/src/server",
    "iems-smtp/src/proto",
    "iems-store/src/agent",
    "iems-store/src/directory",
    "iems-filters/src",
];

/// A reply as it stands in the sources: codes where they are fixed, `{}` where the text changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// Such as `550 5.1.1`, `5xx`, or empty where the caller decides.
    pub codes: String,
    /// The text.
    pub text: String,
    /// The crate it stands in.
    pub place: String,
}

/// All of them, sorted, each once.
///
/// # Panics
/// If the sources cannot be read.
pub fn found(root: &Path) -> BTreeSet<Found> {
    let mut all = BTreeSet::new();
    for place in PLACES {
        let mut files = Vec::new();
        walk(&root.join(place), &mut files);
        let texts: Vec<String> = files.iter().map(|file| source(file)).collect();
        let mut makers = BTreeMap::new();
        texts.iter().for_each(|text| helpers(text, &mut makers));
        let name = place.split('/').next().unwrap_or_default();
        for text in &texts {
            for (codes, text) in replies(text, &makers) {
                all.insert(Found { codes, text, place: name.to_owned() });
            }
        }
    }
    all
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder entry").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "tests" && name != "relay_proof" {
            walk(&path, files);
        } else if name.ends_with(".rs") && !name.contains("test") {
            files.push(path);
        }
    }
}

/// A source without comments and tests, and with literals that were broken into lines whole again.
fn source(file: &Path) -> String {
    let text = std::fs::read_to_string(file).expect("a source");
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut whole = String::new();
    for line in lines {
        match whole.strip_suffix('\\') {
            Some(begun) => whole = format!("{begun}{}", line.trim_start()),
            None => whole = format!("{whole}\n{line}"),
        }
    }
    whole
}

/// What a call that makes a reply says of the codes.
#[derive(Debug, Clone)]
enum Maker {
    /// Always these.
    Fixed(String),
    /// The first arguments: a code, and perhaps subject and detail.
    Arguments,
}

/// Functions of a file that make a reply of a text.
fn helpers(text: &str, makers: &mut BTreeMap<String, Maker>) {
    for (at, _) in text.match_indices("fn ") {
        let rest = &text[at + 3..];
        let Some(open) = rest.find('(') else { continue };
        let Some(end) = rest.find('{').or_else(|| rest.find(';')) else { continue };
        let (name, signature) = (&rest[..open.min(end)], &rest[..end]);
        let takes_text =
            ["text: &str", "text: String", "what: &str", "why: &str"].iter().any(|t| signature.contains(t));
        if takes_text
            && signature.contains("-> Reply")
            && name.chars().all(|c| c.is_alphanumeric() || c == '_')
        {
            let body = enclosed(&rest[(end + 1).min(rest.len())..], '{', '}');
            let made = calls(body, &BTreeMap::from([("error".to_owned(), Maker::Arguments)]));
            let maker = match made.first() {
                Some((codes, _)) if !codes.is_empty() => Maker::Fixed(codes.clone()),
                _ => Maker::Arguments,
            };
            makers.insert(name.to_owned(), maker);
        }
    }
}

fn replies(text: &str, makers: &BTreeMap<String, Maker>) -> Vec<(String, String)> {
    let mut all = tables(text);
    for (codes, texts) in calls(text, makers) {
        let refuses = codes.is_empty() || codes.starts_with(['4', '5']);
        // Those of a table are there already.
        let texts = texts.into_iter().filter(|text| refuses && !text.starts_with("{self}"));
        all.extend(texts.map(|text| (codes.clone(), text)));
    }
    all
}

/// Arms of a match that give code, subject, detail and a hint.
fn tables(text: &str) -> Vec<(String, String)> {
    let arms = text.match_indices("=> (").map(|(at, arm)| enclosed(&text[at + arm.len()..], '(', ')'));
    let rows = arms.map(|arm| (codes("", arm), literals(arm)));
    let refusals =
        rows.filter(|(codes, texts)| codes.len() > 3 && codes.starts_with(['4', '5']) && texts.len() == 1);
    refusals.map(|(codes, texts)| (codes, texts.concat())).collect()
}

/// Each call: its codes, and the texts it may have.
fn calls(text: &str, makers: &BTreeMap<String, Maker>) -> Vec<(String, Vec<String>)> {
    let mut found = Vec::new();
    let names =
        ["Reply::new", "Reply::refuse", "Reply::defer"].into_iter().chain(makers.keys().map(String::as_str));
    for name in names {
        let call = format!("{name}(");
        for (at, _) in text.match_indices(&call) {
            let before = text[..at].chars().next_back().unwrap_or(' ');
            // Part of a longer name, a method, or an attribute.
            let part = before.is_alphanumeric() || matches!(before, '_' | ':' | '.' | '[');
            if part || text[..at].ends_with("fn ") {
                continue;
            }
            let arguments = enclosed(&text[at + call.len()..], '(', ')');
            let codes = match makers.get(name) {
                Some(Maker::Fixed(codes)) => codes.clone(),
                _ => codes(name, arguments),
            };
            let mut texts = literals(arguments);
            if texts.is_empty() {
                texts = literals_before(&text[..at]);
            }
            if !texts.is_empty() || makers.is_empty() {
                found.push((codes, texts));
            } else {
                found.push((codes, Vec::new()));
            }
        }
    }
    found
}

/// Up to the bracket that closes what is open already.
fn enclosed(text: &str, open: char, close: char) -> &str {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if c == open && !quoted => depth += 1,
            c if c == close && !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[..at];
        }
    }
    text
}

fn literals(text: &str) -> Vec<String> {
    let (mut all, mut rest) = (Vec::new(), text);
    while let Some(start) = rest.find('"') {
        let (mut end, mut escaped) = (None, false);
        for (at, c) in rest[start + 1..].char_indices() {
            match c {
                _ if std::mem::take(&mut escaped) => {}
                '\\' => escaped = true,
                '"' => {
                    end = Some(start + 1 + at);
                    break;
                }
                _ => {}
            }
        }
        let Some(end) = end else { break };
        let text = rest[start + 1..end].replace("\\\"", "\"");
        // Single words are keys and codes, not sentences.
        if text.trim().contains(' ') {
            all.push(text);
        }
        rest = &rest[end + 1..];
    }
    all
}

/// The texts of the variable that the call takes: those behind the last `let text`.
fn literals_before(text: &str) -> Vec<String> {
    let near = text.char_indices().rev().nth(700).map_or(text, |(at, _)| &text[at..]);
    let start = ["let text", "let what", "text) ="].iter().filter_map(|start| near.rfind(start)).max();
    start.map(|at| literals(statement(&near[at..]))).unwrap_or_default()
}

/// Up to the semicolon that ends it.
fn statement(text: &str) -> &str {
    let mut quoted = false;
    let end = text.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        *c == ';' && !quoted
    });
    end.map_or(text, |(at, _)| &text[..at])
}

fn codes(name: &str, arguments: &str) -> String {
    let numbers: Vec<&str> = arguments
        .split([',', '(', ')'])
        .map(str::trim)
        .take_while(|word| !word.starts_with('"') && !word.starts_with("format!") && !word.starts_with('&'))
        .filter(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()))
        .collect();
    match (name, &numbers[..]) {
        ("Reply::refuse", [subject, detail]) => format!("550 5.{subject}.{detail}"),
        ("Reply::defer", [subject, detail]) => format!("451 4.{subject}.{detail}"),
        (_, [code, class, subject]) if code.len() == 3 && arguments.contains("EnhancedStatus::new") => {
            format!("{code} {class}.{subject}.x")
        }
        (_, [code, subject, detail]) if code.len() == 3 => {
            format!("{code} {}.{subject}.{detail}", &code[..1])
        }
        (_, [code, class, subject, detail]) if code.len() == 3 => {
            format!("{code} {class}.{subject}.{detail}")
        }
        (_, [code, ..]) if code.len() == 3 => (*code).to_owned(),
        _ => String::new(),
    }
}

/// Words of which one is in each refusal: what the sender, or who reads for it, can do.
const ADVICE: &[&str] = &[
    "try again",
    "send",
    "check",
    "correct",
    "log in",
    "use ",
    "wait",
    "close some",
    "mend",
    "remove",
    "connect again",
    "go on",
    "write to",
    "reach ",
    "add ",
    "encode",
    "say who",
    "end it",
    "HELP lists",
    "make room",
    "ask ",
    "name ",
    "slow down",
    "come back",
    "start again",
    "end every line",
    "end lines with",
    "end each message",
    "break the line",
    "leave it out",
    "make several",
    "pack it again",
];

/// Whether a text says what to do.
pub fn advises(text: &str) -> bool {
    ADVICE.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_found_however_they_are_written() {
        let text = r#"
            fn busy(text: &str) -> Reply { Reply::new(421, EnhancedStatus::new(4, 3, 2), text) }
            fn error(code: u16, subject: u16, detail: u16, text: &str) -> Reply { Reply::new(code, x, text) }
            fn out_of_order(text: &str) -> Reply { error(503, 5, 1, text) }
            return Err(busy("too many; wait"));
            error(552, 3, 4, &format!("over {limit}; send less"));
            let text = if a { "one; check it" } else { "two; check it" };
            Reply::refuse(7, 1, text).because("private words here");
            out_of_order("send MAIL first")
            Reply::new(250, EnhancedStatus::new(2, 0, 0), "all is well")
        "#;
        let mut makers = BTreeMap::new();
        helpers(text, &mut makers);
        let mut found = replies(text, &makers);
        found.sort();
        found.dedup();
        let shown: Vec<String> = found.iter().map(|(codes, text)| format!("{codes} | {text}")).collect();
        assert_eq!(
            shown,
            [
                "421 4.3.2 | too many; wait",
                "503 5.5.1 | send MAIL first",
                "550 5.7.1 | one; check it",
                "550 5.7.1 | two; check it",
                "552 5.3.4 | over {limit}; send less",
            ]
        );
        assert!(advises("no; try again later") && !advises("no"));
    }
}
