//! Hashes that other servers made of passwords: those of crypt(3), and those that Dovecot and LDAP write with their scheme in front,
//! such as `{SSHA512}`. They are checked, and never made: whoever logs in with one gets one of ours for it.
//!
//! A hash says itself what it costs to check. Those that cost more than a login may are not taken.

use std::fmt::Write;
use std::num::NonZeroU32;

use argon2::password_hash::PasswordVerifier;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use iems_core::seam::ScramVerifier;
use md5::{Digest, Md5};
use ring::{digest, pbkdf2};
use subtle::ConstantTimeEq;

/// The longest hash, in octets.
pub(super) const LONGEST: usize = 512;
/// The most memory of Argon2 and yescrypt, in KiB.
const MEMORY: u32 = 1 << 20;
/// The most passes of Argon2.
const PASSES: u32 = 64;
/// The most rounds of what is cheap.
const ROUNDS: u32 = 10_000_000;
/// The greatest exponent of bcrypt: some seconds.
const BCRYPT: u32 = 16;

/// What a hash is, with its parts.
#[derive(Debug, PartialEq, Eq)]
enum Hash {
    /// `$argon2id$`, `$argon2i$`, `$argon2d$`.
    Argon2(String),
    /// `$5$`, `$6$`.
    Sha(String),
    /// `$2a$`, `$2b$`, `$2y$`.
    Bcrypt(String),
    /// `$y$`.
    Yescrypt(String),
    /// `$1$`: the salt and the rest.
    Md5 { salt: String, rest: String },
    /// One run, with a salt behind the password or without.
    Plain { by: By, sum: Vec<u8>, salt: Vec<u8> },
    /// RFC 8018, with SHA-1.
    Pbkdf2 { rounds: NonZeroU32, salt: Vec<u8>, sum: Vec<u8> },
    /// RFC 5803: the keys of SCRAM.
    Scram { sha1: bool, verifier: ScramVerifier },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Md5,
    Sha1,
    Sha256,
    Sha512,
}

impl By {
    fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn of(self, password: &[u8], salt: &[u8]) -> Vec<u8> {
        let by = match self {
            Self::Md5 => return Md5::new().chain_update(password).chain_update(salt).finalize().to_vec(),
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha512 => &digest::SHA512,
        };
        digest::digest(by, &[password, salt].concat()).as_ref().to_vec()
    }
}

/// What a line of another server's directory says about a password.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// The password itself.
    Clear(String),
    /// A hash of it, spelt as [`matches`] takes it, and the keys of SCRAM where it has them.
    Hashed(String, Option<ScramVerifier>),
}

/// Reads what stands in a passwd-file, in `/etc/shadow` or in `userPassword`.
///
/// # Errors
/// Why it cannot be taken.
pub(super) fn given(text: &str) -> Result<Given, String> {
    let text = text.trim();
    if text.len() > LONGEST {
        return Err(format!("the hash has more than {LONGEST} octets"));
    }
    if let Some(clear) = ["{PLAIN}", "{CLEAR}", "{CLEARTEXT}"].iter().find_map(|scheme| without(text, scheme))
    {
        return Ok(Given::Clear(clear.to_owned()));
    }
    let verifier = match read(text)? {
        Hash::Scram { sha1: false, verifier } => Some(verifier),
        _ => None,
    };
    // What says itself what it is needs no scheme.
    let bare = text.split_once('}').map_or(text, |(_, rest)| rest);
    let spelt = if bare.starts_with('$') && !is(text, "{PBKDF2}") { bare } else { text };
    Ok(Given::Hashed(spelt.to_owned(), verifier))
}

/// Whether a hash is one of [`given`] and not of our own making.
pub(super) fn is_foreign(hash: &str) -> bool {
    !hash.starts_with("$argon2id$")
}

/// Whether `password` has this hash, of ours or of others. Takes its time.
pub(super) fn matches(hash: &str, password: &[u8]) -> bool {
    match read(hash) {
        Ok(hash) => hash.matches(password),
        Err(_) => false,
    }
}

