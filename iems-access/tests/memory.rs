//! What sessions say that they hold is what they hold: measured with an allocator that counts.
//!
//! The only unsafe code is the allocator: it gives each call to the system's, with the same arguments.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::BytesMut;
use iems_access::imap::codec::{Decoder, Event, Limits};
use iems_access::imap::session::{Literal, Output, Session, Sink, Then};
use iems_access::imap::{Accounts, ServerOptions};
use iems_access::net::{Answer, Link, Memory};
use iems_core::seam::{Account, SystemClock, Timestamp};
use iems_core::storage::MemoryStorage;
use iems_store::directory::{DirectoryOptions, NewAccount, Password, StoreDirectory};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: each call is the system's.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(now, Ordering::Relaxed);
        // SAFETY: the caller's promises are those that it wants.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Messages in the mailbox.
const COUNT: usize = 4500;

struct Nowhere;

impl Sink for Nowhere {
    async fn send(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

struct Peer {
    session: Session,
    decoder: Decoder,
}

impl Peer {
    /// Carries out a command; how it ended, and the most that was allocated meanwhile.
    async fn ask(&mut self, command: &str) -> (String, usize) {
        let mut input = BytesMut::from(format!("t {command}\r\n").as_bytes());
        let before = NOW.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let (mut sink, mut buffer) = (Nowhere, BytesMut::new());
        while let Some(event) = self.decoder.next(&mut input) {
            let mut out = Output::new(&mut sink, &mut buffer);
            let then = match event {
                Event::Command(command) => self.session.command(command, now(), &mut out).await.unwrap(),
                Event::Append(part) => {
                    match self.session.append(part, now(), &mut out).await.unwrap() {
                        Literal::None => {}
                        Literal::Accept => self.decoder.accept(),
                        Literal::Refuse => self.decoder.refuse(),
                    }
                    continue;
                }
                Event::Refused(refusal) => {
                    let encoder = iems_access::imap::codec::Encoder::default();
                    encoder.response(&refusal.into(), &mut buffer);
                    continue;
                }
                other => panic!("{other:?}"),
            };
            if let Then::Ask(_) = then {
                let answer = Answer::Account(Some(Account::new("ann@example.org".parse().unwrap())));
                self.session.answered(answer, &mut out).await.unwrap();
            }
            self.decoder.set_limits(Limits::after_login(1 << 20));
            self.decoder.charge(&self.session.budget());
        }
        // What stays is what the storage in memory keeps.
        let peak = PEAK.load(Ordering::Relaxed).saturating_sub(before.max(NOW.load(Ordering::Relaxed)));
        let said = String::from_utf8_lossy(&buffer).into_owned();
        (said.lines().last().unwrap_or_default().to_owned(), peak)
    }

    async fn done(&mut self, command: &str) -> usize {
        let (said, peak) = self.ask(command).await;
        assert!(said.starts_with("t OK"), "{}: {said}", &command[..command.len().min(60)]);
        peak
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

fn letter(n: usize) -> String {
    let names = format!("From: Somebody {} <a{n}@example.net>\r\nTo: Ann <ann@example.org>\r\n", n % 97);
    let subject = format!("Subject: Re: something of this length about {} and more\r\n", n / 5);
    let before = n.saturating_sub(1);
    let ids = format!(
        "Message-ID: <{n}.some.id@mail.example.net>\r\nReferences: <{before}.some.id@mail.example.net>\r\n"
    );
    format!("{names}{subject}{ids}\r\nHello\r\n")
}

/// Somebody who has a mailbox with many messages selected.
async fn reader(memory: &Arc<Memory>) -> Peer {
    let storage = MemoryStorage::new().storage();
    let directory = StoreDirectory::new(storage, Arc::new(SystemClock), DirectoryOptions::default());
    directory.add_domain(&"example.org".parse().unwrap(), Default::default()).await.unwrap();
    let mut account = NewAccount::new("ann@example.org".parse().unwrap());
    account.password = Password::None;
    directory.add_account(account).await.unwrap();
    let accounts = Accounts::within(memory.clone(), Arc::new(directory), None);
    let link = Link { tls: true, tls_available: true, local: false };
    let mut options = ServerOptions::new("mx.example.org");
    options.auth.secret = Some([1; 32]);
    let session = Session::new(Arc::new(options), accounts, link, Arc::new(|| Some([2; 18])));
    let mut peer = Peer { session, decoder: Decoder::new(Limits::before_login()) };
    peer.done("LOGIN ann@example.org secret").await;
    for some in 0..COUNT / 500 {
        let letters = (some * 500..(some + 1) * 500).map(letter);
        let literals: String = letters.map(|text| format!(" {{{}+}}\r\n{text}", text.len())).collect();
        peer.done(&format!("APPEND INBOX{literals}")).await;
    }
    peer.done("CREATE Archive").await;
    peer.done("SELECT INBOX").await;
    peer
}

/// What allocations of others, such as pages of the storage that are read at once, may come to.
const BESIDES: usize = 300 << 10;

#[tokio::test]
async fn what_is_held_is_what_is_counted() {
    let memory = Arc::new(Memory::default());
    let mut ann = reader(&memory).await;
    let numbers: String = (1..COUNT).step_by(2).map(|n| format!("{n},")).collect();
    let commands = [
        "SEARCH ALL".to_owned(),
        "SEARCH RETURN (SAVE) ALL".into(),
        "SORT (SUBJECT FROM DATE) UTF-8 ALL".into(),
        "SORT RETURN (ALL COUNT) (ARRIVAL) UTF-8 ALL".into(),
        "THREAD REFERENCES UTF-8 ALL".into(),
        "THREAD ORDEREDSUBJECT UTF-8 ALL".into(),
        format!("SEARCH {}2", numbers.repeat(2)),
        format!("FETCH {}2 (FLAGS)", numbers.repeat(2)),
        "STORE 1:* +FLAGS (\\Flagged)".into(),
        "STORE 1:* +FLAGS (new)".into(),
        "COPY 1:* Archive".into(),
        "FETCH 1:* (FLAGS ENVELOPE)".into(),
        "EXAMINE INBOX".into(),
        "SELECT INBOX".into(),
        "STORE 1:* +FLAGS (\\Deleted)".into(),
        "EXPUNGE".into(),
    ];
    for command in commands {
        let name = &command[..command.len().min(45)];
        memory.allow(512 << 20);
        let idle = memory.held();
        // How little it can be done with: so much is counted.
        let (mut least, mut most) = (idle, idle + (16 << 20));
        while !command.starts_with("EXPUNGE") && most - least > 64 << 10 {
            let middle = (least + most) / 2;
            memory.allow(middle);
            match ann.ask(&command).await.0 {
                said if said.starts_with("t OK") => most = middle,
                said if said.starts_with("t NO [LIMIT]") => least = middle,
                said => panic!("{name}: {said}"),
            }
            if command.starts_with("STORE") {
                memory.allow(512 << 20);
                ann.done(&command.replace('+', "-")).await;
            }
        }
        memory.allow(512 << 20);
        if command.starts_with("EXPUNGE") {
            most = idle + (768 << 10);
            memory.allow(most);
            assert!(ann.ask(&command).await.0.starts_with("t NO [LIMIT]"));
            memory.allow(512 << 20);
        }
        let (counted, real) = ((most - idle) as usize, ann.done(&command).await);
        eprintln!("{name}: {real} octets, {counted} counted");
        assert!(real <= counted + counted / 4 + BESIDES, "{name}: {real} octets, {counted} counted");
        assert!(counted <= 4 * real + BESIDES, "{name}: {real} octets, {counted} counted");
    }
}
