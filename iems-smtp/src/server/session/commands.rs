//! What each command does in each state (RFC 5321 sections 4.1.1 and 4.1.4).

use bytes::BytesMut;
use iems_core::message::{BodyType, Domain, Mailbox, Secrecy};

use super::output::{Text, error, out_of_order, too_large};
use super::state::{Body, Chunk, Hello, Pending, Skip, State};
use super::{Event, Session};
use crate::proto::{Claim, Command, CommandError, DataDecoder, Forward, Mail, Rcpt};
use crate::server::{Mode, Verify};

impl Session {
    pub(super) fn command(
        &mut self,
        command: Result<Command, CommandError>,
        input: &BytesMut,
    ) -> Option<Event> {
        let command = match command {
            Ok(command) => command,
            Err(cause) => {
                self.refuse(&cause.reply());
                return None;
            }
        };
        if matches!(self.state, State::Refused) && command != Command::Quit {
            self.refuse(&out_of_order("no service for you here; send QUIT"));
            return None;
        }
        match command {
            Command::Ehlo(name) => self.on_hello(name, Hello::Extended, false),
            Command::Helo(name) => self.on_hello(name, Hello::Helo, false),
            Command::Lhlo(name) => self.on_hello(name, Hello::Extended, true),
            Command::Mail(mail) => self.on_mail(mail),
            Command::Rcpt(rcpt) => self.on_rcpt(rcpt),
            Command::Data => self.on_data(),
            Command::Bdat { size, last } => self.on_bdat(size, last),
            Command::Rset => self.on_rset(),
            Command::Noop => self.idle_command(Text::Noop),
            Command::Etrn(domain) => self.on_etrn(domain),
            Command::Vrfy(who) => self.on_vrfy(&who),
            Command::Atrn(domains) => self.on_atrn(domains, input),
            Command::Help => self.on_help(),
            Command::Quit => self.on_quit(),
            Command::StartTls => self.on_starttls(input),
            Command::Claim(claim) => self.on_claim(claim),
            Command::Forward(forward) => self.on_forward(&forward),
            Command::Auth { mechanism, initial } => self.on_auth(&mechanism, initial.as_deref()),
        }
    }

    fn on_hello(&mut self, name: String, hello: Hello, lmtp: bool) -> Option<Event> {
        if lmtp != (self.options.mode == Mode::Lmtp) {
            let text = if lmtp { "this is SMTP; send EHLO" } else { "this is LMTP; send LHLO" };
            self.refuse(&error(500, 5, 1, text));
            return None;
        }
        self.count_idle();
        self.upstream = None;
        if matches!(self.state, State::Mail(_)) {
            self.state = State::Ready;
        }
        self.pending = Pending::Hello(hello);
        Some(Event::Hello(name))
    }

    fn on_mail(&mut self, mail: Box<Mail>) -> Option<Event> {
        let refusal = match () {
            // RFC 2645 section 5.4.
            () if self.options.mode == Mode::Collection => {
                Some(error(502, 5, 1, "mail is not taken here, only handed out; send it to another port"))
            }
            () if self.hello == Hello::None => {
                Some(out_of_order("say who you are first: EHLO, or LHLO in LMTP"))
            }
            () if matches!(self.state, State::Mail(_)) => {
                Some(out_of_order("a transaction is open; end it or send RSET"))
            }
            () if self.options.require_tls && !self.link.tls => Some(error(530, 7, 0, "send STARTTLS first")),
            () if self.options.mode == Mode::Submission && !self.authenticated => {
                Some(error(530, 7, 0, "authentication required; send AUTH first"))
            }
            () if mail.envelope.secrecy == Secrecy::Required && !self.link.tls => {
                Some(error(530, 7, 10, "REQUIRETLS is for messages that come over TLS; send STARTTLS first"))
            }
            () if mail.size > self.max_size => Some(too_large(self.max_size)),
            () => None,
        };
        match refusal {
            Some(reply) => {
                self.refuse(&reply);
                None
            }
            None => {
                let binary = mail.envelope.body == BodyType::BinaryMime;
                self.pending = Pending::Mail { smtputf8: mail.envelope.smtputf8, binary };
                Some(Event::Mail(mail))
            }
        }
    }

    fn on_rcpt(&mut self, rcpt: Box<Rcpt>) -> Option<Event> {
        let refusal = match &self.state {
            State::Mail(open) if open.chunks.is_some() => Some(out_of_order(
                "the message has begun; send the rest of it, recipients in another message",
            )),
            State::Mail(open) if rcpt.international && !open.smtputf8 => {
                Some(error(553, 6, 7, "an internationalized address; add SMTPUTF8 to MAIL FROM"))
            }
            State::Mail(open) if open.accepted >= self.options.limits.recipients => {
                Some(error(452, 5, 3, "too many recipients; send the message again for the others"))
            }
            State::Mail(_) => None,
            _ => Some(out_of_order("send MAIL first")),
        };
        match refusal {
            Some(reply) => {
                self.refuse(&reply);
                None
            }
            None => {
                self.pending = Pending::Rcpt;
                Some(Event::Rcpt(rcpt))
            }
        }
    }

