//! A week of an engine in some seconds: far systems that fail, storage that stalls, crashes, an operator; the same week for
//! the same seed.
//!
//! Run it with `cargo run --bin simulate_a_week -- [SEED] [DAYS] [--minutes | --nodes] [--trace]`. It prints the numbers of each day,
//! and whether every rule held. `--minutes` plays one of the short worlds of the tests instead, `--nodes` one with two
//! engines on one store; `--trace` shows the last lines of what happened. The exit code is 1 if a rule was broken.

use std::error::Error;
use std::process::ExitCode;

use iems_core::sim::{Plan, Report, simulate};

const USAGE: &str = "usage: simulate_a_week [SEED] [DAYS] [--minutes | --nodes] [--trace]";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (flags, numbers): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let (mut short, mut trace) = (None, false);
    for flag in &flags {
        match flag.as_str() {
            "--minutes" => short = Some(Plan::minutes()),
            "--nodes" => short = Some(Plan::nodes()),
            "--trace" => trace = true,
            other => return Err(format!("{other} is not known; {USAGE}").into()),
        }
    }
    let mut numbers =
        numbers.iter().map(|number| number.parse::<u32>().map_err(|e| format!("{number}: {e}; {USAGE}")));
    let seed = numbers.next().transpose()?.unwrap_or(1);
    let days = numbers.next().transpose()?.unwrap_or(7);
    let plan = short.unwrap_or_else(|| Plan::days(days));
    let report = simulate(seed.into(), &plan)?;
    show(&report, trace);
    Ok(ExitCode::from(u8::from(report.violation.is_some())))
}

fn show(report: &Report, trace: bool) {
    if trace || report.violation.is_some() {
        report.trace.iter().for_each(|line| println!("{line}"));
    }
    println!(
        " day  accepted delivered   bounced    purged  deferred   reports  repeated    queued      ends"
    );
    for day in &report.days {
        let t = &day.tally;
        println!(
            "{:4}{:10}{:10}{:10}{:10}{:10}{:10}{:10}{:10}{:10}",
            day.day,
            t.accepted,
            t.delivered,
            t.bounced,
            t.purged,
            t.deferred,
            t.reports,
            t.repeated,
            day.queued,
            t.ends
        );
    }
    let hours = report.elapsed.as_secs() / 3600;
    match &report.violation {
        None => println!(
            "seed {}: every rule held for {hours} hours; fingerprint {:016x}",
            report.seed, report.fingerprint
        ),
        Some(violation) => println!("seed {}: broken after {hours} hours: {violation}", report.seed),
    }
}
