//! `AUTH` as a client (RFC 4954): base 64 and reply codes around the exchange of `iems_core::seam::sasl::client`.
//!
//! Decides what to say; writes and reads nothing. What it says is a secret. What a server repeats of it is blotted out,
//! because replies are logged and reported.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use iems_core::seam::sasl::client::{Exchange, Failure, Login, Secret};
use iems_core::seam::sasl::{ChannelBinding, Mechanism};

use crate::proto::Response;

/// The longest command line with its CRLF, in octets (RFC 5321 section 4.5.3.1.4): a longer initial response waits for the
/// server to ask for it (RFC 4954 section 4).
const LINE: usize = 512;

/// What the driver does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AuthStep {
    /// Write this line, which has its CRLF.
    Say(Secret),
    /// We are who we say.
    Done,
}

/// Why we are not logged in.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::client) enum AuthError {
    /// Neither TLS nor a way within this machine: the password would be read by others.
    Unprotected,
    /// The server offers no mechanism that we know; these it does.
    NotOffered(Vec<String>),
    /// It refused.
    Refused(Response),
    /// The exchange went wrong; the server waits for our answer.
    Exchange(Failure),
    /// It said yes before it could know.
    TooEarly,
}

/// One exchange.
#[derive(Debug)]
pub(super) struct Auth {
    login: Login,
    exchange: Exchange,
    /// The initial response, if it was too long for the command line.
    waiting: Option<Secret>,
    /// What was said, in base 64.
    said: Vec<Secret>,
}

impl Auth {
    /// Begins with the strongest mechanism among those that are offered, and gives the command line.
    /// `bindings` are the marks of the channel.
    pub(super) fn start(
        login: Login,
        offered: &[String],
        nonce: &[u8],
        bindings: &[ChannelBinding],
    ) -> Result<(Self, Secret), AuthError> {
        let is_offered = |mechanism: Mechanism| offered.iter().any(|name| name == mechanism.name());
        let mechanism = Exchange::choose(bindings, is_offered);
        let started = mechanism.and_then(|m| Some((m, Exchange::start(m, &login, nonce, bindings)?)));
        let (mechanism, (exchange, first)) =
            started.ok_or_else(|| AuthError::NotOffered(offered.to_vec()))?;
        let mut auth = Self { login, exchange, waiting: None, said: Vec::new() };
        let command = format!("AUTH {mechanism}");
        let line = match first {
            Some(first) if command.len() + 3 + first.as_ref().len().div_ceil(3) * 4 <= LINE => {
                auth.line(&format!("{command} "), &first)
            }
            first => {
                auth.waiting = first;
                format!("{command}\r\n").into_bytes().into()
            }
        };
        Ok((auth, line))
    }

    /// Takes in a reply.
    pub(super) fn reply(&mut self, response: Response) -> Result<AuthStep, AuthError> {
        match response.code {
            334 => self.challenge(&response).map(AuthStep::Say).map_err(AuthError::Exchange),
            _ if !response.is_success() => Err(AuthError::Refused(self.blotted(response))),
            _ if self.waiting.is_none() && self.exchange.is_complete() => Ok(AuthStep::Done),
            _ => Err(AuthError::TooEarly),
        }
    }

    fn challenge(&mut self, response: &Response) -> Result<Secret, Failure> {
        let [text] = &response.lines[..] else { return Err(Failure::Malformed) };
        let answer = match self.waiting.take() {
            // Some servers put words for people here.
            Some(first) => first,
            None => {
                let challenge = BASE64.decode(text.trim_end()).map_err(|_| Failure::Malformed)?;
                self.exchange.respond(&challenge)?
            }
        };
        Ok(self.line("", &answer))
    }

    /// A line with `octets` in base 64 at its end.
    fn line(&mut self, before: &str, octets: &Secret) -> Secret {
        let longest = octets.as_ref().len().div_ceil(3) * 4;
        // Made in one piece: what grows leaves copies behind.
        let mut text = String::with_capacity(before.len() + longest + 2);
        text.push_str(before);
        BASE64.encode_string(octets, &mut text);
        self.said.push(text.as_bytes()[before.len()..].to_vec().into());
        text.push_str("\r\n");
        text.into_bytes().into()
    }

