//! The flags of sendmail, read as `getopt` does: values may stand in the same word, flags may be joined.

use std::path::PathBuf;

use iems_core::message::{Notify, Ret};

use crate::admin::queue::Filter;
use crate::exit::Failure;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mode {
    /// `-bm`
    Submit,
    /// `-bS`
    Batch,
    /// `-bs`
    Session,
    /// `-bv`
    Verify,
    /// `-bp`
    Queue,
    /// `-bi`
    Aliases,
    /// `-q`
    Retry(Box<Filter>),
}

/// Who hears of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tell {
    /// Who runs the program.
    Print,
    /// Nobody: the exit code says it.
    Quiet,
    /// The sender, by mail.
    Mail {
        /// The program ends well all the same.
        succeed: bool,
    },
}

/// A command line, understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Words {
    pub(super) mode: Mode,
    pub(super) from_header: bool,
    pub(super) ignore_dots: bool,
    pub(super) verbose: bool,
    pub(super) tell: Tell,
    pub(super) sender: Option<String>,
    pub(super) full_name: Option<String>,
    pub(super) notify: Option<Notify>,
    pub(super) ret: Option<Ret>,
    pub(super) id: Option<String>,
    pub(super) config: Option<PathBuf>,
    pub(super) recipients: Vec<String>,
}

/// Flags with a value.
const VALUED: &str = "ABCFLNORVXbefhopr";

impl Words {
    pub(super) fn read(words: Vec<String>) -> Result<Self, Failure> {
        let mut all = Self {
            mode: Mode::Submit,
            from_header: false,
            ignore_dots: false,
            verbose: false,
            tell: Tell::Print,
            sender: None,
            full_name: None,
            notify: None,
            ret: None,
            id: None,
            config: None,
            recipients: Vec::new(),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            match word.strip_prefix('-') {
                Some("-") => all.recipients.extend(words.by_ref()),
                Some(flags) if !flags.is_empty() => all.flags(flags, &mut words)?,
                _ => all.recipients.push(word),
            }
        }
        Ok(all)
    }

    fn flags(&mut self, flags: &str, words: &mut impl Iterator<Item = String>) -> Result<(), Failure> {
        let mut chars = flags.chars();
        while let Some(flag) = chars.next() {
            let rest = chars.as_str();
            if matches!(flag, 'q' | 'd' | 'M') {
                return self.attached(flag, rest, words);
            }
            if VALUED.contains(flag) {
                let value = if rest.is_empty() { words.next() } else { Some(rest.to_owned()) };
                let value = value.ok_or_else(|| Failure::usage(format!("-{flag} needs a value")))?;
                return self.valued(flag, value);
            }
            match flag {
                't' => self.from_header = true,
                'i' => self.ignore_dots = true,
                'v' => self.verbose = true,
                'I' => self.mode = Mode::Aliases,
                // Gateway submission, to me too, no aliases, initial user submission, logs: nothing here depends on them.
                'G' | 'm' | 'n' | 'U' | 'x' => {}
                _ => return Err(Failure::usage(format!("-{flag} is unknown; see `iems sendmail --help`"))),
            }
        }
        Ok(())
    }

    fn valued(&mut self, flag: char, value: String) -> Result<(), Failure> {
        match flag {
            'b' => self.mode = mode(&value)?,
            'f' | 'r' => self.sender = Some(value),
            'F' => self.full_name = Some(value),
            'C' => self.config = Some(value.into()),
            'N' => self.notify = Some(notify(&value)?),
            'R' => self.ret = Some(ret(&value)?),
            'V' => self.id = Some(id(value)?),
            'e' => self.tell = tell(&value)?,
            'o' => match value.split_at_checked(1) {
                Some(("i", "")) => self.ignore_dots = true,
                Some(("e", how)) => self.tell = tell(how)?,
                // -o7, -o8, -oA, -od, -om and the rest: docs/sendmail.md.
                _ => {}
            },
            // -A -B -L -O -X -h -p: docs/sendmail.md.
            _ => {}
        }
        Ok(())
    }

    /// Flags whose value, if any, is in the same word; but `-q I id` of some programs is in two.
    fn attached(
        &mut self,
        flag: char,
        rest: &str,
        words: &mut impl Iterator<Item = String>,
    ) -> Result<(), Failure> {
        match flag {
            'd' => return Ok(()),
            'M' => return Err(Failure::usage("-M is not known here: use -qI ID, or `iems queue`")),
            _ => {}
        }
        let Some((kind, value)) = rest.split_at_checked(1) else {
            self.mode = Mode::Retry(Box::default());
            return Ok(());
        };
        if kind.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Failure::usage(
                "-q with a time starts a daemon elsewhere: here the server has its schedule; use -q alone",
            ));
        }
        let value = if value.is_empty() { words.next().unwrap_or_default() } else { value.to_owned() };
        let bad = |what: &str| Failure::usage(format!("{value:?} is no {what}"));
        let mut filter = Filter::default();
        match kind {
            "I" => filter.ids = vec![value.parse().map_err(|_| bad("queue id"))?],
            "S" => filter.sender = Some(value),
            "R" => match value.split_once('@') {
                Some((local, _)) if !local.is_empty() => {
                    filter.recipient = Some(value.parse().map_err(|_| bad("address"))?);
                }
                _ => {
                    let domain = value.trim_start_matches('@').parse();
                    filter.domain = Some(domain.map_err(|_| bad("domain"))?);
                }
            },
            _ => {
                return Err(Failure::usage(
                    "after -q: nothing, I and a queue id, R and a domain or address, S and a sender",
                ));
            }
        }
        self.mode = Mode::Retry(Box::new(filter));
        Ok(())
    }
}

