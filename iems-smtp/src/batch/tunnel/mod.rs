//! Tunnels: batches that travel as ordinary mail (RFC 2442).
//!
//! At one end, [`TunnelOut`] wraps whole batches into messages of the type `application/batch-SMTP` to the address of the other end. There,
//! [`TunnelIn`] is where mail to that address goes: it looks whether the batch is from whom it must be from, and carries it out.
//! A batch is a way to submit mail for others, so nothing unsigned is ever carried out.

mod decode;
mod input;
mod object;
mod output;
mod seal;

pub use input::{TunnelIn, TunnelInSettings};
pub use output::{TunnelOut, TunnelOutSettings};
pub use seal::{Key, KeyError, Seal, SealError};

pub(crate) use decode::{Decoder, Encoding};
pub(super) use input::{BatchObject, TunnelLink};
pub(super) use object::{HEADER, is_object};
pub(crate) use object::{fields, parameters};
