//! Structures of messages that are right, and of those that are not.

mod addresses;
mod parts;
mod random;