    fn on_data(&mut self) -> Option<Event> {
        match &self.state {
            State::Mail(open) if open.chunks.is_some() => {
                self.refuse(&out_of_order("the message came by BDAT; go on with BDAT"));
            }
            // RFC 3030 section 3.
            State::Mail(open) if open.binary => {
                self.refuse(&out_of_order("a message of BODY=BINARYMIME goes by BDAT; send it with BDAT"));
            }
            State::Mail(open) if open.accepted > 0 => {
                let body = Body { recipients: open.accepted, ..Body::default() };
                self.state = State::Data(Box::new((DataDecoder::default(), body)));
                self.say(Text::Start);
            }
            _ => {
                let reply = self.no_recipients();
                self.refuse(&reply);
            }
        }
        None
    }

    /// Why there can be no message now.
    fn no_recipients(&self) -> iems_core::message::Reply {
        match &self.state {
            // All were refused; RFC 2033 section 4.2 wants 503 in LMTP even then.
            State::Mail(open) if open.refused > 0 && self.options.mode != Mode::Lmtp => {
                error(554, 5, 1, "no valid recipients; correct them and start again")
            }
            State::Mail(_) => out_of_order("no valid recipients; send RCPT first"),
            _ => out_of_order("send MAIL and RCPT first"),
        }
    }

