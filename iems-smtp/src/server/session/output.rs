//! Replies: what the session says by itself, in the words of RFC 5321 section 4.2 and RFC 3463.

use iems_core::message::{EnhancedStatus, Reply};
use iems_core::receive::Receipt;

use super::Session;
use super::state::State;
use crate::proto::{Extensions, LineError, SessionLimits, reply};
use crate::proto::{claim, forward};
use crate::server::Mode;

/// Replies that are always the same.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    MailOk,
    RcptOk,
    Start,
    Flushed,
    Noop,
    Bye,
    Verify,
    Tls,
    Authenticated,
    Noted,
}

impl Text {
    const fn line(self) -> &'static str {
        match self {
            Self::MailOk => "250 2.1.0 sender ok\r\n",
            Self::RcptOk => "250 2.1.5 recipient ok\r\n",
            Self::Start => "354 send the message, end it with <CRLF>.<CRLF>\r\n",
            Self::Flushed => "250 2.0.0 forgotten\r\n",
            Self::Noop => "250 2.0.0 ok\r\n",
            Self::Bye => "221 2.0.0 bye\r\n",
            Self::Verify => "252 2.1.5 send mail to it and see\r\n",
            Self::Tls => "220 2.0.0 ready to start TLS\r\n",
            Self::Noted => "250 2.0.0 noted for the next message\r\n",
            Self::Authenticated => "235 2.7.0 authenticated\r\n",
        }
    }
}

/// What is said about a command that comes at the wrong time or goes over a limit.
pub(super) fn error(code: u16, subject: u16, detail: u16, text: &str) -> Reply {
    Reply::new(code, EnhancedStatus::new((code / 100) as u8, subject, detail), text)
}

pub(super) fn out_of_order(text: &str) -> Reply {
    error(503, 5, 1, text)
}

pub(super) fn too_large(limit: u64) -> Reply {
    error(552, 3, 4, &format!("the message is over {limit} octets; send a smaller one"))
}

pub(super) fn bare_line_end() -> Reply {
    error(550, 6, 0, "the message holds a bare CR or LF; end every line with CRLF and send it again")
}

pub(super) fn directory_away() -> Reply {
    error(454, 7, 0, "credentials cannot be checked now; try again later")
}

impl Session {
    pub(super) fn say(&mut self, text: Text) {
        self.output.extend_from_slice(text.line().as_bytes());
    }

    /// Writes any reply. One with 421 is the last.
    pub(super) fn write(&mut self, reply: &Reply) {
        if reply.code >= 400 {
            tracing::info!(%reply, cause = reply.cause.as_deref(), "refused");
        }
        self.put(reply);
        if reply.code == 421 {
            self.state = State::Closing;
        }
    }

    fn put(&mut self, reply: &Reply) {
        match &self.trace {
            Some(name) if reply.code >= 400 => reply::write_traced(&mut self.output, reply, name),
            _ => reply::write(&mut self.output, reply),
        }
    }

    /// Writes a refusal; a permanent one counts as the peer's error.
    pub(super) fn refuse(&mut self, reply: &Reply) {
        self.write(reply);
        if reply.code >= 500 {
            self.count_error();
        }
    }

    pub(super) fn count_error(&mut self) {
        self.errors += 1;
        let limits = &self.options.limits;
        self.late |= self.errors > limits.soft_errors;
        if self.errors >= limits.hard_errors && !matches!(self.state, State::Closing | State::Closed) {
            self.write(&error(421, 7, 0, "too many errors; correct them and connect again"));
        }
    }

    pub(super) fn bad_line(&mut self, cause: LineError) -> Option<super::Event> {
        let text = match cause {
            LineError::BareLineEnd => "a bare CR or LF in a command; end every line with CRLF",
            LineError::TooLong => "the line is too long; send a shorter one",
        };
        if matches!(self.state, State::Auth(_)) {
            self.state = State::Ready;
        }
        self.refuse(&error(500, 5, 2, text));
        None
    }

    pub(super) fn write_greeting(&mut self) {
        let kind = if self.options.mode == Mode::Lmtp { "LMTP" } else { "ESMTP" };
        let line = format!("{} {kind} {}", self.options.hostname, self.options.greeting);
        reply::write_lines(&mut self.output, 220, [line.trim_end()]);
    }

    pub(super) fn write_capabilities(&mut self, extended: bool) {
        let name = self.options.hostname.clone();
        if !extended {
            return reply::write_lines(&mut self.output, 250, [name.as_str()]);
        }
        let extensions = self.extensions();
        let claims = self.trusted.then(|| claim::ATTRIBUTES.into());
        let lines: Vec<_> = std::iter::once(name.into()).chain(extensions.lines()).chain(claims).collect();
        reply::write_lines(&mut self.output, 250, lines.iter().map(|line| line.as_ref()));
    }

    fn extensions(&self) -> Extensions {
        let auth = match self.may_authenticate() {
            true => {
                let offered = self.options.auth.mechanisms.iter().filter(|m| self.is_offered(**m));
                offered.map(|m| m.name().to_owned()).collect()
            }
            false => Vec::new(),
        };
        let limits = SessionLimits {
            rcpt_max: SessionLimits::tell(self.options.limits.recipients),
            ..SessionLimits::default()
        };
        if self.options.mode == Mode::Collection {
            return Extensions {
                pipelining: true,
                etrn: true,
                atrn: true,
                enhanced_status_codes: true,
                starttls: self.link.tls_available && !self.link.tls,
                auth,
                ..Extensions::default()
            };
        }
        let most = self.options.future_release;
        let hold = Some((most.as_secs().min(999_999_999), self.now.after(most)));
        Extensions {
            size: Some(self.max_size),
            pipelining: true,
            eight_bit_mime: true,
            smtputf8: true,
            dsn: true,
            priority: true,
            etrn: self.turns(),
            // Only to whoever can make use of it (RFC 8689 section 2).
            require_tls: self.link.tls,
            deliver_by: Some(self.options.deliver_by_minimum.as_secs()),
            future_release: hold.filter(|_| !most.is_zero() && self.options.mode == Mode::Submission),
            chunking: true,
            binary_mime: true,
            enhanced_status_codes: true,
            starttls: self.link.tls_available && !self.link.tls,
            auth,
            limits,
            forward: if self.inside { forward::ATTRIBUTES.map(str::to_owned).to_vec() } else { Vec::new() },
            ..Extensions::default()
        }
    }

    pub(super) fn write_receipt(&mut self, receipt: &Receipt, recipients: usize) {
        let queued = Reply::new(250, EnhancedStatus::new(2, 0, 0), format!("queued as {}", receipt.id));
        if self.options.mode != Mode::Lmtp {
            return self.write(&queued);
        }
        // A receipt that speaks of fewer recipients than were accepted says nothing about the others: not delivered.
        let unknown = Err(Reply::defer(3, 0, "no outcome; try again later"));
        for at in 0..recipients {
            match receipt.recipients.get(at).unwrap_or(&unknown) {
                Ok(()) => self.write(&queued),
                Err(reply) => self.write(reply),
            }
        }
    }

    /// The reply to the whole message; in LMTP to each recipient of it.
    pub(super) fn write_outcome(&mut self, reply: &Reply, recipients: usize) {
        let times = if self.options.mode == Mode::Lmtp { recipients.max(1) } else { 1 };
        (1..times).for_each(|_| self.put(reply));
        self.refuse(reply);
    }
}