    /// The reply without what we said and without the password.
    fn blotted(&self, mut response: Response) -> Response {
        let said = self.said.iter().filter_map(|said| std::str::from_utf8(said.as_ref()).ok());
        let secrets: Vec<&str> =
            said.filter(|said| !said.is_empty()).chain([self.login.password().as_str()]).collect();
        for line in &mut response.lines {
            for secret in &secrets {
                if line.contains(secret) {
                    *line = line.replace(secret, "(hidden)");
                }
            }
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(code: u16, lines: &[&str]) -> Response {
        Response { code, enhanced: None, lines: lines.iter().map(|line| line.to_string()).collect() }
    }

    fn start(offered: &[&str], password: &str) -> Result<(Auth, String), AuthError> {
        let offered: Vec<String> = offered.iter().map(|name| name.to_string()).collect();
        let login = Login::new("ann", password.to_owned().into()).unwrap();
        Auth::start(login, &offered, &[0; 18], &[]).map(|(auth, line)| (auth, text(&line)))
    }

    fn text(line: &Secret) -> String {
        String::from_utf8(line.as_ref().to_vec()).unwrap()
    }

    fn say(step: Result<AuthStep, AuthError>) -> String {
        match step {
            Ok(AuthStep::Say(line)) => text(&line),
            step => panic!("{step:?}"),
        }
    }

    #[test]
    fn the_strongest_mechanism_that_both_know_is_taken() {
        for (offered, line) in [
            (&["LOGIN", "PLAIN", "SCRAM-SHA-256"][..], "AUTH SCRAM-SHA-256 biwsbj1hbm4scj1B"),
            (&["LOGIN", "GSSAPI", "PLAIN", "SCRAM-SHA-256-PLUS"], "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"),
            (&["CRAM-MD5", "LOGIN"], "AUTH LOGIN\r\n"),
        ] {
            assert!(start(offered, "secret").unwrap().1.starts_with(line), "{offered:?}");
        }
        for offered in [&[][..], &["GSSAPI", "XOAUTH2"]] {
            assert!(
                matches!(start(offered, "secret"), Err(AuthError::NotOffered(names)) if names == offered)
            );
        }
    }

    #[test]
    fn questions_are_answered_and_the_last_word_is_the_servers() {
        let (mut auth, _) = start(&["LOGIN"], "secret").unwrap();
        assert_eq!(say(auth.reply(response(334, &["VXNlcm5hbWU6"]))), "YW5u\r\n");
        assert_eq!(say(auth.reply(response(334, &["UGFzc3dvcmQ6"]))), "c2VjcmV0\r\n");
        assert_eq!(auth.reply(response(235, &["ok"])), Ok(AuthStep::Done));
    }

    #[test]
    fn an_initial_response_that_is_too_long_waits_to_be_asked_for() {
        let (mut auth, line) = start(&["PLAIN"], &"x".repeat(400)).unwrap();
        assert_eq!(line, "AUTH PLAIN\r\n");
        assert_eq!(auth.reply(response(235, &["so soon"])), Err(AuthError::TooEarly));
        assert!(say(auth.reply(response(334, &[""]))).starts_with("AGFubgB4eHh4"));
        assert_eq!(auth.reply(response(235, &["ok"])), Ok(AuthStep::Done));
    }

    #[test]
    fn challenges_that_make_no_sense_end_it() {
        for lines in [&["what?"][..], &["VXNlcm5hbWU6", "VXNlcm5hbWU6"], &["AAA"], &[&"AAAA".repeat(1000)]] {
            let (mut auth, _) = start(&["LOGIN"], "secret").unwrap();
            assert_eq!(auth.reply(response(334, lines)), Err(AuthError::Exchange(Failure::Malformed)));
        }
        let (mut auth, _) = start(&["PLAIN"], "secret").unwrap();
        assert_eq!(auth.reply(response(334, &[""])), Err(AuthError::Exchange(Failure::Malformed)));
    }

    #[test]
    fn success_without_the_servers_proof_is_none() {
        let (mut auth, _) = start(&["SCRAM-SHA-256"], "secret").unwrap();
        assert_eq!(auth.reply(response(235, &["ok"])), Err(AuthError::TooEarly));
        let nonce = BASE64.encode([0; 18]);
        let first = BASE64.encode(format!("r={nonce}x,s=c2FsdA==,i=4096"));
        let (mut auth, _) = start(&["SCRAM-SHA-256"], "secret").unwrap();
        say(auth.reply(response(334, &[&first])));
        assert_eq!(auth.reply(response(235, &["ok"])), Err(AuthError::TooEarly));
    }

    #[test]
    fn what_a_server_repeats_is_blotted_out() {
        let (mut auth, _) = start(&["PLAIN"], "secret").unwrap();
        let echo = ["no such command: AUTH PLAIN AGFubgBzZWNyZXQ=", "nor is secret a good password"];
        let Err(AuthError::Refused(refused)) = auth.reply(response(500, &echo)) else { panic!() };
        let blotted = ["no such command: AUTH PLAIN (hidden)", "nor is (hidden) a good password"];
        assert_eq!(refused.lines, blotted);
        assert!(!format!("{auth:?}").contains("secret"));
    }
}
