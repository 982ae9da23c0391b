//! The base subject (RFC 5256 section 2.1): what is left of a subject without what answering and forwarding add.

/// The base subject of a decoded subject, and whether anything was there that an answer or a forward adds. Takes time in
/// proportion to the subject.
pub fn base_subject(subject: &str) -> (String, bool) {
    // Step 1: one space where there was any.
    let whole = subject.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = whole.as_str();
    let mut answer = false;
    loop {
        // Step 2: what is behind.
        let mut end = text.trim_end();
        while let Some(before) = without_suffix(end) {
            end = before.trim_end();
            answer = true;
        }
        // Steps 3 to 5: what is in front, as long as something is left. Where no leader follows all blobs, none follows
        // some of them.
        let mut base = end;
        while let Some(behind) = without_leader(base) {
            base = behind;
            answer = true;
        }
        while let Some(behind) = without_blob(base).filter(|behind| !behind.is_empty()) {
            base = behind;
        }
        // Step 6: a subject that was forwarded in brackets.
        match base
            .get(..5)
            .filter(|head| head.eq_ignore_ascii_case("[fwd:"))
            .and_then(|_| base.strip_suffix(']'))
        {
            Some(inner) => {
                text = inner.get(5..).unwrap_or_default().trim();
                answer = true;
            }
            None => return (base.to_owned(), answer),
        }
    }
}

/// `subj-trailer`.
fn without_suffix(text: &str) -> Option<&str> {
    let at = text.len().checked_sub(5)?;
    text.get(at..).filter(|tail| tail.eq_ignore_ascii_case("(fwd)")).and_then(|_| text.get(..at))
}

/// `subj-blob`: a word in brackets.
fn without_blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']']).filter(|at| inner[*at..].starts_with(']'))?;
    Some(inner[end + 1..].trim_start())
}

/// `subj-refwd` with blobs in front: `[list] Re[2]:`.
fn without_leader(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(behind) = without_blob(rest) {
        rest = behind;
    }
    let word = ["re", "fwd", "fw"]
        .into_iter()
        .find(|word| rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)))?;
    rest = rest.get(word.len()..)?.trim_start();
    rest = without_blob(rest).unwrap_or(rest);
    rest.strip_prefix(':').map(str::trim_start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_add_is_taken_away() {
        for (subject, base, answer) in [
            ("hello", "hello", false),
            ("Re: hello", "hello", true),
            ("RE : [list] fwd: hello (fwd) (FWD)", "hello", true),
            ("[list] hello  world", "hello world", false),
            ("[list] Re[2]: hello", "hello", true),
            ("[Fwd: Re: hello]", "hello", true),
            ("[only]", "[only]", false),
            ("Re:", "", true),
            ("Regards", "Regards", false),
            ("(fwd)", "", true),
            ("\u{e4}re: x", "\u{e4}re: x", false),
        ] {
            assert_eq!(base_subject(subject), (base.to_owned(), answer), "{subject}");
        }
    }
    /// What was done before step by step, and cost the square of the length.
    fn slowly(subject: &str) -> (String, bool) {
        let mut text = subject.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut answer = false;
        loop {
            let mut end = text.trim_end();
            while let Some(before) = without_suffix(end) {
                (end, answer) = (before.trim_end(), true);
            }
            let mut base = end;
            loop {
                let start = base;
                if let Some(behind) = without_leader(base) {
                    (base, answer) = (behind, true);
                }
                if let Some(behind) = without_blob(base).filter(|behind| !behind.is_empty()) {
                    base = behind;
                }
                if base == start {
                    break;
                }
            }
            let head = base.get(..5).filter(|head| head.eq_ignore_ascii_case("[fwd:"));
            match head.and_then(|_| base.strip_suffix(']')) {
                Some(inner) => (text, answer) = (inner[5..].trim().to_owned(), true),
                None => return (base.to_owned(), answer),
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn steps_give_the_same_at_once(words in "((\\[a\\]|\\[|\\]|re|Re:|fwd|:|\\[fwd:|\\(fwd\\)|x| )){0,14}") {
            proptest::prop_assert_eq!(base_subject(&words), slowly(&words), "{}", words);
        }
    }

    #[test]
    fn a_subject_made_to_cost_much_costs_its_length() {
        // With a cost of the square, this would take hours.
        let blobs = "[a]".repeat(2_000_000);
        assert_eq!(base_subject(&format!("{blobs} x")), ("x".into(), false));
        assert_eq!(base_subject(&format!("{blobs}re: x")), ("x".into(), true));
        let nested = format!("{}x{}", "[Fwd: ".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(base_subject(&nested), ("x".into(), true));
    }
}
