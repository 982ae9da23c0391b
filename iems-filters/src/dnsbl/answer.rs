//! The answer: what the addresses that a list gave mean (RFC 5782 section 2.1). Pure.
//!
//! Only 127.0.0.0/8 counts: a resolver that answers every question with the address of its own
//! web page must not list the world. 127.255.255.0/24 is a list's way to refuse a question.

use std::net::{IpAddr, Ipv4Addr};

use super::List;

/// The most answers of one list that are looked at.
const MAX_ANSWERS: usize = 32;

/// What a list says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reading {
    /// It knows the peer.
    Listed {
        /// The scores of all that it says, added up.
        score: f32,
        /// Its answers with their names, for people.
        codes: String,
    },
    /// It knows the peer, by answers that its codes do not name; or it gave answers of no list.
    Meaningless(String),
    /// It would not answer.
    Refused(String),
}

/// Reads the addresses that `list` answered with.
pub(super) fn read(list: &List, addresses: &[IpAddr]) -> Reading {
    let mut answers: Vec<Ipv4Addr> = addresses.iter().filter_map(v4).take(MAX_ANSWERS).collect();
    answers.sort();
    answers.dedup();
    if let Some(refusal) = answers.iter().find(|answer| answer.octets()[..3] == [127, 255, 255]) {
        return Reading::Refused(format!("{refusal} ({})", why(*refusal)));
    }
    let meanings: Vec<_> = answers.iter().filter_map(|answer| meaning(list, *answer)).collect();
    if meanings.is_empty() {
        return Reading::Meaningless(words(addresses.iter().take(MAX_ANSWERS).map(IpAddr::to_string)));
    }
    let score = meanings.iter().map(|(_, score)| score).sum();
    Reading::Listed { score, codes: words(meanings.into_iter().map(|(words, _)| words)) }
}

fn v4(address: &IpAddr) -> Option<Ipv4Addr> {
    match address.to_canonical() {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    }
}

/// One answer in words, and its score; `None` if it says nothing.
fn meaning(list: &List, answer: Ipv4Addr) -> Option<(String, f32)> {
    if answer.octets()[0] != 127 {
        return None;
    }
    if list.codes().is_empty() {
        return Some((answer.to_string(), list.any()));
    }
    let codes: Vec<_> = list.codes().iter().filter(|code| code.answers.matches(answer)).collect();
    let names = words(codes.iter().map(|code| code.name.clone()));
    let score = codes.iter().map(|code| code.score).sum();
    (!codes.is_empty()).then(|| (format!("{answer} ({names})"), score))
}

/// What lists have agreed to mean by refusing.
fn why(refusal: Ipv4Addr) -> &'static str {
    match refusal.octets()[3] {
        252 => "there is no such list: a typing error in the zone?",
        254 => "it does not serve public resolvers",
        255 => "it was asked too often",
        _ => "it refused the question",
    }
}

fn words(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::{About, Code};
    use super::*;

    fn list() -> List {
        List::new("zen.example".parse().unwrap(), About::Address).unwrap().score(4.0)
    }

    fn coded() -> List {
        let code = |answers: &str, name: &str, score| Code {
            answers: answers.parse().unwrap(),
            name: name.into(),
            score,
        };
        list().code(code("127.0.0.2", "sbl", 3.0)).code(code("127.0.0.10-11", "pbl", 0.5))
    }

    fn reading(list: &List, answers: &[&str]) -> Reading {
        read(list, &answers.iter().map(|a| a.parse().unwrap()).collect::<Vec<IpAddr>>())
    }

    #[test]
    fn without_codes_any_answer_scores_once_for_each() {
        let listed = Reading::Listed { score: 4.0, codes: "127.0.0.2".into() };
        assert_eq!(reading(&list(), &["127.0.0.2", "127.0.0.2"]), listed);
    }

    #[test]
    fn codes_add_up_and_name_themselves() {
        let codes = "127.0.0.2 (sbl), 127.0.0.10 (pbl)".to_owned();
        let listed = Reading::Listed { score: 3.5, codes };
        assert_eq!(reading(&coded(), &["127.0.0.10", "127.0.0.2", "127.0.0.99"]), listed);
        assert_eq!(reading(&coded(), &["127.0.0.99"]), Reading::Meaningless("127.0.0.99".into()));
    }

    #[test]
    fn answers_of_no_list_mean_nothing() {
        for answer in ["192.0.2.1", "10.127.0.2", "::1", "2001:db8::127"] {
            assert_eq!(reading(&list(), &[answer]), Reading::Meaningless(answer.into()));
        }
    }

    #[test]
    fn a_refusal_outweighs_everything() {
        let refused = Reading::Refused("127.255.255.254 (it does not serve public resolvers)".into());
        assert_eq!(reading(&list(), &["127.0.0.2", "127.255.255.254"]), refused);
        assert!(matches!(reading(&list(), &["127.255.254.2"]), Reading::Listed { .. }));
    }
}
