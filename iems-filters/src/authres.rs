//! `Authentication-Results`: tells mail programs what was found, and removes what others claim in our name (RFC 8601).
//!
//! On the path: `preprocess`, when the body has arrived, after every other judge. It finds nothing itself: it writes the results of
//! SPF and reverse names into one field in front of the message. Fields that bear our identifier are removed, whoever brings
//! them, except from the site's own machines, which may have checked before us (section 5).

use std::ops::Range;

use async_trait::async_trait;
use iems_core::message::{Mailbox, Verdict};
use iems_core::preprocess::{Edit, Findings, Preprocessor, Stage, Subject};

use crate::common::is_stranger;
use crate::spf::word;

/// How much of the header section is read. In a longer one no field is removed beyond.
const HEADER: u64 = 1024 * 1024;
/// The longest value that is written, in octets.
const LONGEST: usize = 800;

/// The editor: gives no verdict, and edits.
#[derive(Debug, Clone)]
pub struct AuthenticationResults {
    authserv_id: String,
}

impl AuthenticationResults {
    /// An editor that signs as `authserv_id`: the name that the site's mail programs trust.
    pub fn new(authserv_id: &str) -> Self {
        Self { authserv_id: authserv_id.to_owned() }
    }

    async fn forged(&self, subject: &Subject<'_>) -> Vec<Edit> {
        let Some((body, blobs)) = subject.body.filter(|_| !subject.trusted) else { return Vec::new() };
        // What cannot be read here cannot be delivered either; that is told elsewhere.
        let Ok(header) = body.header(&**blobs, HEADER).await else { return Vec::new() };
        let edit = |range: Range<u64>| Edit::Splice { range, with: Default::default() };
        fields(&header, &self.authserv_id).into_iter().map(edit).collect()
    }

    fn value(&self, subject: &Subject<'_>) -> String {
        let results: Vec<String> =
            subject.verdicts.iter().filter_map(|verdict| result(verdict, subject)).collect();
        let results = if results.is_empty() { "none".to_owned() } else { results.join("; ") };
        format!("{}; {results}", self.authserv_id)
    }
}

/// One `resinfo` (section 2.2).
fn result(verdict: &Verdict, subject: &Subject<'_>) -> Option<String> {
    let connection = subject.connection;
    match verdict.check.as_str() {
        "spf/mail" => {
            let sender = subject.envelope.and_then(|envelope| envelope.sender.mailbox());
            let who = sender.map_or_else(|| name(&connection.helo), address);
            Some(format!("spf={} smtp.mailfrom={who}", word(verdict)))
        }
        "spf/helo" => Some(format!("spf={} smtp.helo={}", word(verdict), name(&connection.helo))),
        "iprev" => {
            Some(format!("iprev={} policy.iprev={}", verdict.result, quoted(&connection.ip()?.to_string())))
        }
        _ => None,
    }
}