impl Hash {
    fn matches(&self, password: &[u8]) -> bool {
        match self {
            Self::Argon2(text) => Argon2::default().verify_password(password, text.as_str()).is_ok(),
            Self::Sha(text) => mcf(text)
                .is_some_and(|hash| sha_crypt::ShaCrypt::default().verify_password(password, hash).is_ok()),
            Self::Yescrypt(text) => {
                yescrypt::Yescrypt::default().verify_password(password, text.as_str()).is_ok()
            }
            // The C library ends a password at a zero octet; SASLprep lets none through.
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Self::Md5 { salt, rest } => {
                same(md5_crypt(password, salt.as_bytes()).as_bytes(), rest.as_bytes())
            }
            Self::Plain { by, sum, salt } => same(&by.of(password, salt), sum),
            Self::Pbkdf2 { rounds, salt, sum } => {
                pbkdf2::verify(pbkdf2::PBKDF2_HMAC_SHA1, *rounds, salt, password, sum).is_ok()
            }
            Self::Scram { sha1, verifier } => scram(*sha1, verifier, password),
        }
    }
}

fn mcf(text: &str) -> Option<&sha_crypt::PasswordHashRef> {
    sha_crypt::PasswordHashRef::new(text).ok()
}

fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

fn is(text: &str, scheme: &str) -> bool {
    without(text, scheme).is_some()
}

/// What stands behind a scheme, whatever the case of that.
fn without<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let head = text.get(..scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then(|| &text[scheme.len()..])
}

fn read(text: &str) -> Result<Hash, String> {
    let Some((scheme, rest)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) else {
        return crypt(text);
    };
    let scheme = scheme.to_ascii_uppercase();
    let (scheme, hex) = match scheme.rsplit_once('.') {
        Some((scheme, "HEX")) => (scheme, Some(true)),
        Some((scheme, "B64" | "BASE64")) => (scheme, Some(false)),
        _ => (&scheme[..], None),
    };
    let octets = |hex_is_usual: bool| match hex.unwrap_or(hex_is_usual) {
        true => from_hex(rest).ok_or_else(|| damaged(scheme)),
        false => STANDARD.decode(rest).map_err(|_| damaged(scheme)),
    };
    let plain = |by: By, salted: bool, hex_is_usual: bool| {
        let mut sum = octets(hex_is_usual)?;
        let fits = sum.len() == by.length() || salted && sum.len() > by.length();
        if !fits {
            return Err(damaged(scheme));
        }
        let salt = sum.split_off(by.length());
        Ok(Hash::Plain { by, sum, salt })
    };
    match scheme {
        "CRYPT" | "MD5-CRYPT" | "SHA256-CRYPT" | "SHA512-CRYPT" | "BLF-CRYPT" | "ARGON2" | "ARGON2I"
        | "ARGON2ID" => crypt(rest),
        "MD5" if rest.starts_with('$') => crypt(rest),
        "MD5" | "LDAP-MD5" => plain(By::Md5, false, false),
        "PLAIN-MD5" => plain(By::Md5, false, true),
        "SMD5" => plain(By::Md5, true, false),
        "SHA" | "SHA1" => plain(By::Sha1, false, false),
        "SSHA" => plain(By::Sha1, true, false),
        "SHA256" => plain(By::Sha256, false, false),
        "SSHA256" => plain(By::Sha256, true, false),
        "SHA512" => plain(By::Sha512, false, false),
        "SSHA512" => plain(By::Sha512, true, false),
        "PBKDF2" => pbkdf2_of(rest).ok_or_else(|| damaged(scheme)),
        "SCRAM-SHA-1" => scram_of(rest, true).ok_or_else(|| damaged(scheme)),
        "SCRAM-SHA-256" => scram_of(rest, false).ok_or_else(|| damaged(scheme)),
        _ => Err(format!(
            "the scheme {{{scheme}}} is not known here; known are those of crypt(3) but for DES, ARGON2ID, ARGON2I, SHA, SSHA, SHA256, \
             SSHA256, SHA512, SSHA512, SMD5, PLAIN-MD5, LDAP-MD5, PBKDF2, SCRAM-SHA-1, SCRAM-SHA-256 and PLAIN"
        )),
    }
}

fn damaged(scheme: &str) -> String {
    format!("it is no hash of the scheme {{{scheme}}}: copy it whole, with what stands in front of it")
}

