//! The outbound side against servers that follow a script: every reply in every state, and none.

mod dialogue;
mod endings;
mod hosts;
mod injected;
mod login;
mod peers;
mod policies;
mod secrecy;
mod slow;
mod support;
mod tls;
mod trouble;
mod waived;
mod wishes;
