//! The addresses in a field such as `From` (RFC 5322 section 3.4), for rights: whatever is not plain is an error, so that nobody is let
//! pass by being written oddly.

/// The field cannot be understood in one way only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unclear;

/// The addresses in the body of a field: an `address-list` with display names, comments, groups and folding. Local parts and domains are
/// not looked at.
pub(crate) fn addresses(body: &str) -> Result<Vec<String>, Unclear> {
    let mut reader = Reader::default();
    let mut chars = body.chars();
    while let Some(c) = chars.next() {
        let escaped =
            if c == '\\' && reader.takes_pairs() { chars.next().ok_or(Unclear).map(Some)? } else { None };
        reader.take(c, escaped)?;
    }
    reader.end()
}

/// Where in the list it is.
#[derive(Default)]
struct Reader {
    found: Vec<String>,
    /// What stands outside of angle brackets, without comments.
    outside: String,
    /// What stands within them, once they are there.
    inside: Option<String>,
    in_angle: bool,
    in_quote: bool,
    comments: u32,
    in_group: bool,
}

impl Reader {
    fn takes_pairs(&self) -> bool {
        self.in_quote || self.comments > 0
    }

    fn take(&mut self, c: char, escaped: Option<char>) -> Result<(), Unclear> {
        if self.comments > 0 {
            match c {
                '(' => self.comments += 1,
                ')' => self.comments -= 1,
                _ => {}
            }
            return Ok(());
        }
        if self.in_quote || c == '"' {
            self.in_quote ^= c == '"';
            self.keep(c);
            escaped.into_iter().for_each(|c| self.keep(c));
            return Ok(());
        }
        match c {
            '(' => self.comments = 1,
            ')' => return Err(Unclear),
            '<' if self.inside.is_none() => {
                self.in_angle = true;
                self.inside = Some(String::new());
            }
            '>' if self.in_angle => self.in_angle = false,
            '<' | '>' => return Err(Unclear),
            ',' if !self.in_angle => self.end_of_address()?,
            ':' if !self.in_angle && !self.in_group && self.inside.is_none() => {
                // What stood in front is the name of a group.
                self.in_group = true;
                self.outside.clear();
            }
            ';' if !self.in_angle && self.in_group => {
                self.end_of_address()?;
                self.in_group = false;
            }
            ':' | ';' if !self.in_angle => return Err(Unclear),
            c => self.keep(c),
        }
        Ok(())
    }

    fn keep(&mut self, c: char) {
        match &mut self.inside {
            Some(inside) if self.in_angle => inside.push(c),
            // Only space may follow the brackets; looked at in the end.
            _ => self.outside.push(c),
        }
    }

    fn end_of_address(&mut self) -> Result<(), Unclear> {
        let (outside, inside) = (std::mem::take(&mut self.outside), self.inside.take());
        match inside {
            // A source route says nothing about who it is (RFC 5322 section 4.4).
            Some(inside) => {
                let inside = inside.trim();
                let route = inside.starts_with('@').then(|| inside.split_once(':')).flatten();
                self.found.push(route.map_or(inside, |(_, address)| address).trim().to_owned());
            }
            None if outside.trim().is_empty() => {}
            None => self.found.push(outside.trim().to_owned()),
        }
        Ok(())
    }

    fn end(mut self) -> Result<Vec<String>, Unclear> {
        if self.in_quote || self.in_angle || self.comments > 0 {
            return Err(Unclear);
        }
        self.end_of_address()?;
        Ok(self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_however_they_are_written() {
        for (body, wanted) in [
            (" ann@example.org\r\n", &["ann@example.org"][..]),
            ("\"Ben <ben@far.example>, \\\" x\" <ann@example.org>", &["ann@example.org"]),
            ("\r\n =?utf-8?q?A?= <a@b.example> ,\r\n\tc@d.example\r\n", &["a@b.example", "c@d.example"]),
            ("(x (y \\) ) <z@z>) <a@b.example> (boss@us)", &["a@b.example"]),
            ("team: a@b.example, C <c@d.example>;, e@f", &["a@b.example", "c@d.example", "e@f"]),
            ("undisclosed:;", &[]),
            ("<@r.example,@s.example:a@b.example>", &["a@b.example"]),
            ("\"a,b\"@c.example", &["\"a,b\"@c.example"]),
            ("just a name", &["just a name"]),
            ("", &[]),
            (", ,", &[]),
        ] {
            assert_eq!(addresses(body).unwrap(), wanted, "{body}");
        }
    }

    #[test]
    fn what_could_mean_two_things_means_none() {
        for body in [
            "a@b <c@d> <e@f>",
            "\"a@b",
            "a@b (c",
            "a@b) c",
            "<a@b",
            "a@b>",
            "<a<b@c>>",
            "a: b: c@d;",
            "a@b; c@d",
            "x <a@b>: c@d",
            "\"a\\",
        ] {
            assert_eq!(addresses(body), Err(Unclear), "{body}");
        }
    }
}
