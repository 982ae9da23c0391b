//! Policies of MTA-STS and reports about TLS, with a clock, names and web servers that do as they are told.

mod received;
mod sts;
mod support;
mod tlsrpt;
