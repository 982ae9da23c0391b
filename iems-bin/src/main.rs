//! The iems program: parse, wire, run, exit code.
fn main() {}