/// What crypt(3) knows, by how it begins.
fn crypt(text: &str) -> Result<Hash, String> {
    let name = text.strip_prefix('$').and_then(|text| text.split('$').next()).unwrap_or_default();
    let bad = || damaged("CRYPT");
    let dear = || "it costs more to check than a login may: set a new password".to_owned();
    match name {
        "argon2id" | "argon2i" | "argon2d" => {
            let hash = PasswordHash::new(text).map_err(|_| bad())?;
            let params = Params::try_from(&hash).map_err(|_| bad())?;
            match params.m_cost() <= MEMORY && params.t_cost() <= PASSES && hash.hash.is_some() {
                true => Ok(Hash::Argon2(text.to_owned())),
                false => Err(dear()),
            }
        }
        "5" | "6" => {
            let rounds = text.split('$').nth(2).and_then(|field| field.strip_prefix("rounds="));
            let rounds = rounds.map_or(Ok(0), str::parse::<u32>).map_err(|_| bad())?;
            let fields = 3 + usize::from(text.contains("$rounds="));
            let length = if name == "5" { 43 } else { 86 };
            let whole = text.split('$').count() == fields + 1 && text.rsplit('$').next().is_some_and(|sum| sum.len() == length);
            match whole && mcf(text).is_some() {
                true if rounds > ROUNDS => Err(dear()),
                true => Ok(Hash::Sha(text.to_owned())),
                false => Err(bad()),
            }
        }
        "2a" | "2b" | "2y" => {
            let parts: bcrypt::HashParts = text.parse().map_err(|_| bad())?;
            match parts.get_cost() {
                ..=BCRYPT => Ok(Hash::Bcrypt(text.to_owned())),
                _ => Err(dear()),
            }
        }
        "y" => {
            let fields: Vec<_> = text.split('$').collect();
            let &[_, _, params, _, sum] = &fields[..] else { return Err(bad()) };
            match params.as_bytes() {
                // 2^(n + 1) blocks of r times 128 octets: at most 1 GiB.
                [b'j', n, r] if digit(*n).is_some_and(|n| n <= 17) && digit(*r).is_some_and(|r| r <= 31) => {
                    if sum.len() == 43 { Ok(Hash::Yescrypt(text.to_owned())) } else { Err(bad()) }
                }
                _ => Err(dear()),
            }
        }
        "1" => {
            let (salt, rest) = text[3..].split_once('$').ok_or_else(bad)?;
            let whole = rest.len() == 22 && salt.len() <= 8 && rest.bytes().all(|c| digit(c).is_some());
            if whole { Ok(Hash::Md5 { salt: salt.into(), rest: rest.into() }) } else { Err(bad()) }
        }
        "" if text.starts_with(['!', '*']) || text.is_empty() => {
            Err("it is no hash, but the mark of a user who has no password: set one".into())
        }
        "" => Err("it is no hash that is known here: those of DES are too weak to be taken over, set a new password".into()),
        _ => Err(format!("hashes of crypt(3) with ${name}$ are not known here: set a new password")),
    }
}

/// The digits of crypt(3).
const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn digit(c: u8) -> Option<usize> {
    DIGITS.iter().position(|digit| *digit == c)
}

/// `$1$salt$rounds$sum`, as Dovecot writes it.
fn pbkdf2_of(text: &str) -> Option<Hash> {
    let mut fields = text.strip_prefix("$1$")?.split('$');
    let (salt, rounds, sum) = (fields.next()?, fields.next()?, from_hex(fields.next()?)?);
    let rounds = rounds.parse::<NonZeroU32>().ok().filter(|rounds| rounds.get() <= ROUNDS)?;
    let whole = fields.next().is_none() && sum.len() == 20;
    whole.then(|| Hash::Pbkdf2 { rounds, salt: salt.as_bytes().to_vec(), sum })
}

/// `iterations,salt,StoredKey,ServerKey`, as Dovecot writes it.
fn scram_of(text: &str, sha1: bool) -> Option<Hash> {
    let mut fields = text.split(',');
    let iterations = fields.next()?.parse().ok().filter(|n| (1..=ROUNDS).contains(n))?;
    let mut octets = || STANDARD.decode(fields.next()?).ok();
    let (salt, stored_key, server_key) = (octets()?, octets()?, octets()?);
    let length = if sha1 { 20 } else { 32 };
    let whole = fields.next().is_none() && stored_key.len() == length && server_key.len() == length;
    whole
        .then_some(Hash::Scram { sha1, verifier: ScramVerifier { iterations, salt, stored_key, server_key } })
}