/// `pvalue`: the address if it is written with atoms, else its domain.
fn address(mailbox: &Mailbox) -> String {
    let atom = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/?^_`{|}~.".contains(c);
    match mailbox.local().as_str().chars().all(atom) {
        true => name(&mailbox.to_string()),
        false => name(mailbox.domain().as_str()),
    }
}

/// A stranger's word without anything that ends a value.
fn name(word: &str) -> String {
    let kept: String =
        word.chars().filter(|c| c.is_ascii_graphic() && !"()<>,;:\\\"[]=".contains(*c)).take(255).collect();
    if kept.is_empty() { "unknown".into() } else { kept }
}

/// A value that may hold colons.
fn quoted(value: &str) -> String {
    if value.contains(':') { format!("\"{value}\"") } else { value.to_owned() }
}

/// Where the fields stand that bear `id`, with their line ends.
fn fields(header: &[u8], id: &str) -> Vec<Range<u64>> {
    let (mut found, mut at) = (Vec::new(), 0);
    while at < header.len() {
        let end = end_of_field(header, at);
        if is_ours(&header[at..end], id) {
            found.push(at as u64..end as u64);
        }
        at = end;
    }
    found
}

/// The offset behind the field that begins at `at`, continuation lines and all.
fn end_of_field(header: &[u8], at: usize) -> usize {
    let mut end = at;
    loop {
        end = header[end..].iter().position(|b| *b == b'\n').map_or(header.len(), |n| end + n + 1);
        if !matches!(header.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
}

/// Whether a field claims to be from `id`: comments and quotes around it do not hide it.
fn is_ours(field: &[u8], id: &str) -> bool {
    let text = String::from_utf8_lossy(field);
    let Some((name, value)) = text.split_once(':') else { return false };
    if !name.trim_end().eq_ignore_ascii_case("Authentication-Results") {
        return false;
    }
    let bare = without_comments(value);
    let first = bare.trim_start().trim_start_matches('"');
    let end = first.find(|c: char| c == ';' || c == '"' || c.is_whitespace()).unwrap_or(first.len());
    first[..end].eq_ignore_ascii_case(id)
}

fn without_comments(value: &str) -> String {
    let (mut depth, mut escaped, mut out) = (0_u32, false, String::new());
    for c in value.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if depth > 0 => escaped = true,
            '(' => depth += 1,
            ')' if depth > 0 => {
                depth -= 1;
                out.push(' ');
            }
            c if depth == 0 => out.push(c),
            _ => {}
        }
    }
    out
}

#[async_trait]
impl Preprocessor for AuthenticationResults {
    fn id(&self) -> &str {
        "authentication-results"
    }

    fn stages(&self) -> &[Stage] {
        &[Stage::Body]
    }

    async fn inspect(&self, subject: &Subject<'_>) -> Findings {
        let mut edits = self.forged(subject).await;
        if is_stranger(subject) {
            let value: String = self.value(subject).chars().take(LONGEST).collect();
            edits.push(Edit::Prepend { name: "Authentication-Results".into(), value });
        }
        Findings { verdicts: Vec::new(), edits }
    }
}

#[cfg(test)]
mod tests {
    use iems_core::message::CheckResult;

    use super::*;
    use crate::common::verdict;
    use crate::testing::Peer;

    async fn field(peer: Peer) -> String {
        let editor = AuthenticationResults::new("mx.our.example");
        let found = peer.saying("Subject: x\r\n\r\n").await.seen(&editor, Stage::Body).await;
        match &found.edits[..] {
            [Edit::Prepend { name, value }] => format!("{name}: {value}"),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn what_was_found_is_told_in_one_field() {
        let mut peer = Peer::new();
        peer.verdicts = vec![
            verdict("iprev", CheckResult::Fail, 2.0, "no"),
            verdict("spf/helo", CheckResult::Pass, 0.0, "pass for mail.far.example: +a"),
            verdict("spf/mail", CheckResult::Neutral, 1.0, "softfail for bob@far.example: ~all"),
            verdict("dnsbl/zen.example", CheckResult::Fail, 2.0, "127.0.0.2"),
        ];
        assert_eq!(
            field(peer).await,
            "Authentication-Results: mx.our.example; iprev=fail policy.iprev=192.0.2.7; \
             spf=pass smtp.helo=mail.far.example; spf=softfail smtp.mailfrom=bob@far.example"
        );
        assert_eq!(field(Peer::new()).await, "Authentication-Results: mx.our.example; none");
    }

    #[tokio::test]
    async fn a_strangers_words_cannot_add_results() {
        let mut peer = Peer::new().hello("x; dkim=pass (y)").from("<\"a; dkim=pass\"@far.example>");
        peer.verdicts = vec![
            verdict("spf/helo", CheckResult::Fail, 2.0, "fail for x"),
            verdict("spf/mail", CheckResult::Fail, 2.0, "fail for x"),
        ];
        assert_eq!(
            field(peer).await,
            "Authentication-Results: mx.our.example; spf=fail smtp.helo=xdkimpassy; spf=fail smtp.mailfrom=far.example"
        );
    }

    #[test]
    fn fields_in_our_name_are_found_however_they_are_written() {
        let ours = [
            "Authentication-Results: mx.our.example; spf=pass\r\n",
            "AUTHENTICATION-RESULTS :\r\n\tMX.OUR.EXAMPLE 1; none\r\n",
            "authentication-results: (a \\) (b)) \"mx.our.example\";\r\n dkim=pass\r\n",
        ];
        let others = [
            "Authentication-Results: mx.other.example; spf=pass\r\n",
            "X-Authentication-Results: mx.our.example; spf=pass\r\n",
            "Authentication-Results: (mx.our.example) other.example; none\r\n",
            "Subject: x\r\n Authentication-Results: mx.our.example\r\n",
        ];
        let header = format!(
            "{}{}{}{}{}{}{}\r\n",
            others[0], ours[0], ours[1], others[1], ours[2], others[2], others[3]
        );
        let found = fields(header.as_bytes(), "mx.our.example");
        let found: Vec<&str> = found.iter().map(|r| &header[r.start as usize..r.end as usize]).collect();
        assert_eq!(found, ours);
    }

    #[tokio::test]
    async fn accounts_lose_forged_fields_and_own_machines_keep_theirs() {
        let editor = AuthenticationResults::new("mx.our.example");
        let message = "Authentication-Results: mx.our.example; spf=pass\r\nSubject: x\r\n\r\n";
        let mut account = Peer::new().saying(message).await;
        account.connection.submission = true;
        let found = account.seen(&editor, Stage::Body).await;
        assert_eq!(found.edits, [Edit::Splice { range: 0..50, with: Default::default() }]);
        let mut trusted = Peer::new().saying(message).await;
        trusted.trusted = true;
        assert!(trusted.seen(&editor, Stage::Body).await.edits.is_empty());
    }
}