    fn on_bdat(&mut self, size: u64, last: bool) -> Option<Event> {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Mail(mut transaction) if transaction.accepted > 0 => {
                let (recipients, binary) = (transaction.accepted, transaction.binary);
                let first = Body { recipients, binary, ..Body::default() };
                let body = transaction.chunks.take().unwrap_or(first);
                self.state = State::Chunk(Box::new(Chunk { transaction, body, size, left: size, last }));
            }
            other => {
                self.state = other;
                let reply = self.no_recipients();
                let back = std::mem::replace(&mut self.state, State::Ready);
                self.state = State::Skip(Box::new(Skip { left: size, reply, back }));
            }
        }
        None
    }

    fn on_rset(&mut self) -> Option<Event> {
        let open = matches!(self.state, State::Mail(_));
        self.upstream = None;
        if open {
            self.state = State::Ready;
        }
        self.idle_command(Text::Flushed);
        open.then_some(Event::Reset)
    }

    fn on_help(&mut self) -> Option<Event> {
        let verbs = format!("2.0.0 {}", self.verbs().join(" "));
        let more = "2.0.0 see RFC 5321; questions go to postmaster";
        crate::proto::reply::write_lines(&mut self.output, 214, [verbs.as_str(), more]);
        self.count_idle();
        None
    }

    /// What this peer can say now.
    fn verbs(&self) -> Vec<&'static str> {
        let hello: &[&str] = if self.options.mode == Mode::Lmtp { &["LHLO"] } else { &["EHLO", "HELO"] };
        let mut verbs = hello.to_vec();
        let collects = self.options.mode == Mode::Collection;
        let mail: &[&str] = if collects { &[] } else { &["MAIL", "RCPT", "DATA", "BDAT"] };
        verbs.extend(mail);
        verbs.extend(["RSET", "NOOP", "VRFY"]);
        verbs.extend(self.turns().then_some("ETRN"));
        verbs.push("HELP");
        let more = [
            (self.link.tls_available && !self.link.tls, "STARTTLS"),
            (self.may_authenticate(), "AUTH"),
            (self.trusted, "XCLIENT"),
            (collects, "ATRN"),
            (self.inside, "XFORWARD"),
            (true, "QUIT"),
        ];
        verbs.extend(more.into_iter().filter_map(|(has, verb)| has.then_some(verb)));
        verbs
    }

    /// Whoever may not know which mailboxes there are hears the same whatever it asks.
    fn on_vrfy(&mut self, who: &str) -> Option<Event> {
        let told = match self.options.verify {
            Verify::Off => false,
            Verify::Authenticated => self.authenticated,
            Verify::Local => true,
        };
        if !told {
            return self.idle_command(Text::Verify);
        }
        self.count_idle();
        let address = who.strip_suffix(" SMTPUTF8").unwrap_or(who).trim();
        let address = address.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(address);
        match address.parse::<Mailbox>() {
            Ok(mailbox) => {
                self.pending = Pending::Verify;
                Some(Event::Verify(mailbox))
            }
            Err(_) => {
                let text = "that may be several mailboxes; ask for a whole address, with its domain";
                self.refuse(&error(553, 1, 4, text));
                None
            }
        }
    }

    /// Whether `ETRN` is offered. Submission must not (RFC 6409 section 7).
    pub(super) fn turns(&self) -> bool {
        self.options.mode != Mode::Submission
    }

    fn on_etrn(&mut self, domain: Domain) -> Option<Event> {
        let refusal = match () {
            () if !self.turns() => {
                Some(error(502, 5, 1, "ETRN is not for submission; ask where mail comes from other servers"))
            }
            () if self.hello != Hello::Extended => Some(out_of_order("say who you are first: EHLO")),
            () if matches!(self.state, State::Mail(_)) => {
                Some(out_of_order("a transaction is open; end it or send RSET"))
            }
            () if self.options.require_tls && !self.link.tls => Some(error(530, 7, 0, "send STARTTLS first")),
            () => None,
        };
        self.count_idle();
        match refusal {
            Some(reply) => {
                self.refuse(&reply);
                None
            }
            None => {
                self.pending = Pending::Turn;
                Some(Event::Turn(domain))
            }
        }
    }

    /// What follows `ATRN` unasked could be taken for the greeting of the server that the peer is to become.
    fn on_atrn(&mut self, domains: Vec<Domain>, input: &BytesMut) -> Option<Event> {
        let refusal = match () {
            () if self.options.mode != Mode::Collection => {
                Some(error(502, 5, 1, "ATRN is not offered here; HELP lists the commands"))
            }
            () if self.hello != Hello::Extended => Some(out_of_order("say who you are first: EHLO")),
            () if matches!(self.state, State::Mail(_)) => {
                Some(out_of_order("a transaction is open; end it or send RSET"))
            }
            () if !self.authenticated => Some(error(530, 7, 0, "authentication required; send AUTH first")),
            () => None,
        };
        if let Some(reply) = refusal {
            self.refuse(&reply);
            return None;
        }
        if !input.is_empty() {
            self.write(&out_of_order(
                "nothing may follow ATRN before its reply; connect again and wait for it",
            ));
            self.state = State::Closing;
            return None;
        }
        self.count_idle();
        self.pending = Pending::Collect;
        Some(Event::Collect(domains))
    }

    fn on_quit(&mut self) -> Option<Event> {
        self.say(Text::Bye);
        self.quit = true;
        self.state = State::Closing;
        None
    }

    /// What follows `STARTTLS` in the clear may be another's: a peer that does not wait for the reply is cut off.
    fn on_starttls(&mut self, input: &BytesMut) -> Option<Event> {
        if self.link.tls || !self.link.tls_available {
            let text =
                if self.link.tls { "TLS is in force; go on" } else { "TLS is not available; go on without" };
            self.refuse(&error(if self.link.tls { 503 } else { 502 }, 5, 1, text));
            return None;
        }
        if !input.is_empty() {
            self.write(&out_of_order(
                "nothing may follow STARTTLS before its reply; connect again and wait for it",
            ));
            self.state = State::Closing;
            return None;
        }
        self.say(Text::Tls);
        self.state = State::Handshake;
        Some(Event::StartTls)
    }

    /// Only in trusted hosts' sessions, and between messages.
    fn on_claim(&mut self, claim: Box<Claim>) -> Option<Event> {
        if !self.trusted {
            self.refuse(&error(
                550,
                7,
                1,
                "XCLIENT is for hosts that are trusted here; send mail without it",
            ));
            return None;
        }
        if matches!(self.state, State::Mail(_)) {
            self.refuse(&out_of_order("a transaction is open; end it or send RSET"));
            return None;
        }
        Some(Event::Claim(claim))
    }

    /// Only in sessions of hosts of the site, and between messages; it holds for the next one.
    fn on_forward(&mut self, forward: &Forward) -> Option<Event> {
        if !self.inside {
            self.refuse(&error(550, 7, 1, "XFORWARD is for hosts of this site; send mail without it"));
            return None;
        }
        if matches!(self.state, State::Mail(_)) {
            self.refuse(&out_of_order("a transaction is open; end it or send RSET"));
            return None;
        }
        let upstream = self.upstream.get_or_insert_default();
        if forward.apply(upstream).is_ok() {
            self.say(Text::Noted);
        }
        None
    }

    fn idle_command(&mut self, text: Text) -> Option<Event> {
        self.say(text);
        self.count_idle();
        None
    }

    fn count_idle(&mut self) {
        self.idle_commands += 1;
        if self.idle_commands > self.options.limits.idle_commands {
            self.count_error();
        }
    }
}