/// Whether a password has these keys (RFC 5802 section 3).
fn scram(sha1: bool, verifier: &ScramVerifier, password: &[u8]) -> bool {
    let (derive, by, mac) = match sha1 {
        true => (pbkdf2::PBKDF2_HMAC_SHA1, By::Sha1, ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        false => (pbkdf2::PBKDF2_HMAC_SHA256, By::Sha256, ring::hmac::HMAC_SHA256),
    };
    let Some(iterations) = NonZeroU32::new(verifier.iterations) else { return false };
    let mut salted = vec![0; by.length()];
    pbkdf2::derive(derive, iterations, &verifier.salt, password, &mut salted);
    let client_key = ring::hmac::sign(&ring::hmac::Key::new(mac, &salted), b"Client Key");
    same(&by.of(client_key.as_ref(), b""), &verifier.stored_key)
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

/// The sum of `$1$`, as FreeBSD made it up in 1994.
fn md5_crypt(password: &[u8], salt: &[u8]) -> String {
    let mut inner: [u8; 16] =
        Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize().into();
    let mut sum = Md5::new().chain_update(password).chain_update(b"$1$").chain_update(salt);
    for piece in password.chunks(16) {
        sum.update(&inner[..piece.len()]);
    }
    let mut bits = password.len();
    while bits > 0 {
        match (bits & 1, password.first()) {
            (0, Some(first)) => sum.update([*first]),
            _ => sum.update([0]),
        }
        bits >>= 1;
    }
    inner = sum.finalize().into();
    for round in 0..1000 {
        let mut sum = Md5::new();
        let (first, last): (&[u8], &[u8]) =
            if round % 2 == 1 { (password, &inner) } else { (&inner, password) };
        sum.update(first);
        if round % 3 != 0 {
            sum.update(salt);
        }
        if round % 7 != 0 {
            sum.update(password);
        }
        sum.update(last);
        inner = sum.finalize().into();
    }
    let mut text = String::with_capacity(22);
    let mut put = |value: u32, letters: u32| {
        for nth in 0..letters {
            // Six bits are an index into 64 digits.
            let _ = text.write_char(char::from(DIGITS[(value >> (6 * nth) & 63) as usize]));
        }
    };
    for at in 0..5 {
        let three = [inner[at], inner[at + 6], inner[if at == 4 { 5 } else { at + 12 }]];
        put(u32::from_be_bytes([0, three[0], three[1], three[2]]), 4);
    }
    put(u32::from(inner[11]), 2);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `doveadm pw` and crypt(3) made of one password.
    const MADE: [&str; 24] = [
        "{SHA512-CRYPT}$6$MlearH/.XZSowo2O$5MV3BYNPjO88BnHWSGSjB8qFTbLWIQPPeDVDf4Fl50in5zoXpFHhwfhZl8W7Tu1OVo9S2Q/t7KUq8t28GZU1e.",
        "{SHA256-CRYPT}$5$oIAvMGYu1mrQLeLf$yFYBOtREYy1oPZFolBgucySIxkGil/mtwgH2ukqK7o0",
        "{BLF-CRYPT}$2y$05$qIaH4T5u06LfJg6HCyg4ie7s6PRb4bg0Xsf14qyxu/zOP430WjMjm",
        "{MD5-CRYPT}$1$zIBEs80k$xxgtOaQDIxrXBX/px.Q67.",
        "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$fdKSfsW5N5MDQkNrwlRsxA$RFfV9hQSyb8jZyxMCZd3wD25BRnz/vrrLK/botlLXbA",
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$OysOLxhIfyK+kpCj4Nfizw$tPcir0x4aGTkNDTNl3mEIWJFtPRnhpE7PygQk1snLDo",
        "{SSHA}dVyq5QXv3VEL7gie4q9uRt1Y4LHLqgma",
        "{SSHA256}aaN0Va4/EjwvvfHilH7WYOm1PZKWwbqJ6cBmsC1teVicqqRR",
        "{ssha512}wnzLZg2n0NqP/iwCHFxpm9PgrEiAHkShyFI3tHSnFx/yMl6G/51nxNP1jpkyfoo8Vpc7pnXH6S/WRpYmi1iq5KCnkyY=",
        "{SHA}I7dElEdfX4dJgLdnbVEeI9iG2mQ=",
        "{SHA256}NHgme1YSeRtAmIkGs6eJfrarUB4EuV7TL5nQr99mnZw=",
        "{SHA512}KF3icbSeAO9oGc8Ku/AxXpfCXLo2FhZ8dw78Umxki03hH0sA3HH67TOjEse6g2kNPtFKqq32tiKqSJlv8H7IpA==",
        "{SMD5}zoJwIQiGiNMGMq3145wYJEuOBd0=",
        "{PLAIN-MD5}8e1843033a0f6ee52e2f618aa8ebbef4",
        "{LDAP-MD5}jhhDAzoPbuUuL2GKqOu+9A==",
        "{PBKDF2}$1$5ca6Va3c0d.fKor.$5000$66608c03f72f6ac5aef78377f78bd55d164b8ae6",
        "{SCRAM-SHA-256}4096,e9GDdfTLJydq2aa3OyBUmg==,kFXh0ztP86IH44O0ETzeIBVeY8sbQSHk9BpiyrsTVeQ=,2d4OD0vdbS3W4SsJlukAqCeZLtKBYZNGW7IBigY6WCM=",
        "{SCRAM-SHA-1}4096,NaoO28X1gY1e7xBkSPcfzw==,vn791e+kIW8R6kRgRYW+B1LpGYs=,vX3eDYkTwBD4o2xviCTRXGAmL2Q=",
        "{SSHA.HEX}bc0c72a7e4d51b426172c0218aafb9c9d0f82f14badb1584",
        "$y$j75$abcdefghijklmnop$NO31m2YqSdThWzu4ae1FSIXHpJT49zW0SAHq313UxI8",
        "$6$rounds=1000$saltsalt$GRg0cJEHso4LJZYmvs6cl1YziCrkl3pvdLeF58R.fERGV/fOgD8w6F4Ljko0wttVnHPN.v.Sy4JUmYierjxw6/",
        "$2a$04$abcdefghijklmnopqrstuum174eFeoTj0DHmtuueFaS3Wde4P7wHG",
        "$1$saltsalt$QgbQ7EUpcKNQTLgSVL4qr/",
        "{CRYPT}$2y$05$teb77eIIv/FMlcTHYsub7.qb1NM5t636Nvzx5CuWqShd1bnqZhThK",
    ];

    #[test]
    fn hashes_of_other_servers_are_checked() {
        for text in MADE {
            let Given::Hashed(hash, verifier) = given(text).expect(text) else { panic!("{text}") };
            assert!(matches(&hash, "pässword".as_bytes()), "{text} as {hash}");
            assert!(!matches(&hash, "pässwort".as_bytes()), "{text}");
            assert_eq!(verifier.is_some(), text.starts_with("{SCRAM-SHA-256}"), "{text}");
            assert_eq!(is_foreign(&hash), !text.starts_with("{ARGON2ID}"), "{text}");
        }
        assert_eq!(given("{plain}pässword\n").unwrap(), Given::Clear("pässword".into()));
    }

    #[test]
    fn what_is_no_hash_or_costs_too_much_is_named() {
        let why = |text: &str| given(text).expect_err(text);
        for text in MADE.into_iter().filter(|text| !text.starts_with("{SSHA")) {
            assert!(given(&text[..text.len() - 1]).is_err(), "{text}");
        }
        assert!(why("").contains("no password"));
        assert!(why("!$6$a$b").contains("no password") && why("*").contains("no password"));
        assert!(why("ab0123456789.").contains("DES"));
        assert!(why("$3$$8846f7eaee8fb117ad06bdd830b7586c").contains("$3$"));
        assert!(why("{CRAM-MD5}7dead29c").contains("{CRAM-MD5}"));
        assert!(why("{SSHA}AAAA").contains("copy it whole") && why("{SHA}?").contains("copy it whole"));
        assert!(why(&"x".repeat(513)).contains("512"));
        let sum = "a".repeat(86);
        assert!(why(&format!("$6$rounds=999999999$salt${sum}")).contains("costs more"));
        assert!(given(&format!("$6$rounds=x$salt${sum}")).is_err());
        assert!(why("$2a$31$abcdefghijklmnopqrstuum174eFeoTj0DHmtuueFaS3Wde4P7wHG").contains("costs more"));
        assert!(why(&format!("$y$jzz$abcd${}", &sum[..43])).contains("costs more"));
        let argon2 = "$argon2id$v=19$m=4000000,t=3,p=1$OysOLxhIfyK+kpCj4Nfizw$tPcir0x4aGTkNDTNl3mEIWJFtPRnhpE7PygQk1snLDo";
        assert!(why(argon2).contains("costs more"));
        assert!(given("{SCRAM-SHA-256}0,AA==,AA==,AA==").is_err());
        assert!(!matches("nonsense", b"") && !matches("", b""));
    }
}
