//! Reading TOML into typed sections: a section is declared once, with its keys, types and defaults,
//! and from that declaration come the reader, its messages, and the check of `docs/config.md`.
//!
//! Pure: text in, values and problems out. Nothing here touches a file or the environment.

use std::ops::{Deref, Range};
use std::path::Path;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Notes, nearest};

/// A value and where it stands in the file; `span` is `None` for a default.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Its place, in octets.
    pub(crate) span: Option<Range<usize>>,
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A key of a section, as declared.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the check of the manual reads all of it, the reader only names")
)]
pub(crate) struct Key {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its default as it would stand in a file; `None` if there is none.
    pub(crate) default: Option<&'static str>,
    /// The keys inside, if it is a section or a list of sections.
    pub(crate) inner: &'static [Key],
    /// Whether it is a list of sections.
    pub(crate) many: bool,
}

/// A type that can stand in a configuration.
pub(crate) trait FromToml: Sized {
    /// What would be right, for messages: `a duration such as "30s" or "4h"`.
    const EXPECTED: &'static str;
    /// The keys, if it is a section.
    const KEYS: &'static [Key] = &[];
    /// Whether it is a list of sections.
    const MANY: bool = false;

    /// Reads the value of `key`; notes what is wrong and returns `None` if it cannot.
    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self>;
}

/// Notes that `value` is not what was expected.
pub(crate) fn mismatch<T: FromToml>(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) {
    notes.add(
        Some(&value.span()),
        key,
        format!("{key}: expected {}, found {}", T::EXPECTED, seen(value.get_ref())),
    );
}

/// A found value in words, short.
fn seen(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => {
            let short: String = text.chars().take(60).collect();
            format!("{short:?}{}", if text.chars().count() > 60 { "…" } else { "" })
        }
        DeValue::Integer(number) => format!("the integer {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(truth) => truth.to_string(),
        DeValue::Datetime(_) => "a date".into(),
        DeValue::Array(_) => "a list".into(),
        DeValue::Table(_) => "a section".into(),
    }
}

/// The table in `value`, after every key was found to be one of `keys`.
pub(crate) fn table<'v, 'i>(
    value: &'v Spanned<DeValue<'i>>,
    path: &str,
    keys: &[Key],
    notes: &mut Notes<'_>,
) -> Option<&'v DeTable<'i>> {
    let Some(table) = value.get_ref().as_table() else {
        let found = seen(value.get_ref());
        let double = matches!(value.get_ref(), DeValue::Array(_));
        let hint = if double { ", which a heading in double brackets begins" } else { "" };
        let message = format!("{path}: expected a section, [{path}], found {found}{hint}");
        notes.add(Some(&value.span()), path, message);
        return None;
    };
    unknown_keys(table, path, keys, notes);
    Some(table)
}

/// The keys of the file that are in no section. Behind the first heading of a section they are taken for keys of that one.
pub(super) const TOP: [&str; 6] = ["hostname", "data", "postmaster", "login_domain", "grace", "threads"];

/// Notes every key of `table` that is not one of `keys`, with the nearest that is.
fn unknown_keys(table: &DeTable<'_>, path: &str, keys: &[Key], notes: &mut Notes<'_>) {
    let valid: Vec<&str> = keys.iter().map(|key| key.name).collect();
    for key in table.keys() {
        let name: &str = key.get_ref();
        if valid.contains(&name) {
            continue;
        }
        let place = if path.is_empty() { "at the top level".to_owned() } else { format!("in [{path}]") };
        let near = match nearest(name, &valid) {
            _ if TOP.contains(&name) => {
                "it belongs at the top of the file, before the first section.".to_owned()
            }
            near => format!("did you mean {:?}?", near.unwrap_or_default()),
        };
        notes.add(
            Some(&key.span()),
            &below(path, name),
            format!("unknown key {name:?} {place}: {near} Valid keys: {}", valid.join(", ")),
        );
    }
}

/// The name of a key below a path.
pub(crate) fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The value of a key that has no default.
pub(crate) fn optional<T: FromToml>(
    table: &DeTable<'_>,
    path: &str,
    name: &str,
    notes: &mut Notes<'_>,
) -> Option<At<T>> {
    let value = table.get(name)?;
    let span = Some(value.span());
    T::read(value, &below(path, name), notes).map(|value| At { value, span })
}

