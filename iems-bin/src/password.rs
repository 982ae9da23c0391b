//! Passwords of our own making: easy to read aloud, hard to guess.

use crate::exit::Failure;

/// 32 characters, none of which can be mistaken for another.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789A";

/// Four groups of four characters: 80 bits.
pub(crate) fn fresh() -> Result<String, Failure> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|e| Failure::system(format!("no random numbers: {e}")))?;
    let groups =
        random.chunks(4).map(|group| group.iter().map(|b| char::from(ALPHABET[usize::from(b % 32)])));
    let groups: Vec<String> = groups.map(Iterator::collect).collect();
    Ok(groups.join("-"))
}
