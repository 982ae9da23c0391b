//! A disk that is low, a full one, and failing syncs give 4xx, each with its own words; nothing accepted is lost,
//! `iems status` tells, and service returns by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use iems_tests::iems::Iems;
use iems_tests::peers::curl::curl;
use iems_tests::pop3::{read_all, wait_all};
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

    /// Fills it, but for so many MiB.
    fn fill_but(&self, left: usize) {
        let stat = rustix::fs::statvfs(&self.0).expect("a file system");
        let octets = (stat.f_bavail * stat.f_frsize) as usize;
        std::fs::write(self.0.join("filler"), vec![b'x'; octets.saturating_sub(left << 20)]).expect("room");
    }

    /// Fills it to the last octet.
    fn fill(&self) {
        let octets = vec![b'x'; 512 << 20];
        // The error is the point: there is no space for all of it.
        let _ = std::fs::write(self.0.join("rest"), octets);
    }

    fn free(&self) {
        for name in ["filler", "rest"] {
            std::fs::remove_file(self.0.join(name)).expect("a filler");
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(Command::new("umount").arg("--lazy").arg(&self.0), b"");
    }
}

fn try_one(site: &Iems, name: &str, size: usize) -> Reply {
    let mut smtp = match Smtp::knock(site.at("smtp")) {
        Ok(smtp) => smtp,
        Err(refusal) => return refusal,
    };
    smtp.must("EHLO client.example.test", 250);
    smtp.send("c@example.com", &[ANN], &text(name, size)).expect("a reply")
}

fn text(name: &str, size: usize) -> Vec<u8> {
    let mut text = letter("c@example.com", ANN, name);
    text.extend(b"a line that takes space\r\n".repeat(size / 25));
    text
}

