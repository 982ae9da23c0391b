//! Writes a batch: what a client says that gets a good answer to everything (RFC 2442 section 2).

use bytes::BytesMut;
use iems_core::message::BodyType;

use crate::proto::{Command, DataEncoder, Mail, Rcpt};

/// Which parameters of commands whoever reads a batch takes. What is not known ends a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Parameters {
    /// None, as in RFC 821: Exim's `-bS`, and what was made for UUCP.
    None,
    /// Of 8BITMIME, SMTPUTF8 and DSN.
    #[default]
    Usual,
    /// Of MT-PRIORITY, too: another of these.
    All,
}

/// Writes a batch into buffers of the caller's. Keeps nothing but its place.
#[derive(Debug, Default)]
pub struct BatchWriter {
    parameters: Parameters,
    text: Option<DataEncoder>,
    eight_bit: bool,
    international: bool,
    dsn: bool,
    priority: bool,
    messages: u64,
}

impl BatchWriter {
    /// Begins a batch of the host called `name`.
    pub fn new(name: &str, parameters: Parameters, out: &mut BytesMut) -> Self {
        put(
            &match parameters {
                Parameters::None => Command::Helo(name.to_owned()),
                _ => Command::Ehlo(name.to_owned()),
            },
            out,
        );
        Self::within(parameters)
    }

    /// Goes on with a batch that has begun.
    pub fn within(parameters: Parameters) -> Self {
        Self { parameters, ..Self::default() }
    }

    /// Begins a message. One whose text is open ends first. A body of lines is assumed: `BINARYMIME` goes as `8BITMIME`,
    /// so convert it before. `AUTH` is left out: no login stands behind a batch; and what its reader does not take.
    pub fn begin(&mut self, mail: &Mail, recipients: &[Rcpt], out: &mut BytesMut) {
        self.end(out);
        put(&Command::Mail(Box::new(self.mail(mail))), out);
        for recipient in recipients {
            put(&Command::Rcpt(Box::new(self.rcpt(recipient))), out);
        }
        put(&Command::Data, out);
        self.text = Some(DataEncoder::default());
    }

    fn mail(&mut self, mail: &Mail) -> Mail {
        let mut mail = Mail { auth: None, ..mail.clone() };
        let envelope = &mut mail.envelope;
        if self.parameters == Parameters::None {
            (envelope.body, envelope.smtputf8) = (BodyType::SevenBit, false);
            (envelope.ret, envelope.id) = (None, None);
            (mail.size, mail.by, mail.hold) = (0, None, None);
        }
        if self.parameters != Parameters::All {
            mail.envelope.priority = None;
        }
        let envelope = &mut mail.envelope;
        if envelope.body != BodyType::SevenBit {
            envelope.body = BodyType::EightBitMime;
            self.eight_bit = true;
        }
        self.international |= envelope.smtputf8;
        self.dsn |= envelope.ret.is_some() || envelope.id.is_some();
        self.priority |= envelope.priority.is_some();
        mail
    }

    fn rcpt(&mut self, rcpt: &Rcpt) -> Rcpt {
        let mut rcpt = rcpt.clone();
        if self.parameters == Parameters::None {
            (rcpt.notify, rcpt.original) = (None, None);
        }
        self.dsn |= rcpt.notify.is_some() || rcpt.original.is_some();
        rcpt
    }

    /// The next octets of its text; any line ends become CRLF.
    pub fn octets(&mut self, octets: &[u8], out: &mut BytesMut) {
        if let Some(encoder) = &mut self.text {
            encoder.encode(octets, out);
        }
    }

    /// Ends the text.
    pub fn end(&mut self, out: &mut BytesMut) {
        if let Some(encoder) = self.text.take() {
            encoder.finish(out);
            self.messages += 1;
        }
    }

    /// Messages that ended so far.
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Ends the batch. Gives the value of the parameter `required-extensions`: what a processor must know to take it.
    pub fn finish(mut self, out: &mut BytesMut) -> String {
        self.end(out);
        put(&Command::Quit, out);
        let used = [
            (self.eight_bit, "8BITMIME"),
            (self.international, "SMTPUTF8"),
            (self.dsn, "DSN"),
            (self.priority, "MT-PRIORITY"),
        ];
        let used: Vec<&str> = used.into_iter().filter(|(used, _)| *used).map(|(_, name)| name).collect();
        used.join(",")
    }
}

fn put(command: &Command, out: &mut BytesMut) {
    out.extend_from_slice(command.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}
