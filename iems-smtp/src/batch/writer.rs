//! Writes a batch: what a client says that gets a good answer to everything (RFC 2442 section 2).

use bytes::BytesMut;
use iems_core::message::BodyType;

use crate::proto::{Command, DataEncoder, Mail, Rcpt};

/// Writes a batch into buffers of the caller's. Keeps nothing but its place.
#[derive(Debug, Default)]
pub struct BatchWriter {
    text: Option<DataEncoder>,
    eight_bit: bool,
    international: bool,
    dsn: bool,
    /// Whether its reader takes priorities, and whether there were any.
    priorities: bool,
    priority: bool,
    messages: u64,
}

impl BatchWriter {
    /// Begins a batch of the host called `name`.
    pub fn new(name: &str, out: &mut BytesMut) -> Self {
        put(&Command::Ehlo(name.to_owned()), out);
        Self::default()
    }

    /// The same for a reader of which it is known whether it takes `MT-PRIORITY` (RFC 6710): another of these, for instance. Few others do, and end
    /// the batch at what they do not know.
    #[must_use]
    pub const fn with_priorities(mut self, taken: bool) -> Self {
        self.priorities = taken;
        self
    }

    /// Begins a message. One whose text is open ends first. A body of lines is assumed: `BINARYMIME` goes as `8BITMIME`,
    /// so convert it before. `AUTH` is left out: no login stands behind a batch; and `MT-PRIORITY`, unless it is taken.
    pub fn begin(&mut self, mail: &Mail, recipients: &[Rcpt], out: &mut BytesMut) {
        self.end(out);
        let mut mail = Mail { auth: None, ..mail.clone() };
        match self.priorities {
            true => self.priority |= mail.envelope.priority.is_some(),
            false => mail.envelope.priority = None,
        }
        if mail.envelope.body != BodyType::SevenBit {
            mail.envelope.body = BodyType::EightBitMime;
            self.eight_bit = true;
        }
        self.international |= mail.envelope.smtputf8;
        self.dsn |= mail.envelope.ret.is_some() || mail.envelope.id.is_some();
        put(&Command::Mail(Box::new(mail)), out);
        for recipient in recipients {
            self.dsn |= recipient.notify.is_some() || recipient.original.is_some();
            put(&Command::Rcpt(Box::new(recipient.clone())), out);
        }
        put(&Command::Data, out);
        self.text = Some(DataEncoder::default());
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
