//! `mailq`: what waits, in the form that scripts know from Postfix.

use std::fmt::Write as _;
use std::path::Path;

use crate::admin::ask;
use crate::admin::queue::{Filter, QueueAnswer};
use crate::admin::request::Request;
use crate::exit::Failure;

/// Messages asked for at a time.
const PAGE: usize = 1000;

/// Prints the queue.
pub(super) fn run(file: Option<&Path>) -> Result<(), Failure> {
    let (mut after, mut messages, mut octets) = (None, 0_u64, 0_u64);
    loop {
        let filter = Filter { limit: Some(PAGE), after: after.take(), ..Filter::default() };
        let page: Vec<QueueAnswer> = ask(file, Request::QueueList { filter })?;
        if messages == 0 && !page.is_empty() {
            println!("-Queue ID-                 --Size-- ----Arrival Time---- -Sender/Recipient-------");
        }
        for message in &page {
            messages += 1;
            octets += message.size;
            println!("{}", entry(message));
        }
        after = page.last().filter(|_| page.len() >= PAGE).map(|last| last.after.clone());
        if after.is_none() {
            break;
        }
    }
    match messages {
        0 => println!("Mail queue is empty"),
        n => {
            println!("-- {} Kbytes in {n} Request{}.", octets.div_ceil(1024), if n == 1 { "" } else { "s" })
        }
    }
    Ok(())
}

/// One message: `*` behind the id of one that is tried now, `!` behind one that is held.
fn entry(message: &QueueAnswer) -> String {
    let mark = match message.state.as_str() {
        "active" => "*",
        "held" => "!",
        _ => "",
    };
    let id = format!("{}{mark}", message.id);
    let sender = if message.sender.is_empty() { "MAILER-DAEMON" } else { &message.sender };
    let mut out = format!("{id:<27}{:>8} {:<20} {sender}\n", message.size, arrival(&message.arrived));
    let reason = message.last_reply.as_deref().or_else(|| message.waits.first().map(|why| why.text.as_str()));
    if let Some(reason) = reason {
        // Writing into a string cannot fail.
        let _ = writeln!(out, "({})", reason.replace(['\r', '\n'], " "));
    }
    for recipient in &message.recipients {
        let _ = writeln!(out, "{:57}{}", "", recipient.address);
    }
    out
}

fn arrival(rfc3339: &str) -> String {
    match rfc3339.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%a %b %e %H:%M:%S").to_string(),
        Err(_) => rfc3339.to_owned(),
    }
}
