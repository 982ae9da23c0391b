//! Every example runs, to its end, and says what its opening promises.

use std::process::Command;

fn says(program: &str, words: &[&str]) {
    let output = Command::new(program).output().expect("the example starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let trouble = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} failed:\n{said}{trouble}");
    for expected in words {
        assert!(said.contains(expected), "{program} did not say {expected:?}:\n{said}{trouble}");
    }
}

#[test]
fn custom_agent() {
    says(
        env!("CARGO_BIN_EXE_custom_agent"),
        &[
            "1 copy for ann@club.example",
            "1 copy for ben@club.example",
            "List-Id: <team.club.example>",
            "posts: 1",
        ],
    );
}

#[test]
fn custom_channel() {
    says(
        env!("CARGO_BIN_EXE_custom_channel"),
        &["ann@here.example\nben@there.example\n\nReceived:", "It arrived."],
    );
}

#[test]
fn custom_preprocessor() {
    says(
        env!("CARGO_BIN_EXE_custom_preprocessor"),
        &[
            "from a program: Ok",
            "from the web: 550 5.7.1",
            "decided: tag by the site rule",
            "Ann has 2 messages, 1 of them marked",
        ],
    );
}

#[test]
fn custom_store() {
    says(env!("CARGO_BIN_EXE_custom_store"), &["rules hold", "after a restart: 17 octets"]);
}

#[test]
fn embed_mailboxes() {
    says(
        env!("CARGO_BIN_EXE_embed_mailboxes"),
        &["* 1 EXISTS", "Subject: hello", "The first message.", "d OK", "+OK"],
    );
}

#[test]
fn embed_minimal() {
    says(
        env!("CARGO_BIN_EXE_embed_minimal"),
        &[
            "220 mx.here.example",
            "Return-Path: <ben@there.example>",
            "by mx.here.example",
            "The first message.",
        ],
    );
}

#[test]
fn personal_judge() {
    says(
        env!("CARGO_BIN_EXE_personal_judge"),
        &[
            "decided junk by the user rule",
            "ann@here.example INBOX: 1",
            "ann@here.example Junk: 1",
            "ben@here.example INBOX: 2",
        ],
    );
}

#[test]
fn simulate_a_week() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_simulate_a_week")).args(["7", "2"]).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("seed 7: every rule held"), "{said}");
    assert!(said.lines().filter(|line| line.starts_with("   ")).count() >= 2, "a line for each day:\n{said}");
}
