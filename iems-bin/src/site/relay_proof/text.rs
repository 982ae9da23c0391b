//! Random numbers, and the paths that attackers of relays have tried.

use iems_core::receive::Connection;
use iems_core::seam::{Random, SeededRandom};

use super::world::World;

/// Numbers from a seed.
pub(super) struct Dice(SeededRandom);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(SeededRandom::new(seed.wrapping_mul(0x5851_F42D_4C95_7F2D) ^ 0xDA7A))
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end.max(1)
    }

    /// Any number.
    pub(super) fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Once in `times`.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these words.
    pub(super) fn word(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len() as u64) as usize]
    }

    /// One of these.
    pub(super) fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

/// Domains of others, some of which look like ours.
const FOREIGN: &[&str] = &[
    "victim.test",
    "one.example.victim.test",
    "notone.example",
    "oneexample",
    "example",
    "gate.example.test",
    "xbackup.example",
    "localhost",
    "[127.0.0.1]",
    "[192.0.2.7]",
    "[IPv6:::1]",
    "[IPv6:2001:db8::7]",
    "victim.test.",
    "VICTIM.TEST",
    "xn--victim-9ya.test",
    "v_ictim.test",
];

/// What spoils a path.
const SPOILERS: &[&str] = &[
    "@",
    "%",
    "!",
    ":",
    ",",
    ";",
    "<",
    ">",
    "\"",
    "\\",
    " ",
    ".",
    "+",
    "(",
    ")",
    "[",
    "]",
    "\t",
    "\0",
    "ı",
    "İ",
    "\u{200b}",
    "\u{ff20}",
    "@victim.test",
    "%victim.test",
    "victim.test!",
    "/",
    "=",
    "*",
    "|",
];

/// A domain: ours, one we relay for, or another.
fn domain(dice: &mut Dice, world: &World) -> String {
    let known = match dice.below(4) {
        0 | 1 if !world.domains.is_empty() => dice.one(&world.domains).clone(),
        2 if !world.relayed.is_empty() => {
            dice.one(&world.relayed).replace("*.", dice.word(&["", "deep.", "a.b."]))
        }
        _ => dice.word(FOREIGN).to_owned(),
    };
    match dice.below(12) {
        0 => known.to_uppercase(),
        1 => format!("{known}."),
        2 if known == "xn--bcher-kva.example" => "bücher.example".to_owned(),
        _ => known,
    }
}

fn local(dice: &mut Dice, world: &World) -> String {
    match dice.below(5) {
        0 | 1 if !world.locals.is_empty() => dice.one(&world.locals).clone(),
        2 if !world.locals.is_empty() => {
            format!("{}+{}", dice.one(&world.locals), dice.word(&["x", "a@b", "%"]))
        }
        3 => dice.word(&["postmaster", "abuse", "root", "x.y", "\"a b\"", "\"\\@\"", "a=b"]).to_owned(),
        _ => format!("nobody{}", dice.below(10)),
    }
}

/// A forward-path with its angle brackets.
pub(super) fn path(dice: &mut Dice, world: &World) -> String {
    // Addresses that anybody may write to, so that the proof sees that they are taken.
    if dice.once_in(6) && !world.open.is_empty() {
        let at = dice.below(world.open.len() as u64) as usize;
        return format!("<{}>", world.open.iter().nth(at).expect("below its length"));
    }
    let (l, d, f) = (local(dice, world), domain(dice, world), dice.word(FOREIGN));
    let inside = match dice.below(22) {
        0..=6 => format!("{l}@{d}"),
        7 => format!("{l}%{f}@{d}"),
        8 => format!("{f}!{l}@{d}"),
        9 => format!("\"{l}@{f}\"@{d}"),
        10 => format!("@{d}:{l}@{f}"),
        11 => format!("@{f},@{d}:{l}@{d}"),
        12 => format!("{l}@{f}@{d}"),
        13 => format!("{l}@{d}@{f}"),
        14 => format!("{l}%{f}%{d}@{d}"),
        15 => format!("{f}!{d}!{l}"),
        16 => format!("\"{l}%{f}\"@{d}"),
        17 => format!("{l}\\@{f}@{d}"),
        18 => format!("{l}@{d}%{f}"),
        19 => format!("@{d},{l}@{f}"),
        20 => format!("{l}@{d}> <{l}@{f}"),
        _ => format!("\"\"@{d}"),
    };
    let mut path = format!("<{inside}>");
    while dice.once_in(8) {
        spoil(&mut path, dice);
    }
    path
}

/// Puts something in, or takes a character out.
fn spoil(path: &mut String, dice: &mut Dice) {
    let places: Vec<usize> = path.char_indices().map(|(at, _)| at).collect();
    let Some(at) = places.get(dice.below(places.len() as u64) as usize).copied() else { return };
    match dice.once_in(3) {
        true => {
            path.remove(at);
        }
        false => path.insert_str(at, dice.word(SPOILERS)),
    }
}

/// A reverse-path: nobody, one of ours, a stranger, or the account's own.
pub(super) fn sender(dice: &mut Dice, world: &World, connection: &Connection) -> String {
    if let Some(account) = connection.account.as_ref().filter(|_| !dice.once_in(5)) {
        return format!("<{}>", account.mailbox);
    }
    match dice.below(5) {
        0 => "<>".to_owned(),
        1 if !world.open.is_empty() => format!("<{}>", world.open.iter().next().expect("one")),
        2 => format!("<{}@{}>", local(dice, world), domain(dice, world)),
        3 => path(dice, world),
        _ => "<a@sender.test>".to_owned(),
    }
}
