//! Programs whose Debian packages cannot be installed beside Postfix: unpacked into the tests' cache, and run in a mount
//! namespace of their own, in which their files, users and folders are where they expect them. The machine sees nothing of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::iems::open_to_all;
use crate::process::{command, need};

/// A place where one such program runs.
#[derive(Debug)]
pub(super) struct Apart {
    dir: TempDir,
    package: PathBuf,
}

impl Apart {
    /// A place for a program of `package`, with these users in it: name and number.
    ///
    /// # Panics
    /// If the package is not in the cache, or the story does not run as root.
    pub(super) fn new(package: &str, users: &[(&str, u32)]) -> Self {
        assert!(
            rustix::process::getuid().is_root(),
            "{package} starts as root only: run the stories as root"
        );
        let unpacked = crate::cache().join("peers").join(package);
        assert!(
            unpacked.join("usr").is_dir(),
            "{} is missing: `tests/run --peers` unpacks the Debian package `{package}` there",
            unpacked.display()
        );
        let dir = TempDir::with_prefix(format!("{package}-")).expect("a temporary folder");
        open_to_all(dir.path());
        let apart = Self { dir, package: unpacked };
        for folder in ["etc", "lib", "spool", "run", "mail", "log"] {
            apart.folder(folder, None);
        }
        for (file, line) in [("passwd", passwd as fn(&str, u32) -> String), ("group", group)] {
            let system = std::fs::read_to_string(format!("/etc/{file}")).expect("a file of the system");
            let ours: String = users.iter().map(|(name, id)| line(name, *id)).collect();
            apart.write(&format!("etc/{file}"), &format!("{}\n{ours}", system.trim_end()));
        }
        apart
    }

    /// The path of a file or folder of this place, as everybody sees it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The place itself.
    pub(super) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Makes a folder, for a user if one is named.
    pub(super) fn folder(&self, name: &str, owner: Option<u32>) {
        let path = self.path(name);
        std::fs::create_dir_all(&path).expect("a folder");
        if let Some(owner) = owner {
            std::os::unix::fs::chown(&path, Some(owner), Some(owner)).expect("our own folder");
        }
    }

    /// Writes a file.
    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("a file in the story's folder");
    }

    /// The command that runs `program` there: `/etc` and `/var/lib` with our files over the machine's, `/usr` with the package's,
    /// `/run` and `/var/spool` of its own.
    pub(super) fn command(&self, program: &str, args: &[&str]) -> Command {
        let (dir, package) = (self.dir.path().display(), self.package.display());
        let script = format!(
            "set -e\nover() {{ mount -t overlay overlay -o \"lowerdir=$1:$2\" \"$2\"; }}\n\
             over {dir}/etc /etc\nover {dir}/lib /var/lib\nover {package}/usr /usr\n\
             mount --bind {dir}/spool /var/spool\nmount --bind {dir}/run /run\nexec \"$@\"\n"
        );
        let mut unshare = command(&need("unshare", "util-linux"), ["--mount", "--propagation", "private"]);
        unshare.args(["sh", "-c", &script, "sh", program]).args(args);
        unshare
    }
}

fn passwd(name: &str, id: u32) -> String {
    format!("{name}:x:{id}:{id}::/:/usr/sbin/nologin\n")
}

fn group(name: &str, id: u32) -> String {
    format!("{name}:x:{id}:\n")
}
