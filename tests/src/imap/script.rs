//! Scripts: what several clients say to an IMAP server, and what each of them has to hear.
//!
//! ```text
//! needs CONDSTORE QRESYNC   capabilities without which the script is skipped
//! messages 3                so many are put into {box} before
//! 1 SELECT {box}            the first client says it; « and » enclose a literal
//! * 3 EXISTS                is told, in any order
//! ! * 4 EXISTS              is not told
//! = OK [READ-WRITE]         how it ends
//! 2 IDLE                    until the server waits: `= +`
//! 2 ~                       waits until the following is told
//! 1 a NOOP | b NOOP         sent at once; tagged by the client itself: `a OK`, `b OK`
//! # comment
//! ```
//! `{box}` is a mailbox of the script's own, `{sep}` the delimiter, `{user}` and `{other}` are who clients 1 to 8 and client 9 are;
//! for other names, see `words.rs`.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;

use super::client::{Answer, Client};
use super::words::{Names, Word, filled, fits, words};

/// A server to play scripts to.
pub struct Server<'a> {
    /// Where it is.
    pub at: SocketAddrV4,
    /// Who clients are, but for the last one.
    pub user: &'a str,
    /// Who client 9 is.
    pub other: &'a str,
}

/// How a script went.
#[derive(Debug, PartialEq, Eq)]
pub enum Played {
    /// All was as it should be; so many steps.
    Well(usize),
    /// The server lacks this capability.
    Skipped(String),
}

/// Plays a script that is called `name`.
///
/// # Errors
/// What was said, and what should have been.
pub fn play(name: &str, text: &str, server: &Server<'_>) -> Result<Played, String> {
    let mut play = Play::new(name, server);
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at];
        at += 1;
        let place = |why: String| format!("{name}, line {at}: {line}\n  {why}");
        let (mark, rest) = line.split_once(' ').unwrap_or((line, ""));
        match mark {
            "" | "#" => {}
            "needs" => {
                if let Some(missing) = play.missing(rest) {
                    return Ok(Played::Skipped(missing));
                }
            }
            "messages" => play.fill(rest.parse().map_err(|_| place("how many?".into()))?),
            _ => {
                let Ok(number) = mark.parse() else { return Err(place("not a step".into())) };
                let wanted = Wanted::of(&lines[at..]);
                play.heard.clear();
                if let Err(why) = play.step(number, rest, &wanted) {
                    return Err(place(format!("{why}; heard {:?}", play.heard)));
                }
                at += wanted.lines;
            }
        }
    }
    play.clean();
    Ok(Played::Well(play.steps))
}

/// The words of a pattern; what is between « and » is a literal.
fn pattern(text: &str) -> Vec<Word> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('«') {
        let (literal, behind) = behind.split_once('»').unwrap_or((behind, ""));
        let literal = crate::dialogue::octets(literal);
        octets.extend_from_slice(format!("{before}{{{}}}\r\n", literal.len()).as_bytes());
        octets.extend_from_slice(&literal);
        rest = behind;
    }
    octets.extend_from_slice(rest.as_bytes());
    words(&octets)
}

/// What has to follow a step.
struct Wanted<'a> {
    told: Vec<&'a str>,
    untold: Vec<&'a str>,
    end: Option<&'a str>,
    lines: usize,
}

impl<'a> Wanted<'a> {
    fn of(lines: &[&'a str]) -> Self {
        let mut wanted = Self { told: Vec::new(), untold: Vec::new(), end: None, lines: 0 };
        for line in lines {
            match line.split_once(' ') {
                Some(("*", rest)) => wanted.told.push(rest),
                Some(("!", rest)) => wanted.untold.push(rest.strip_prefix("* ").unwrap_or(rest)),
                Some(("=", rest)) => wanted.end = Some(rest),
                _ => break,
            }
            wanted.lines += 1;
        }
        wanted
    }
}

struct Play<'a> {
    server: &'a Server<'a>,
    clients: BTreeMap<u32, Client>,
    /// The tags of `IDLE` that go on.
    idle: BTreeMap<u32, String>,
    names: Names,
    steps: usize,
    /// What was told since the last step.
    heard: Vec<String>,
}

impl<'a> Play<'a> {
    fn new(name: &str, server: &'a Server<'a>) -> Self {
        let own = [("box", name), ("user", server.user), ("other", server.other)];
        let names = own.into_iter().map(|(name, is)| (name.to_owned(), is.to_owned())).collect();
        let mut play = Self {
            server,
            clients: BTreeMap::new(),
            idle: BTreeMap::new(),
            names,
            steps: 0,
            heard: Vec::new(),
        };
        let told = play.client(0).must("LIST \"\" \"\"");
        let delimiter = told.iter().find_map(|answer| match &answer.words()[..] {
            [_, _, Word::Text(delimiter), ..] => Some(delimiter.clone()),
            _ => None,
        });
        play.names.insert("sep".into(), delimiter.expect("a delimiter"));
        play.clean();
        play.client(0).must(&format!("CREATE {name}"));
        play
    }

    fn client(&mut self, number: u32) -> &mut Client {
        let user = if number == 9 { self.server.other } else { self.server.user };
        let at = self.server.at;
        self.clients.entry(number).or_insert_with(|| Client::login(at, user))
    }

