//! SMTP, submission and LMTP: server and client.

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
