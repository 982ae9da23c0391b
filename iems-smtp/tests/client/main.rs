//! The outbound side against servers that follow a script: every reply in every state, and none.

mod dialogue;
mod endings;
mod hosts;
mod login;
mod peers;
mod policies;
mod support;
mod tls;
mod trouble;
