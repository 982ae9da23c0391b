//! `iems status`: what the server is doing, whether storage works, and what is refused if not.

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use serde_json::Value;

use super::output::{octets, printable, show, span};
use crate::admin::status::{CommitsAnswer, ConnectionsAnswer, StatusAnswer};
use crate::admin::status_of;
use crate::config;
use crate::exit::Failure;

/// What the server is doing, or that none runs.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  iems status\n  iems status --json | jq .room\n\nExit code 0 if the server runs and takes mail; 75 if it runs and is in trouble, or does not answer; 69 if none\nruns, 77 if it is not yours to ask. docs/operations.md says what each state means and what to do."
)]
pub(super) struct StatusArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub(super) fn run(self, file: Option<&Path>) -> Result<(), Failure> {
        let config = config::load(file)?.config;
        let mut status = status_of(&config)?;
        status.data = Some(config.data);
        show(&status, self.json, text)?;
        match (status.running, status.state.as_str()) {
            (true, "healthy") => Ok(()),
            (true, _) => Err(Failure::later(trouble(&status))),
            (false, _) => Err(Failure::unavailable("no server runs")),
        }
    }
}

fn trouble(status: &StatusAnswer) -> String {
    let reason = status.troubles.first().map_or("", |trouble| &trouble.reason);
    match (status.state.as_str(), reason) {
        ("silent", _) => "the server does not answer".into(),
        (state, "") => format!("the server is in trouble: {state}"),
        (state, reason) => format!("the server is in trouble: {state}: {}", printable(reason)),
    }
}

fn text(status: &StatusAnswer) -> String {
    let mut sheet = Sheet::default();
    sheet.line("server", &server(status));
    if let Some(problem) = &status.problem {
        sheet.line("problem", problem);
    }
    sheet.line("state", &state(status));
    for trouble in &status.troubles {
        sheet.line("", &format!("{} since {}: {}", trouble.state, trouble.since, trouble.reason));
    }
    for (label, path) in [("configuration", &status.configuration), ("data", &status.data)] {
        if let Some(path) = path {
            sheet.line(label, &path.display().to_string());
        }
    }
    storage(status, &mut sheet);
    if let Some(queue) = &status.queue {
        sheet.line("queue", &format!("{} workers", queue.workers));
    }
    if let Some(messages) = &status.messages {
        counters("since start", messages, &mut sheet);
    }
    if let Some(domains) = status.domains {
        sheet.line("domains", &domains.to_string());
    }
    for (at, listener) in status.listeners.iter().enumerate() {
        let told =
            |counted: &&ConnectionsAnswer| format!("{} {}", counted.protocol, counted.address) == *listener;
        let open = status.connections.iter().find(told);
        let open = open.map_or_else(String::new, |counted| format!(": {} open", counted.open));
        sheet.line(if at == 0 { "listeners" } else { "" }, &format!("{listener}{open}"));
    }
    sheet.text
}

fn server(status: &StatusAnswer) -> String {
    match (status.process, status.uptime) {
        (Some(process), Some(uptime)) => {
            format!("iems {}, running for {} as process {process}", status.version, span(uptime))
        }
        _ if status.running => "runs".into(),
        _ => format!("iems {}, no server runs", status.version),
    }
}

/// The state, and what it means for mail.
fn state(status: &StatusAnswer) -> String {
    let intake = match status.state.as_str() {
        "healthy" => "mail is taken",
        "slow" | "low" => "no messages from outside are taken",
        "memory" => "no connections and messages from outside are taken",
        "full" => "no messages are taken",
        "failing" => "no connections and messages are taken",
        "silent" => return "silent: the server does not answer".into(),
        _ => return status.state.clone(),
    };
    let deliveries = match status.delivering {
        Some(false) => "deliveries wait",
        _ => "deliveries go on",
    };
    let age = status.age.map_or_else(String::new, |age| format!(" for {}", span(age)));
    format!("{}{age}: {intake}, {deliveries}", status.state)
}