    /// Removes the script's mailboxes, and what it subscribed to.
    fn clean(&mut self) {
        let name = self.names["box"].clone();
        for list in ["LIST", "LSUB"] {
            let told = self.client(0).must(&format!("{list} \"\" {name}*"));
            for answer in told.iter().rev() {
                if let [Word::Atom(kind), _, _, Word::Atom(path) | Word::Text(path)] = &answer.words()[..]
                    && kind == list
                {
                    let verb = if list == "LIST" { "DELETE" } else { "UNSUBSCRIBE" };
                    let client = self.client(0);
                    let tag = client.send(&format!("{verb} \"{path}\""));
                    client.finish(&tag);
                }
            }
        }
    }

    fn missing(&mut self, needed: &str) -> Option<String> {
        let told = self.client(0).must("CAPABILITY");
        let there: Vec<Word> = told.iter().flat_map(Answer::words).collect();
        let has = |name: &&str| {
            there.iter().any(|word| matches!(word, Word::Atom(word) if word.eq_ignore_ascii_case(name)))
        };
        needed.split(' ').find(|name| !has(name)).map(str::to_owned)
    }

    fn fill(&mut self, count: u32) {
        let name = self.names["box"].clone();
        for number in 1..=count {
            let text = format!(
                "From: Ann <ann@example.org>\\r\\nTo: bob@example.net\\r\\nSubject: Number {number}\\r\\n\
                 Date: Mon, {number:02} Jan 2024 10:00:00 +0000\\r\\nMessage-ID: <{number}@x>\\r\\n\\r\\nThis is {number}.\\r\\n"
            );
            self.client(0).must(&format!("APPEND {name} «{text}»"));
        }
    }

    fn step(&mut self, number: u32, said: &str, wanted: &Wanted<'_>) -> Result<(), String> {
        self.steps += 1;
        let said = filled(said, &self.names);
        let mut open: Vec<&str> = wanted.told.clone();
        if said == "~" {
            while !open.is_empty() {
                let answer = self.client(number).hear().map_err(|e| format!("{open:?} is not told: {e}"))?;
                self.note(&answer, &mut open, wanted)?;
            }
            return Ok(());
        }
        if said.contains(" | ") {
            return self.at_once(number, &said, open, wanted);
        }
        let (tag, idle) = match said.as_str() {
            "DONE" => {
                self.client(number).say(b"DONE\r\n");
                (self.idle.remove(&number).ok_or("no IDLE goes on")?, false)
            }
            said => (self.client(number).send(said), said.eq_ignore_ascii_case("IDLE")),
        };
        let end = loop {
            let answer = self.client(number).hear().map_err(|e| format!("no answer: {e}"))?;
            if answer.tag == tag || (idle && answer.tag == "+") {
                break answer;
            }
            self.note(&answer, &mut open, wanted)?;
        };
        if idle && end.tag == "+" {
            self.idle.insert(number, tag);
        }
        self.ended(wanted.end.unwrap_or("OK"), &end)?;
        match open.is_empty() {
            true => Ok(()),
            false => Err(format!("{open:?} is not told")),
        }
    }

    /// Commands with tags of their own, in one piece.
    fn at_once(
        &mut self,
        number: u32,
        said: &str,
        mut open: Vec<&str>,
        wanted: &Wanted<'_>,
    ) -> Result<(), String> {
        let lines: Vec<&str> = said.split(" | ").collect();
        self.client(number).say(format!("{}\r\n", lines.join("\r\n")).as_bytes());
        let ends = wanted.end.ok_or("say how each of them ends")?;
        for end in ends.split(" | ") {
            let (tag, end) = end.split_once(' ').unwrap_or((end, "OK"));
            loop {
                let answer = self.client(number).hear().map_err(|e| format!("no answer: {e}"))?;
                if answer.tag != "*" {
                    if answer.tag != tag {
                        return Err(format!("{tag} is not answered, but {}", answer.tag));
                    }
                    self.ended(end, &answer)?;
                    break;
                }
                self.note(&answer, &mut open, wanted)?;
            }
        }
        match open.is_empty() {
            true => Ok(()),
            false => Err(format!("{open:?} is not told")),
        }
    }

    fn ended(&mut self, wanted: &str, end: &Answer) -> Result<(), String> {
        let said = String::from_utf8_lossy(&end.octets).into_owned();
        if wanted == "+" {
            return if end.tag == "+" { Ok(()) } else { Err(format!("ended with {said}")) };
        }
        let (wanted, words) = (words(filled(wanted, &self.names).as_bytes()), end.words());
        let some = words.get(..wanted.len()).unwrap_or_default();
        match fits(&wanted, some, &mut self.names) {
            true => Ok(()),
            false => Err(format!("ended with {said}")),
        }
    }

    /// Takes what was told off the list, if it is on it.
    fn note(&mut self, answer: &Answer, open: &mut Vec<&str>, wanted: &Wanted<'_>) -> Result<(), String> {
        let said = answer.words();
        self.heard.push(String::from_utf8_lossy(&answer.octets).into_owned());
        for untold in &wanted.untold {
            let mut names = self.names.clone();
            if fits(&pattern(untold), &said, &mut names) {
                return Err(format!("told: {}", String::from_utf8_lossy(&answer.octets)));
            }
        }
        let names = &mut self.names;
        if let Some(at) = open.iter().position(|wanted| fits(&pattern(wanted), &said, names)) {
            open.remove(at);
        }
        Ok(())
    }
}
