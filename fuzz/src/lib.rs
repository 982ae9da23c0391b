//! What must hold for any octets from outside, whatever they are: one function per parser.
//!
//! A function panics if its parser breaks a promise: parse and print are each other's inverse, pieces of any size
//! make no difference, nothing comes out that could be read as something else. The workspace's tests put every
//! function through a short run over mutated seeds (`tests/short.rs`); `guided/` puts the same functions through
//! libFuzzer, for as long as one likes.

mod address;
mod batch;
mod command;
mod data;
mod imap;
mod mailbox;
mod mutate;
mod policy;
mod pop3;
mod reply;
mod session;
mod spf;
mod structure;
mod tls_report;
mod trace;

pub use mutate::Mutator;

/// One parser under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, also that of the guided target.
    pub name: &'static str,
    /// Puts octets through the parser; panics if a promise is broken.
    pub run: fn(&[u8]),
    /// Octets to begin with.
    pub seeds: &'static [&'static [u8]],
    /// How much longer it takes than others.
    pub cost: u64,
}

/// All parsers.
pub const TARGETS: &[Target] = &[
    Target { name: "address", run: address::run, seeds: address::SEEDS, cost: 1 },
    Target { name: "batch", run: batch::run, seeds: batch::SEEDS, cost: 1 },
    Target { name: "command", run: command::run, seeds: command::SEEDS, cost: 1 },
    Target { name: "lines", run: command::lines, seeds: command::LINES, cost: 1 },
    Target { name: "reply", run: reply::run, seeds: reply::SEEDS, cost: 1 },
    Target { name: "data_in", run: data::incoming, seeds: data::SEEDS, cost: 1 },
    Target { name: "data_out", run: data::outgoing, seeds: data::SEEDS, cost: 1 },
    Target { name: "session", run: session::run, seeds: session::SEEDS, cost: 1 },
    Target { name: "imap_session", run: mailbox::run, seeds: mailbox::SEEDS, cost: 20 },
    Target { name: "imap", run: imap::run, seeds: imap::SEEDS, cost: 1 },
    Target { name: "pop3", run: pop3::dialogue, seeds: pop3::DIALOGUES, cost: 1 },
    Target { name: "pop3_out", run: pop3::message, seeds: pop3::MESSAGES, cost: 1 },
    Target { name: "policy", run: policy::run, seeds: policy::SEEDS, cost: 1 },
    Target { name: "spf", run: spf::run, seeds: spf::SEEDS, cost: 1 },
    Target { name: "structure", run: structure::run, seeds: structure::SEEDS, cost: 1 },
    Target { name: "tls_report", run: tls_report::run, seeds: tls_report::SEEDS, cost: 1 },
    Target { name: "trace", run: trace::run, seeds: trace::SEEDS, cost: 1 },
];

/// The target called `name`, for the guided ones.
///
/// # Panics
/// If there is none.
pub fn run(name: &str, octets: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").run)(octets);
}

/// Sizes of pieces in which octets arrive: taken from the octets themselves, so that a failure repeats.
fn pieces(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    let size = octets.first().map_or(1, |first| usize::from(first % 7) + 1);
    octets.chunks(size)
}
