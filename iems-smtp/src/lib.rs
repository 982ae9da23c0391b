//! SMTP, submission and LMTP: server and client.
