//! Batch SMTP: what a client says, without a server that answers (`application/batch-SMTP`, RFC 2442).
//!
//! [`BatchWriter`] makes batches, [`BatchParser`] reads them: out of a file, out of a MIME part, or from standard input.
//! Neither does I/O, and neither holds more than a line. Whoever relays what a parser gives must know where the batch
//! came from (RFC 2442, security considerations): a batch is a way to submit mail for others.

mod fault;
mod parser;
mod writer;

pub use fault::{BatchError, Fault};
pub use parser::{BatchLimits, BatchLineEnds, BatchParser, Event};
pub use writer::BatchWriter;

#[cfg(test)]
mod tests;
