//! The text of HTML, for previews and for words: tags, comments, styles and scripts go, references become characters.
//!
//! This is no sanitiser: what comes out is plain text, to be shown as such.

/// The text of `html`, with space where elements were, at most `most` characters.
pub fn plain_of_html(html: &str, most: usize) -> String {
    let mut text = String::new();
    let mut count = 0;
    let mut rest = html;
    while count < most && !rest.is_empty() {
        let end = rest.find(['<', '&']).unwrap_or(rest.len());
        let (plain, behind) = rest.split_at(end);
        for letter in plain.chars().take(most - count) {
            text.push(letter);
            count += 1;
        }
        rest = behind;
        if rest.starts_with('<') {
            rest = behind_tag(rest);
            text.push(' ');
        } else if let Some((letter, behind)) = reference(rest) {
            text.push(letter);
            count += 1;
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('&') {
            text.push('&');
            count += 1;
            rest = behind;
        }
    }
    text
}

/// What is behind the tag, the comment, or the element without text that `html` begins with.
fn behind_tag(html: &str) -> &str {
    if let Some(comment) = html.strip_prefix("<!--") {
        return comment.find("-->").map_or("", |at| &comment[at + 3..]);
    }
    let Some(end) = html.find('>') else { return "" };
    let behind = &html[end + 1..];
    for element in ["style", "script", "head", "title"] {
        let name = html.get(1..=element.len());
        let ends = html.as_bytes().get(element.len() + 1).is_some_and(|octet| !octet.is_ascii_alphanumeric());
        if ends && name.is_some_and(|name| name.eq_ignore_ascii_case(element)) {
            return closing(behind, element);
        }
    }
    behind
}

/// What is behind the closing tag of `element`.
fn closing<'a>(html: &'a str, element: &str) -> &'a str {
    let mut rest = html;
    while let Some(at) = rest.find("</") {
        rest = &rest[at + 2..];
        if rest.get(..element.len()).is_some_and(|name| name.eq_ignore_ascii_case(element)) {
            return rest.find('>').map_or("", |at| &rest[at + 1..]);
        }
    }
    ""
}

/// The character reference that `html` begins with.
fn reference(html: &str) -> Option<(char, &str)> {
    let rest = html.strip_prefix('&')?;
    let end = rest.bytes().take(12).position(|octet| octet == b';')?;
    let (name, behind) = (rest.get(..end)?, rest.get(end + 1..)?);
    let letter = match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        "shy" | "zwnj" => '\u{200c}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)?
        }
    };
    Some((letter, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_go_and_references_become_characters() {
        for (html, expected) in [
            ("a<br>b", "a b"),
            ("<style>p { x }</style>c &amp; d", " c & d"),
            ("<HEAD><title>t</title></Head >x", " x"),
            ("<!-- <b> -->y", " y"),
            ("&#228;&#xe4;&nbsp;&none;&", "\u{e4}\u{e4} &none;&"),
            ("a < b", "a  "),
            ("<header>z", " z"),
            ("\u{e4}<p", "\u{e4} "),
        ] {
            assert_eq!(plain_of_html(html, 100), expected, "{html}");
        }
        assert_eq!(plain_of_html("abcdef", 3), "abc");
    }
}