fn storage(status: &StatusAnswer, sheet: &mut Sheet) {
    if let Some(room) = &status.room {
        let (free, total, mark) = (octets(room.free), octets(room.total), octets(room.mark));
        let dead = octets(room.dead);
        sheet.line("room", &format!("{free} of {total}, low under {mark}; {dead} to be collected"));
    }
    if let Some(memory) = &status.memory {
        let mark = memory.mark.map_or_else(String::new, |mark| format!(", short over {}", octets(mark)));
        sheet.line("memory", &format!("{} of {}{mark}", octets(memory.used), octets(memory.most)));
    }
    if let Some(commits) = &status.commits {
        sheet.line("commits", &pace(commits));
    }
    if let Some(probes) = status.probes.as_ref().filter(|probes| probes.good + probes.failed > 0) {
        let next = probes.next.as_ref().map_or_else(String::new, |next| format!(", the next one at {next}"));
        sheet.line("probes", &format!("{} worked, {} failed{next}", probes.good, probes.failed));
    }
    if let Some(refused) = status.probes.as_ref().map(|probes| probes.refused).filter(|refused| *refused > 0)
    {
        sheet.line("refused", &format!("{refused} times because of trouble"));
    }
}

fn pace(commits: &CommitsAnswer) -> String {
    let mut said = match commits.count {
        0 => "none lately".to_owned(),
        count => format!(
            "{count} lately: half within {} ms, 99 % within {} ms, the longest {} ms",
            commits.p50, commits.p99, commits.longest
        ),
    };
    if commits.under_way > 0 {
        let (under_way, oldest) = (commits.under_way, commits.oldest);
        let _ = write!(said, "; {under_way} under way, the oldest for {oldest} ms");
    }
    said
}

/// Numbers and their names, as the server gave them; groups of numbers have lines of their own, unless all are zero.
fn counters(label: &str, messages: &Value, sheet: &mut Sheet) {
    let all = || messages.as_object().into_iter().flatten();
    let numbers = all().filter(|(name, number)| number.is_number() && *name != "workers");
    let numbers: Vec<String> =
        numbers.map(|(name, number)| format!("{number} {}", name.replace('_', " "))).collect();
    if !numbers.is_empty() {
        sheet.line(label, &numbers.join(", "));
    }
    let is_zero = |group: &Value| {
        group.as_object().is_some_and(|group| group.values().all(|number| number.as_u64() == Some(0)))
    };
    for (name, group) in all().filter(|(_, group)| group.is_object() && !is_zero(group)) {
        counters(&name.replace('_', " "), group, sheet);
    }
}

/// Lines with a label, within 80 columns.
#[derive(Default)]
struct Sheet {
    text: String,
}

impl Sheet {
    const LABEL: usize = 15;
    const WIDTH: usize = 80;

    fn line(&mut self, label: &str, text: &str) {
        let mut label = label;
        let mut line = String::new();
        for word in printable(text).split(' ') {
            if !line.is_empty() && Self::LABEL + line.chars().count() + 1 + word.chars().count() > Self::WIDTH
            {
                self.put(std::mem::take(&mut label), &line);
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.put(label, &line);
    }

    fn put(&mut self, label: &str, line: &str) {
        let _ = writeln!(self.text, "{label:<width$}{line}", width = Self::LABEL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::status::{RoomAnswer, TroubleAnswer};

    #[test]
    fn everything_is_within_80_columns_and_nothing_moves_the_cursor() {
        let reason =
            "room for 12 MiB, less than 256 MiB, said at some length\u{1b}[2J so that it has to be broken";
        let status = StatusAnswer {
            version: "1.2.3".into(),
            running: true,
            state: "low".into(),
            age: Some(7300),
            troubles: vec![TroubleAnswer {
                state: "low".into(),
                since: "2026-09-21T14:13:20.123Z".into(),
                reason: reason.into(),
            }],
            process: Some(4_194_304),
            uptime: Some(1_000_000),
            room: Some(RoomAnswer { free: 12 << 20, total: 40 << 30, dead: 5 << 30, mark: 256 << 20 }),
            commits: Some(CommitsAnswer {
                count: 123_456_789,
                p50: 16_384,
                p99: 65_536,
                longest: 61_234,
                under_way: 1000,
                oldest: 61_000,
            }),
            messages: Some(
                serde_json::json!({"accepted": 1_234_567_890, "refused": 1_234_567_890, "workers": 1,
                "delivered": 1_234_567_890, "deferred": 1_234_567_890, "failed": 1_234_567_890, "reported": {"failed": 3}, "nothing": {"x": 0}}),
            ),
            ..StatusAnswer::default()
        };
        let text = text(&status);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(
            text.contains("state          low for 2h: no messages from outside are taken, deliveries go on")
        );
        assert!(text.contains("room           12M of 40G, low under 256M; 5120M to be collected"), "{text}");
        assert!(text.contains("reported       3 failed\n") && !text.contains("nothing"), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains("1 workers"), "{text}");
    }
}
