//! The services that accounts log in for, by the words that servers have for themselves.

use std::str::FromStr;

/// All of them.
pub(crate) const ALL: [&str; 3] = ["smtp", "pop3", "imap"];

/// A service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Service(pub(crate) &'static str);

impl FromStr for Service {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = ALL.into_iter().find(|name| *name == text);
        known.map(Self).ok_or_else(|| format!("expected services such as {}", ALL.join(",")))
    }
}

/// Services, or a word for all or none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Services(pub(crate) Vec<String>);

impl FromStr for Services {
    type Err = String;

    /// `all`, `none`, or services with commas between.
    fn from_str(text: &str) -> Result<Self, String> {
        let all = || ALL.into_iter().map(|name| Ok(Service(name))).collect::<Vec<_>>();
        let list: Vec<Result<Service, String>> = match text {
            "all" => all(),
            "none" => Vec::new(),
            list => list.split(',').map(str::parse).collect(),
        };
        let list = list.into_iter().map(|service| service.map(|service| service.0.to_owned()));
        list.collect::<Result<_, _>>().map(Self).map_err(|why| format!("{why}, or all, or none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_listed_or_all_or_none() {
        let of = |text: &str| text.parse::<Services>().map(|services| services.0);
        assert_eq!(of("all").unwrap(), ALL);
        assert_eq!(of("none").unwrap(), [""; 0]);
        assert_eq!(of("pop3,smtp").unwrap(), ["pop3", "smtp"]);
        assert!(of("pop3,ftp").unwrap_err().contains("smtp,pop3,imap, or all, or none"));
        assert!(of("").is_err());
    }
}
