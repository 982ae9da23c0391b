//! Batch SMTP: what a client says, without a server that answers (`application/batch-SMTP`, RFC 2442).
//!
//! [`BatchWriter`] makes batches, [`BatchParser`] reads them: out of a file, out of a MIME part, or from standard input.
//! Neither does I/O, and neither holds more than a line. [`process`] carries a batch out through the door, [`BatchChannel`] is
//! the channel over which mail travels in batches. Whoever relays what a parser gives must know where the batch
//! came from (RFC 2442, security considerations): a batch is a way to submit mail for others.

mod channel;
mod collect;
mod fault;
mod folder;
mod inflate;
mod open;
mod parser;
mod processor;
mod tunnel;
mod writer;

pub use channel::{BatchChannel, CHANNEL};
pub use collect::{Account, AccountSettings, Destination, Protection};
pub use fault::{BatchError, Fault};
pub use folder::{AddError, FolderIn, FolderInSettings, Spool, SpoolSettings};
pub use inflate::{Inflate, InflateError};
pub use parser::{BatchLimits, BatchLineEnds, BatchParser, Event};
pub use processor::{Answers, Job, Report, Source, SourceError, Terms, process};
pub use tunnel::{Key, KeyError, Seal, SealError, TunnelIn, TunnelInSettings, TunnelOut, TunnelOutSettings};
pub use writer::{BatchWriter, Parameters};

pub(crate) use tunnel::{Decoder, Encoding, fields, parameters};

#[cfg(test)]
mod tests;
