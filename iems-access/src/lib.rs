//! Mailbox access: IMAP and POP3.
//!
//! What users' programs speak to read mail. [`imap`] and [`pop3`] are servers for the mailboxes of an
//! [`iems_store::directory::StoreDirectory`]; [`net`] is what they share: listeners, TLS, logins, bounds of memory. Each has its session,
//! which knows no socket, apart from the connection that carries it. Not here: what mailboxes are (`iems-store`), and how
//! mail gets into them.
//!
//! ```no_run
//! # async fn serve(directory: std::sync::Arc<iems_store::directory::StoreDirectory>, tls: iems_access::net::TlsConfig)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! use iems_access::{imap, pop3};
//! use tokio_util::sync::CancellationToken;
//!
//! let listeners = vec![
//!     imap::Listener::bind("[::]:143".parse()?)?,
//!     imap::Listener::bind("[::]:993".parse()?)?.implicit_tls(),
//! ];
//! let options = imap::ServerOptions::new("mx.example.org");
//! let imap = imap::Server::new(options, listeners, imap::Accounts::new(directory.clone()), Some(tls.clone()))?;
//!
//! let listeners = vec![pop3::Listener::bind("[::]:995".parse()?)?.implicit_tls()];
//! let options = pop3::ServerOptions::new("mx.example.org");
//! let pop3 = pop3::Server::new(options, listeners, pop3::Maildrops::new(directory), Some(tls))?;
//!
//! let shutdown = CancellationToken::new();
//! let (imap, pop3) = tokio::join!(imap.serve(shutdown.clone()), pop3.serve(shutdown));
//! imap.and(pop3)?;
//! # Ok(()) }
//! ```
//!
//! Logins are checked by the directory, or by one of your own: [`net::AuthOptions::directory`]. The program `embed_mailboxes` among the
//! examples of the repository shows that. There are no features.

pub mod imap;
pub mod net;
pub mod pop3;
