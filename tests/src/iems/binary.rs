//! Finding the real binary: `IEMS_BIN` if it is set, else built once in each run, with the same profile.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The path of the `iems` program.
///
/// # Panics
/// If it cannot be built.
pub fn binary() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| std::env::var_os("IEMS_BIN").map_or_else(build, PathBuf::from))
}

fn build() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test");
    let folder = test.parent().expect("target/PROFILE, or deps in it");
    let folder = if folder.ends_with("deps") { folder.parent().expect("target/PROFILE") } else { folder };
    let folder = folder.to_owned();
    let lock = File::create(folder.join("iems-tests.lock")).expect("a lock in the target folder");
    lock.lock().expect("the lock");
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_default();
    let stamp = folder.join("iems-tests.built");
    let fresh = !run.is_empty() && std::fs::read_to_string(&stamp).is_ok_and(|last| last == run);
    if !fresh {
        compile(&folder);
        std::fs::write(&stamp, run).expect("a stamp in the target folder");
    }
    folder.join("iems")
}

fn compile(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo.args(["build", "--quiet", "--locked", "--workspace", "--bins"]).current_dir(root);
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    eprintln!("building iems; IEMS_BIN names one that is ready");
    let status = cargo.status().expect("cargo runs");
    assert!(status.success(), "cargo build failed");
}