fn mode(value: &str) -> Result<Mode, Failure> {
    match value {
        "m" => Ok(Mode::Submit),
        "S" => Ok(Mode::Batch),
        "s" => Ok(Mode::Session),
        "v" => Ok(Mode::Verify),
        "p" => Ok(Mode::Queue),
        "i" => Ok(Mode::Aliases),
        "d" | "D" | "l" => Err(Failure::usage("-bd is a daemon elsewhere: use `iems serve`")),
        _ => Err(Failure::usage(format!("-b{value} is unknown; see `iems sendmail --help`"))),
    }
}

fn notify(value: &str) -> Result<Notify, Failure> {
    let mut notify = Notify::NEVER;
    if value.eq_ignore_ascii_case("never") {
        return Ok(notify);
    }
    for word in value.split(',').map(|word| word.trim().to_ascii_lowercase()) {
        match word.as_str() {
            "success" => notify.success = true,
            "failure" => notify.failure = true,
            "delay" => notify.delay = true,
            _ => return Err(Failure::usage("-N takes never, or some of success, failure, delay")),
        }
    }
    Ok(notify)
}

fn ret(value: &str) -> Result<Ret, Failure> {
    match value.to_ascii_lowercase().as_str() {
        "full" => Ok(Ret::Full),
        "hdrs" => Ok(Ret::Headers),
        _ => Err(Failure::usage("-R takes full or hdrs")),
    }
}

/// At most 100 characters of printable ASCII (RFC 3461 section 4.4).
fn id(value: String) -> Result<String, Failure> {
    let fits = (1..=100).contains(&value.len()) && value.bytes().all(|b| (b' '..=b'~').contains(&b));
    fits.then_some(value).ok_or_else(|| Failure::usage("-V takes up to 100 printable ASCII characters"))
}

fn tell(value: &str) -> Result<Tell, Failure> {
    match value {
        "m" => Ok(Tell::Mail { succeed: false }),
        "e" => Ok(Tell::Mail { succeed: true }),
        "q" => Ok(Tell::Quiet),
        // To a terminal of the user's: who runs the program is there.
        "p" | "w" => Ok(Tell::Print),
        _ => Err(Failure::usage("-oe takes m, e, q, p or w")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Words, Failure> {
        Words::read(line.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn what_programs_really_say_is_understood() {
        for line in [
            "-FCronDaemon -i -odi -oem -oi -t -f root",
            "-oi -oem -froot -- ann@x.example",
            "-i -f a@x.example ann@x.example",
            "-t -i",
            "-oem -oi ann@x.example",
            "-B8BITMIME -oi -N failure,delay -R hdrs -V id1 ann@x.example",
            "-Am -G -L tag -O DeliveryMode=b -U -X /dev/null -h 3 -o8 -oA/etc/aliases -m -n -d0 -vi ann@x.example",
        ] {
            let words = read(line).unwrap();
            assert_eq!((words.mode, words.ignore_dots), (Mode::Submit, true), "{line}");
        }
        let words = read("-FA -oem -froot -vt -- -x@y.example").unwrap();
        assert_eq!(words.full_name.as_deref(), Some("A"));
        assert_eq!(words.sender.as_deref(), Some("root"));
        assert_eq!(words.tell, Tell::Mail { succeed: false });
        assert!(words.from_header && words.verbose);
        assert_eq!(words.recipients, ["-x@y.example"]);
    }

    #[test]
    fn the_queue_runs_for_all_or_some() {
        assert_eq!(read("-q").unwrap().mode, Mode::Retry(Box::default()));
        let domain = |line| match read(line).unwrap().mode {
            Mode::Retry(filter) => filter.domain.map(|domain| domain.to_string()),
            mode => panic!("{mode:?}"),
        };
        for line in ["-qRx.example", "-qR x.example", "-qR@x.example"] {
            assert_eq!(domain(line).as_deref(), Some("x.example"), "{line}");
        }
        for line in
            ["-q15m", "-qX", "-qInot/an/id", "-qR", "-bd", "-bz", "-Z", "-f", "-N often", "-R some", "-oex"]
        {
            assert_eq!(read(line).unwrap_err().code, 64, "{line}");
        }
    }
}
