//! SMTP, submission and LMTP: server and client.
//!
//! | module | its world |
//! |---|---|
//! | [`proto`] | the words: commands, replies, extensions, the end of data; no I/O |
//! | [`server`] | an input channel: listeners for SMTP, submission and LMTP, each with its TLS and logins |
//! | [`client`] | an output channel: the exchangers of a domain, or a host that a route names, with DANE, MTA-STS and logins |
//! | [`batch`] | mail without a dialogue: Batch SMTP (RFC 2442), folders, tunnels, mailboxes elsewhere |
//! | [`odmr`] | mail that waits until its server comes for it (RFC 2645) |
//! | [`sts`], [`tlsrpt`] | policies of MTA-STS (RFC 8461), and reports about TLS (RFC 8460) |
//! | [`resolver`], [`dialer`] | DNS and TCP behind the seams of `iems-core` |
//!
//! A server and a client are [channels](iems_core::deliver::Channel) of an engine. Not here: what becomes of a message between them
//! (`iems-core`), and the mailboxes (`iems-store`).
//!
//! ```no_run
//! # fn parts(storage: iems_core::storage::Storage, directory: std::sync::Arc<dyn iems_core::seam::Directory>,
//! #     tls: iems_smtp::server::TlsConfig) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use iems_core::Engine;
//! use iems_core::message::ChannelId;
//! use iems_core::seam::{SeededRandom, SystemClock};
//! use iems_smtp::client::{ClientSettings, SmtpClient};
//! use iems_smtp::dialer::TcpDialer;
//! use iems_smtp::resolver::{DnsResolver, DnsSettings};
//! use iems_smtp::server::{Listener, Mode, Server, ServerOptions};
//!
//! let clock = Arc::new(SystemClock);
//! let resolver = Arc::new(DnsResolver::new(&DnsSettings::default())?);
//! let listeners = vec![Listener::bind("[::]:465".parse()?)?.implicit_tls()];
//! let options = ServerOptions::new(Mode::Submission, ChannelId::new("submission"), "mx.example.org");
//! let server = Server::new(options, listeners, directory.clone(), resolver.clone(), clock, Some(tls))?;
//! let client = SmtpClient::new(
//!     ChannelId::new("smtp"),
//!     ClientSettings::smtp("mx.example.org"),
//!     resolver,
//!     Arc::new(TcpDialer),
//!     Arc::new(SeededRandom::unpredictable()),
//! )?;
//! let engine = Engine::builder("mx.example.org", storage, directory)
//!     .input(Arc::new(server))
//!     .output(Arc::new(client))
//!     .build()?;
//! # Ok(()) }
//! ```
//!
//! There are no features.

pub mod batch;
pub mod client;
pub mod dialer;
mod https;
pub mod odmr;
pub mod proto;
pub mod resolver;
pub mod server;
pub mod sts;
pub mod tlsrpt;
