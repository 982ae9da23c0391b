//! The messages that mailboxes are filled with: plain ones of 10 KiB with words from a list, the same for every server.

use std::fmt::Write as _;

/// What is found in the last message of a mailbox, and nowhere else.
pub(super) const NEEDLE: &str = "zebra-needle";

/// Octets of a message.
pub(super) const SIZE: usize = 10_240;

/// Message `number` of `count`, about [`SIZE`] octets.
pub(super) fn message(number: usize, count: usize) -> Vec<u8> {
    let mut text = format!(
        "From: \"Person {p}\" <p{p}@loader.example>\r\nTo: <user@example.org>\r\nCc: <list{l}@example.org>\r\n\
         Subject: subject {} number {number}\r\nDate: Mon, 17 Nov 2025 10:{:02}:{:02} +0000\r\n\
         Message-ID: <{number:08}@loader.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
        word(number as u64),
        number / 60 % 60,
        number % 60,
        p = number % 97,
        l = number % 13,
    );
    let mut state = number as u64 + 1;
    let mut line = 0;
    while text.len() < SIZE - 80 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = word(state >> 33);
        line += word.len() + 1;
        let end = if line > 66 { "\r\n" } else { " " };
        line = if line > 66 { 0 } else { line };
        let _ = write!(text, "{word}{end}");
    }
    if number + 1 == count {
        text += NEEDLE;
    }
    text += "\r\n";
    text.into_bytes()
}

/// Gives a message another Message-ID: no two messages that people send are the same, and a server need not store twice what is.
pub(super) fn renumber(message: &mut [u8], number: usize) {
    const FIELD: &[u8] = b"Message-ID: <";
    let at = memchr::memmem::find(message, FIELD).expect("a field") + FIELD.len();
    message[at..at + 8].copy_from_slice(format!("{:08}", number % 100_000_000).as_bytes());
}

/// One of 4,000 words of two to eleven letters.
fn word(number: u64) -> String {
    let mut state = (number % 4000).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D;
    let length = 2 + (state >> 60) % 10;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + ((state >> 33) % 26) as u8)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_size_and_only_the_last_has_the_needle() {
        for (number, has) in [(0, false), (7, false), (9, true)] {
            let message = message(number, 10);
            assert!((SIZE - 100..=SIZE + 20).contains(&message.len()), "{}", message.len());
            assert_eq!(memchr::memmem::find(&message, NEEDLE.as_bytes()).is_some(), has);
        }
    }

    #[test]
    fn a_message_with_another_number_is_another_one_only_by_its_id() {
        let mut one = message(0, 2);
        let before = one.clone();
        renumber(&mut one, 12_345);
        assert_eq!(
            String::from_utf8(one).unwrap(),
            String::from_utf8(before).unwrap().replace("<00000000@", "<00012345@")
        );
    }
}
