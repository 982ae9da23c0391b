//! What the documents say can be done, can be done.

use std::path::{Path, PathBuf};
use std::process::Command;

use iems_tests::iems::binary;
use iems_tests::process::run;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

#[test]
fn the_two_commands_of_the_readme_exist() {
    use std::os::unix::fs::PermissionsExt as _;
    let readme = text("README.md");
    let said = |command: &str| readme.lines().any(|line| line.trim() == command);
    assert!(
        said("cargo run --release -p iems-bin -- serve") && said("tests/run"),
        "the README lost a command"
    );
    // The same words for cargo, without waiting for an optimised build.
    let metadata = Command::new("cargo")
        .args(["metadata", "--format-version=1", "--no-deps"])
        .current_dir(root())
        .output();
    let metadata = String::from_utf8(metadata.expect("cargo").stdout).expect("text");
    assert!(metadata.contains("\"name\":\"iems-bin\"") && metadata.contains("\"name\":\"iems\""));
    for script in ["tests/run", ".ci/run"] {
        let mode = std::fs::metadata(root().join(script)).expect(script).permissions().mode();
        assert!(mode & 0o111 == 0o111, "{script} cannot be executed");
        run(Command::new("bash").arg("-n").arg(root().join(script)), b"").good();
    }
    assert!(text(".ci/run").contains("tests/run"));
    let help = run(Command::new(root().join("tests/run")).arg("--help"), b"").good();
    assert!(help.out.contains("tests/run"), "{}", help.out);
}

#[test]
fn every_command_that_the_documents_name_is_known() {
    let mut files = vec!["README.md".to_owned()];
    for entry in std::fs::read_dir(root().join("docs")).expect("docs") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            files.push(format!("docs/{name}"));
        }
    }
    let mut known = 0;
    for file in files {
        for words in text(&file).lines().filter_map(command) {
            let args: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
            let said = run(Command::new(binary()).args(&args), b"");
            assert!(said.code == 0, "{file} names `iems {}`: {}", words.join(" "), said.err);
            known += 1;
        }
    }
    assert!(known >= 2, "the documents name {known} commands only");
}

/// The subcommand of a line such as `    iems queue list --json`: the words before the first one that is
/// an option, an address or a number.
fn command(line: &str) -> Option<Vec<String>> {
    let line = line
        .strip_prefix("    ")
        .unwrap_or(line)
        .trim_start_matches("$ ")
        .trim_start_matches("target/release/");
    let rest = line.strip_prefix("iems ")?;
    let groups = ["domain", "account", "alias", "policy", "queue", "config", "store"];
    let mut words = rest.split_whitespace().filter(|word| !word.starts_with('-'));
    let first = words.next().filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))?;
    let second = words.next().filter(|_| groups.contains(&first));
    Some(std::iter::once(first).chain(second).map(str::to_owned).collect())
}