/// The value of a key, or its default. The defaults are ours: one that cannot be read is a bug that
/// the first test of any kind shows.
pub(crate) fn defaulted<T: FromToml>(
    table: &DeTable<'_>,
    path: &str,
    name: &str,
    default: &str,
    notes: &mut Notes<'_>,
) -> At<T> {
    if let Some(found) = optional(table, path, name, notes) {
        return found;
    }
    let value = DeValue::parse(default).unwrap_or_else(|e| panic!("default of {path}.{name}: {e}"));
    let mut own = Notes::new(Path::new(""), default);
    match T::read(&value, name, &mut own) {
        Some(value) => At { value, span: None },
        None => panic!("default of {path}.{name}: {own:?}"),
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const KEYS: &'static [Key] = T::KEYS;
    const MANY: bool = true;

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        let Some(list) = value.get_ref().as_array() else {
            let found = seen(value.get_ref());
            let message = match T::KEYS.is_empty() {
                true => format!("{key}: expected a list of: {}, found {found}", T::EXPECTED),
                false => format!("{key}: expected sections that begin with [[{key}]], found {found}"),
            };
            notes.add(Some(&value.span()), key, message);
            return None;
        };
        let read = |item| T::read(item, key, notes);
        Some(list.iter().filter_map(read).collect())
    }
}

impl<T: FromToml> FromToml for At<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const KEYS: &'static [Key] = T::KEYS;

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        let span = Some(value.span());
        T::read(value, key, notes).map(|value| At { value, span })
    }
}

/// The value, or a note that the key is missing in its section, unless what stands there is noted already.
pub(super) fn need<T: Clone>(
    value: Option<At<T>>,
    name: &str,
    section: &str,
    span: &Option<Range<usize>>,
    notes: &mut Notes<'_>,
) -> Option<T> {
    let key = below(section, name);
    let start = span.as_ref().map_or(0, |span| span.start);
    if value.is_none() && !notes.has(&key, start) {
        let place = if section.is_empty() { "the file".to_owned() } else { format!("[[{section}]]") };
        notes.add(span.as_ref(), &key, format!("{place} needs the key {name:?}"));
    }
    value.map(|at| at.value)
}

/// Notes a time of nothing.
pub(super) fn positive(time: &At<Duration>, key: &str, notes: &mut Notes<'_>) {
    if time.is_zero() {
        notes.expected(time.span.as_ref(), key, "a duration longer than nothing, such as \"10s\"");
    }
}

/// Declares sections: `key: Type;` may be left out, `key: Type = "default in TOML";` always has a value.
macro_rules! section {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $field:ident : $ty:ty $(= $default:literal)?; )* } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub(crate) struct $name { $( $(#[$doc])* pub(crate) $field: section!(@type $ty $(, $default)?), )* }

        impl $crate::config::read::FromToml for $name {
            const EXPECTED: &'static str = "a section";
            const KEYS: &'static [$crate::config::read::Key] = &[ $( $crate::config::read::Key {
                name: stringify!($field),
                default: section!(@default $($default)?),
                inner: <$ty as $crate::config::read::FromToml>::KEYS,
                many: <$ty as $crate::config::read::FromToml>::MANY,
            }, )* ];

            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                path: &str,
                notes: &mut $crate::config::problem::Notes<'_>,
            ) -> Option<Self> {
                let table = $crate::config::read::table(value, path, Self::KEYS, notes)?;
                Some(Self { $( $field: section!(@read table, path, stringify!($field), notes $(, $default)?), )* })
            }
        }
    )* };
    (@type $ty:ty) => { Option<$crate::config::read::At<$ty>> };
    (@type $ty:ty, $default:literal) => { $crate::config::read::At<$ty> };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    (@read $table:expr, $path:expr, $name:expr, $notes:expr) => {
        $crate::config::read::optional($table, $path, $name, $notes)
    };
    (@read $table:expr, $path:expr, $name:expr, $notes:expr, $default:literal) => {
        $crate::config::read::defaulted($table, $path, $name, $default, $notes)
    };
}

pub(crate) use section;
