//! Receive: the one door through which every message comes in.

mod connection;
mod intake;

pub use connection::Connection;
pub use intake::{Intake, Receipt, Session, Transaction};