/// The exit code of `iems status` and what it says with `--json`.
fn status(site: &Iems) -> (i32, serde_json::Value) {
    let said = site.admin(&["status", "--json"]);
    (said.code, serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {} {}", said.out, said.err)))
}

#[track_caller]
fn wait_for_state(site: &Iems, state: &str, code: i32) -> serde_json::Value {
    wait_for(&format!("the state {state}"), secs(20), || {
        let (ended, told) = status(site);
        (ended == code && told["state"] == state).then_some(told)
    })
}

#[test]
fn a_disk_that_fills_is_told_of_early_and_emptied_again() {
    let mut site = Iems::new();
    let disk = Disk::mount(&site.dir.path().join("data"));
    site.accounts(&[ANN]);
    site.start();
    let mut accepted = 0;
    for n in 0..5 {
        assert_eq!(try_one(&site, &format!("before{n}"), 100_000).code, 250);
        accepted += 1;
    }
    wait_for_state(&site, "healthy", 0);

    // What is left is little more than the store keeps for itself.
    disk.fill_but(210);
    let told = wait_for_state(&site, "low", 75);
    assert!(told["room"]["free"].as_u64() < told["room"]["mark"].as_u64(), "{told:#}");
    assert!(told["troubles"][0]["reason"].as_str().is_some_and(|why| why.contains("MiB")), "{told:#}");
    let mut outside = Smtp::connect(site.at("smtp"));
    outside.must("EHLO client.example.test", 250);
    let refused = outside.must("MAIL FROM:<c@example.com>", 452).text();
    assert!(refused.starts_with("4.3.1 little space is left"), "{refused}");
    site.admin_with(&["sendmail", ANN], &text("local", 1000)).good();
    accepted += 1;
    let url = format!("http://{}/healthz", site.at("metrics"));
    assert_eq!(curl(&[&url], b"").good().out, "low\n");

    // Local programs may fill what is left.
    disk.fill();
    let refused = (0..40).find_map(|n| {
        let said = site.admin_with(&["sendmail", ANN], &text(&format!("full{n}"), 4_000_000));
        accepted += usize::from(said.code == 0);
        (said.code != 0).then_some(said)
    });
    let refused = refused.expect("160 MB fit on a full disk");
    assert!(refused.code == 75 && refused.err.contains("452 4.3.1 there is no space"), "{}", refused.err);
    let told = wait_for_state(&site, "full", 75);
    assert_eq!(
        (&told["delivering"], &told["troubles"][1]["state"]),
        (&true.into(), &"low".into()),
        "{told:#}"
    );
    let refused = outside.must("MAIL FROM:<c@example.com>", 452).text();
    assert!(refused.starts_with("4.3.1 there is no space"), "{refused}");
    // Readers keep working.
    assert_eq!(read_all(site.at("pop3"), ANN, "secret").len(), accepted);

    disk.free();
    let told = wait_for_state(&site, "healthy", 0);
    assert!(told["probes"]["good"].as_u64() > Some(0), "{told:#}");
    outside.must("MAIL FROM:<c@example.com>", 250); // a session that waited goes on
    drop(outside);
    assert_eq!(try_one(&site, "after", 100_000).code, 250);
    assert_eq!(curl(&[&url], b"").good().out, "ok\n");
    let log = std::fs::read_to_string(site.log()).expect("the log");
    let lines = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!((lines("storage is in trouble"), lines("healthy again")), (2, 1), "one line for each change");
    site.stop();
    assert_eq!(status(&site).0, 69);
    site.start();
    assert_eq!(wait_all(site.at("pop3"), ANN, "secret", accepted + 1).len(), accepted + 1);
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
    let (mut accepted, mut refused, mut turned_away) = (0, 0, 0);
    for n in 0..160 {
        let reply = try_one(&site, &format!("m{n}"), 100_000);
        assert!(reply.code == 250 || reply.code / 100 == 4, "{reply:?}");
        match reply.code {
            250 => accepted += 1,
            421 => turned_away += 1,
            _ => refused += 1,
        }
        if reply.code != 250 {
            let text = "4.3.0 storage does not work now; try again later [";
            assert!(reply.text().starts_with(text), "{reply:?}");
            std::thread::sleep(std::time::Duration::from_millis(250));
        }
    }
    assert!(refused > 0, "no sync failed");
    assert!(turned_away > refused, "{refused} messages were sent in vain, {turned_away} were not");
    wait_for_state(&site, "healthy", 0);
    assert!(accepted > 20, "service did not return: {accepted} accepted, {refused} refused");
    // A refused one may not be there, an accepted one must: the numbers agree.
    let here = wait_for("all accepted messages", secs(20), || {
        let all = read_all(site.at("pop3"), ANN, "secret");
        (all.len() >= accepted).then_some(all)
    });
    assert!(here.len() <= accepted + refused, "{} messages of {}", here.len(), accepted + refused);
}

#[test]
fn slow_syncs_keep_senders_waiting() {
    let mut site = Iems::with_accounts(&[ANN]);
    site.config.more = "[store]\nslow = \"1s\"\n".to_owned();
    let fault = "inject=fdatasync:delay_enter=1500000:when=10..16";
    iems_tests::process::need("strace", "strace");
    site.under(&["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", fault]);
    site.start();
    let mut accepted = 0;
    let refused = (0..30).find_map(|n| {
        let reply = try_one(&site, &format!("m{n}"), 1000);
        accepted += usize::from(reply.code == 250);
        (reply.code != 250).then_some(reply)
    });
    let refused = refused.expect("nothing was slow");
    let text = "4.3.2 storage is too slow for more messages now; try again later [";
    assert!((refused.code, refused.text().starts_with(text)) == (451, true), "{refused:?}");
    let (code, told) = status(&site);
    assert_eq!((code, &told["state"], &told["delivering"]), (75, &"slow".into(), &true.into()), "{told:#}");
    assert!(told["commits"]["longest"].as_u64() >= Some(1500), "{told:#}");
    wait_for_state(&site, "healthy", 0);
    assert_eq!(try_one(&site, "after", 1000).code, 250);
    wait_all(site.at("pop3"), ANN, "secret", accepted + 1);
}
