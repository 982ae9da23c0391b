//! The way of a route: `smtp:host[:port]`, `lmtp:host:port`, `lmtp:/path`, `batch:name`, `mx`, `local`,
//! `error:5.1.2 text`. Next hops are read by the channel that owns them.

use iems_core::message::{ChannelId, EnhancedStatus, NextHop, Reply};
use iems_core::route::Via;
use iems_smtp::batch::CHANNEL;
use iems_smtp::client;
use toml::Spanned;
use toml::de::DeValue;

use super::problem::Notes;
use super::read::{FromToml, mismatch};

/// What a refusal says if the route does not.
const REFUSAL: &str = "mail for this domain is not taken here";

/// The way that a text means.
pub(crate) fn way(text: &str) -> Option<Via> {
    parse(text).ok()
}

fn parse(text: &str) -> Result<Via, &'static str> {
    if text == "local" {
        return Ok(Via::Local);
    }
    if let Some(refusal) = text.strip_prefix("error:") {
        return refuse(refusal);
    }
    if let Some(name) = text.strip_prefix("batch:") {
        let hop = (!name.is_empty()).then(|| NextHop::new(name)).ok_or("a name must follow batch:")?;
        return Ok(Via::Channel { channel: ChannelId::new(CHANNEL), hop: Some(hop) });
    }
    let way: client::Via = text.parse().map_err(|_| "")?;
    let channel = if matches!(way, client::Via::Lmtp(_)) { "lmtp" } else { "smtp" };
    Ok(Via::Channel { channel: ChannelId::new(channel), hop: way.next_hop() })
}

fn refuse(rest: &str) -> Result<Via, &'static str> {
    let (code, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let status: EnhancedStatus = code.parse().map_err(|_| "a status such as 5.1.2 must follow error:")?;
    let text = if text.trim().is_empty() { REFUSAL } else { text.trim() };
    match status.class() {
        2 => Err("the status must begin with 4 or 5"),
        class => Ok(Via::Refuse(Reply::new(if class == 4 { 450 } else { 550 }, status, text))),
    }
}

impl FromToml for Via {
    const EXPECTED: &'static str = "\"smtp:host\", \"smtp:host:port\", \"lmtp:host:port\", \"lmtp:/path\", \
                                    \"batch:name\", \"mx\", \"local\" or \"error:5.1.2 text\"";

    fn read(value: &Spanned<DeValue<'_>>, key: &str, notes: &mut Notes<'_>) -> Option<Self> {
        match value.get_ref().as_str().map(parse) {
            Some(Ok(via)) => return Some(via),
            Some(Err(why)) if !why.is_empty() => {
                notes.add(Some(&value.span()), key, format!("{key}: {why}; expected {}", Self::EXPECTED));
            }
            _ => mismatch::<Self>(value, key, notes),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways() {
        let to = |channel: &str, hop: Option<&str>| Via::Channel {
            channel: ChannelId::new(channel),
            hop: hop.map(iems_core::message::NextHop::new),
        };
        assert_eq!(parse("mx"), Ok(to("smtp", None)));
        assert_eq!(parse("local"), Ok(Via::Local));
        assert_eq!(parse("smtp:127.0.0.1:2526"), Ok(to("smtp", Some("[127.0.0.1]:2526"))));
        assert_eq!(parse("smtp:relay.example.org"), Ok(to("smtp", Some("relay.example.org:25"))));
        assert_eq!(parse("lmtp:/run/lmtp"), Ok(to("lmtp", Some("/run/lmtp"))));
        assert_eq!(parse("batch:branch"), Ok(to("batch", Some("branch"))));
        let no = Reply::new(550, EnhancedStatus::new(5, 1, 2), "no such domain");
        assert_eq!(parse("error:5.1.2 no such domain"), Ok(Via::Refuse(no)));
        for text in
            ["", "MX", "smtp", "smtp:", "smtp:a:b", "lmtp:", "batch:", "error:2.0.0 fine", "error:", "uucp:x"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
