//! A full disk and failing syncs give 4xx; nothing accepted is lost, and service returns by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use iems_tests::iems::Iems;
use iems_tests::pop3::{Pop3, read_all, wait_all};
use iems_tests::process::run;
use iems_tests::smtp::{Reply, Smtp, letter};
use iems_tests::wait::{secs, wait_for};

const ANN: &str = "ann@example.test";

/// A small file system in memory.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path) -> Self {
        std::fs::create_dir_all(at).expect("a folder");
        let args = ["-t", "tmpfs", "-o", "size=512m,mode=0700", "tmpfs"];
        let said = run(Command::new("mount").args(args).arg(at), b"");
        assert!(said.code == 0, "this story needs the right to mount a tmpfs (root): {}", said.err);
        Self(at.to_owned())
    }

    /// Fills it to the last octet.
    fn fill(&self) {
        let octets = vec![b'x'; 512 << 20];
        // The error is the point: there is no space for all of it.
        let _ = std::fs::write(self.0.join("filler"), octets);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("the filler");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0), b"");
    }
}

fn try_one(site: &Iems, name: &str, size: usize) -> Reply {
    let mut smtp = Smtp::connect(site.at("smtp"));
    smtp.must("EHLO client.example.test", 250);
    let mut text = letter("c@example.com", ANN, name);
    text.extend(b"a line that takes space\r\n".repeat(size / 25));
    smtp.send("c@example.com", &[ANN], &text).expect("a reply")
}

#[test]
fn a_full_disk_is_a_temporary_failure() {
    let mut site = Iems::new();
    let disk = Disk::mount(&site.dir.path().join("data"));
    site.accounts(&[ANN]);
    site.start();
    let mut accepted = 0;
    for n in 0..5 {
        assert_eq!(try_one(&site, &format!("before{n}"), 100_000).code, 250);
        accepted += 1;
    }
    wait_all(site.at("pop3"), ANN, "secret", accepted);
    disk.fill();
    // What the server has reserved for itself may still take some.
    let mut refused = 0;
    for n in 0..80 {
        let reply = try_one(&site, &format!("full{n}"), 4_000_000);
        assert!(reply.code == 250 || reply.code / 100 == 4, "{reply:?}");
        if reply.code == 250 {
            accepted += 1;
        } else {
            refused += 1;
        }
        if refused == 5 {
            break;
        }
    }
    assert_eq!(refused, 5, "320 MB fit on a full disk");
    // Readers keep working.
    assert!(Pop3::connect(site.at("pop3")).command("CAPA").is_ok());
    disk.free();
    wait_for("service to return by itself", secs(20), || {
        let reply = try_one(&site, "after", 100_000);
        std::thread::sleep(std::time::Duration::from_millis(100));
        (reply.code == 250).then_some(())
    });
    wait_all(site.at("pop3"), ANN, "secret", accepted + 1);
    site.stop();
    site.start();
    assert_eq!(read_all(site.at("pop3"), ANN, "secret").len(), accepted + 1);
    drop(site);
}

#[test]
fn failing_syncs_are_temporary_failures() {
    let mut site = Iems::with_accounts(&[ANN]);
    // strace lets the kernel answer EIO to some syncs of each thread, as a failing disk does. With -D the
    // server stays our own child: it is ended by its own id, and strace ends with it.
    let fault = "inject=fsync,fdatasync:error=EIO:when=20..23";
    iems_tests::process::need("strace", "strace");
    site.under(&["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", fault]);
    site.start();
    let (mut accepted, mut refused) = (0, 0);
    for n in 0..80 {
        let reply = try_one(&site, &format!("m{n}"), 100_000);
        assert!(reply.code == 250 || reply.code / 100 == 4, "{reply:?}");
        if reply.code == 250 {
            accepted += 1;
        } else {
            refused += 1;
            std::thread::sleep(std::time::Duration::from_millis(250));
        }
    }
    assert!(refused > 0, "no sync failed");
    assert!(accepted > 20, "service did not return: {accepted} accepted, {refused} refused");
    // A refused one may not be there, an accepted one must: the numbers agree.
    let here = wait_for("all accepted messages", secs(20), || {
        let all = read_all(site.at("pop3"), ANN, "secret");
        (all.len() >= accepted).then_some(all)
    });
    assert!(here.len() <= accepted + refused, "{} messages of {}", here.len(), accepted + refused);
}
