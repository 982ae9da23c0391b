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
fn custom_store() {
    says(env!("CARGO_BIN_EXE_custom_store"), &["rules hold", "after a restart: 17 octets"]);
}
