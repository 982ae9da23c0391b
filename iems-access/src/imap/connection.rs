//! One connection: carries a session over its socket.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use iems_core::seam::sasl::Beneath;
use iems_core::seam::{Clock, SystemClock, Timestamp};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::codec::{Decoder, Event, Limits, Refusal};
use super::session::{Literal, Output, Session, Sink, Then};
use super::types::{AppendPart, Code, CommandBody, Response, Status};
use super::{Accounts, ServerOptions};
use crate::net::{Gate, Guest, Link, Protocol, Question, Turn, Wire, handshake};

/// How long the end of a connection may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// How much of answers is collected before they are sent, in octets.
const ENOUGH: usize = 64 * 1024;
/// How long a peer hears nothing while it is worked for.
const STILL: Duration = Duration::from_secs(5);
/// After how long it is tried again to learn what there was no memory for.
const AGAIN: Duration = Duration::from_secs(1);
/// How much is read at first of what somebody says who is logged in, in octets: most messages are smaller.
const FIRST: u64 = 16 << 10;
/// How much may stand behind a message, in octets.
const LINE: u64 = 64;
/// How late answers to many errors come.
const ERROR_DELAY: Duration = Duration::from_secs(1);

/// The protocol, for [`crate::net::Server`].
#[derive(Debug, Clone, Copy)]
pub enum Imap {}

type Shared = crate::net::Shared<Imap>;

impl Protocol for Imap {
    type Options = ServerOptions;
    type Mail = Accounts;

    fn span(peer: SocketAddr) -> tracing::Span {
        tracing::info_span!("imap", %peer)
    }

    fn refusal(_for_good: bool, why: &str) -> String {
        format!("* BYE [UNAVAILABLE] {why}\r\n")
    }

    fn run(
        shared: Arc<Shared>,
        guest: Guest,
        shutdown: CancellationToken,
    ) -> impl Future<Output = io::Result<()>> + Send {
        run(shared, guest, shutdown)
    }
}

async fn run(shared: Arc<Shared>, guest: Guest, shutdown: CancellationToken) -> io::Result<()> {
    let Guest { socket, peer, implicit_tls } = guest;
    let mut wire = Wire::new(socket);
    let mut beneath = Arc::default();
    if implicit_tls {
        (wire, beneath) = Box::pin(secure(&shared, wire)).await?;
    }
    let local = peer.to_canonical().is_loopback();
    let link = Link { tls: implicit_tls, tls_available: shared.tls.is_some(), local };
    let (options, accounts) = (shared.options.clone(), shared.mail.clone());
    let mut session = Session::new(options, accounts, link, shared.nonce.clone());
    session.over(beneath);
    let gate = Gate::new(&shared, peer);
    let mut connection = Connection::new(shared, wire, session, gate);
    connection.with(|session, out| session.greet(out));
    loop {
        let ended = match talk(&mut connection, &shutdown).await {
            Ok(true) => {
                connection = Box::pin(connection.start_tls()).await?;
                continue;
            }
            ended => ended.map(drop),
        };
        // Boxed, as all that is not waited in for long: what an idle connection takes is the size of this future.
        Box::pin(connection.end(ended.is_ok())).await;
        return ended;
    }
}

/// Goes on until one side ends it, or TLS begins: `true`.
async fn talk(connection: &mut Connection, shutdown: &CancellationToken) -> io::Result<bool> {
    let mut turn = Turn::default();
    loop {
        turn.count(connection.wire.take_waited()).await;
        let Some(event) = connection.decoder.next(&mut connection.wire.input) else {
            connection.flush().await?;
            connection.session.settle().await;
            if !connection.wait(shutdown).await? {
                connection.flush().await?;
                return Ok(false);
            }
            continue;
        };
        // What a command needs is given back when it is done: an idle connection stays small.
        let flow = match event {
            Event::Append(part) => Box::pin(connection.append(part)).await?,
            event => Box::pin(connection.take(event)).await?,
        };
        match flow {
            // What follows without waiting for answers does not make them pile up.
            Flow::On if connection.buffer.len() >= ENOUGH => connection.flush().await?,
            Flow::On => {}
            Flow::StartTls => return Ok(true),
            Flow::Close => {
                connection.flush().await?;
                return Ok(false);
            }
        }
    }
}

async fn secure(shared: &Shared, wire: Wire) -> io::Result<(Wire, Arc<Beneath>)> {
    let options = &shared.options;
    handshake(shared, wire, options.auth.believed.as_ref(), options.timeouts.handshake).await
}

fn now() -> Timestamp {
    SystemClock.now()
}

/// How a connection goes on.
enum Flow {
    On,
    StartTls,
    Close,
}

struct ToWire<'a> {
    wire: &'a mut Wire,
    patience: Duration,
}

impl Sink for ToWire<'_> {
    async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match octets.is_empty() {
            true => Ok(()),
            false => self.wire.send(octets, self.patience).await,
        }
    }

    async fn patience(&mut self) {
        tokio::time::sleep(STILL).await;
    }
}

struct Connection {
    shared: Arc<Shared>,
    wire: Wire,
    session: Session,
    decoder: Decoder,
    buffer: BytesMut,
    gate: Gate,
    /// Refused commands in a row.
    errors: u32,
    /// Until when the peer has to have said something.
    deadline: Instant,
}

impl Connection {
    fn new(shared: Arc<Shared>, wire: Wire, session: Session, gate: Gate) -> Self {
        let decoder = Decoder::new(Limits::before_login());
        let deadline = Instant::now() + shared.options.timeouts.login;
        Self { shared, wire, session, decoder, buffer: BytesMut::new(), gate, errors: 0, deadline }
    }

    /// Lets the session say something that takes no time.
    fn with<T>(&mut self, say: impl FnOnce(&mut Session, &mut Output<'_, ToWire<'_>>) -> T) -> T {
        let patience = self.shared.options.timeouts.reply;
        let mut sink = ToWire { wire: &mut self.wire, patience };
        say(&mut self.session, &mut Output::new(&mut sink, &mut self.buffer))
    }

    fn say(&mut self, response: &Response) {
        let encoder = super::codec::Encoder { utf8: self.session.utf8() };
        encoder.response(response, &mut self.buffer);
    }

    /// Sends what is to be sent, late if the peer is to wait.
    async fn flush(&mut self) -> io::Result<()> {
        self.gate.count(self.session.failed_logins());
        if let Some(delay) = self.session.take_delay() {
            tokio::time::sleep(delay).await;
        }
        let output = std::mem::take(&mut self.buffer);
        if !output.is_empty() {
            let patience = self.shared.options.timeouts.reply;
            // Thunderbird reads as many octets unpacked as came packed, and waits for more before it looks at the others: news
            // that came with the answer to IDLE would be among those.
            match self.session.is_idle() {
                true => self.wire.send_in_full(&output, patience).await?,
                false => self.wire.send(&output, patience).await?,
            }
            self.deadline = Instant::now() + self.patience();
        }
        Ok(())
    }

    fn patience(&self) -> Duration {
        let timeouts = &self.shared.options.timeouts;
        match self.session.is_known() {
            false => timeouts.login,
            true if !self.session.is_idle() && self.decoder.is_within(&self.wire.input) => timeouts.reply,
            true => timeouts.idle,
        }
    }

    /// Waits until there is something to be read, and tells news within `IDLE` and after `NOTIFY`; `false` at the end.
    async fn wait(&mut self, shutdown: &CancellationToken) -> io::Result<bool> {
        // With the first line of a message comes most often all of it, from who is known.
        let least = if self.session.is_known() { FIRST } else { 0 };
        let announced = self.decoder.announced_octets();
        self.wire.expect(if announced > 0 { announced.saturating_add(LINE) } else { least });
        loop {
            let waiting = self.session.waiting(self.decoder.is_within(&self.wire.input));
            let news = async {
                match &waiting {
                    Some(waiting) if self.session.is_behind() => {
                        let again = tokio::time::timeout(AGAIN, waiting.changed());
                        let _ = Box::pin(again).await;
                    }
                    Some(waiting) => waiting.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.with(|session, out| session.bid("The server shuts down", out));
                    return Ok(false);
                }
                read = timeout_at(self.deadline, self.wire.fill()) => match read {
                    Ok(Ok(0)) => return Ok(false),
                    Ok(read) => {
                        read?;
                        if self.session.is_known() {
                            self.deadline = Instant::now() + self.patience();
                        }
                        return Ok(true);
                    }
                    Err(_) => {
                        self.with(|session, out| session.bid("Nothing was said for too long", out));
                        return Ok(false);
                    }
                },
                () = news => {
                    Box::pin(self.tell_news()).await?;
                    if self.session.is_over() {
                        return Ok(false);
                    }
                }
            }
        }
    }

    async fn tell_news(&mut self) -> io::Result<()> {
        let deadline = self.deadline;
        let patience = self.shared.options.timeouts.reply;
        let mut sink = ToWire { wire: &mut self.wire, patience };
        let mut out = Output::new(&mut sink, &mut self.buffer);
        self.session.news(&mut out).await?;
        self.flush().await?;
        // News are ours to tell; that the peer is there is its own to say.
        self.deadline = deadline;
        Ok(())
    }

    async fn take(&mut self, event: Event) -> io::Result<Flow> {
        let then = match event {
            Event::Command(command) => {
                self.errors = 0;
                if matches!(command.body, CommandBody::StartTls) && !self.wire.input.is_empty() {
                    return Ok(self.cut_off(command.tag));
                }
                let patience = self.shared.options.timeouts.reply;
                let mut sink = ToWire { wire: &mut self.wire, patience };
                let mut out = Output::new(&mut sink, &mut self.buffer);
                self.session.command(command, now(), &mut out).await?
            }
            Event::Line(line) => self.line(Some(&line)).await?,
            Event::Append(part) => return self.append(part).await,
            Event::Continue => {
                self.say(&Response::Continue("Go on".into()));
                return Ok(Flow::On);
            }
            Event::Refused(refusal) => return self.refused(refusal).await,
            Event::Fatal(status) => {
                self.say(&Response::Status(status));
                return Ok(Flow::Close);
            }
        };
        self.follow(then).await
    }

    async fn follow(&mut self, mut then: Then) -> io::Result<Flow> {
        while let Then::Ask(question) = then {
            then = self.ask(question).await?;
        }
        if self.session.is_known() {
            self.decoder.set_limits(Limits::after_login(self.shared.options.limits.message_size));
        }
        self.decoder.set_utf8(self.session.utf8());
        self.decoder.charge(&self.session.budget());
        Ok(match then {
            Then::Read | Then::Ask(_) => Flow::On,
            Then::Forget => {
                self.decoder.set_limits(Limits::before_login());
                Flow::On
            }
            Then::ReadLine => {
                self.decoder.expect_line();
                Flow::On
            }
            Then::StartTls => Flow::StartTls,
            Then::Compress => {
                self.flush().await?;
                self.wire.compress();
                Flow::On
            }
            Then::Close => Flow::Close,
        })
    }

    async fn line(&mut self, line: Option<&[u8]>) -> io::Result<Then> {
        let patience = self.shared.options.timeouts.reply;
        let mut sink = ToWire { wire: &mut self.wire, patience };
        let mut out = Output::new(&mut sink, &mut self.buffer);
        self.session.line(line, &mut out).await
    }

    async fn ask(&mut self, question: Question) -> io::Result<Then> {
        let failures = self.session.failed_logins();
        let directory = self.shared.options.auth.asked(self.shared.mail.directory());
        let answer = match self.gate.ask(directory, &question, failures).await {
            Ok(answer) => answer,
            Err(why) => {
                self.with(|session, out| session.bid(&why, out));
                return Ok(Then::Close);
            }
        };
        let patience = self.shared.options.timeouts.reply;
        let mut sink = ToWire { wire: &mut self.wire, patience };
        let mut out = Output::new(&mut sink, &mut self.buffer);
        self.session.answered(answer, &mut out).await
    }

    async fn append(&mut self, part: AppendPart) -> io::Result<Flow> {
        let patience = self.shared.options.timeouts.reply;
        let mut sink = ToWire { wire: &mut self.wire, patience };
        let mut out = Output::new(&mut sink, &mut self.buffer);
        match self.session.append(part, now(), &mut out).await? {
            Literal::None => {}
            Literal::Accept => self.decoder.accept(),
            Literal::Refuse => self.decoder.refuse(),
        }
        Ok(Flow::On)
    }

    /// What was no command. Within an exchange or `IDLE`, it ends them.
    async fn refused(&mut self, refusal: Refusal) -> io::Result<Flow> {
        self.errors += 1;
        let most = self.shared.options.limits.errors;
        self.session.refused(&refusal);
        if self.session.awaits_line() {
            let then = self.line(None).await?;
            return self.follow(then).await;
        }
        self.say(&refusal.into());
        if self.errors > most {
            self.with(|session, out| session.bid("Too many errors", out));
            return Ok(Flow::Close);
        }
        if self.errors > most / 2 {
            tokio::time::sleep(ERROR_DELAY).await;
        }
        Ok(Flow::On)
    }

    /// What follows `STARTTLS` in the clear may be another's: a peer that does not wait for the answer is cut off.
    fn cut_off(&mut self, tag: String) -> Flow {
        let why = "Nothing may follow STARTTLS before its answer; connect again and wait for it";
        self.say(&Status::bad(why).with(Code::ClientBug).tagged(tag));
        self.with(|session, out| session.bid("Connect again", out));
        Flow::Close
    }

    /// Takes leave of the peer, unless the connection broke. Nobody else waits until it has gone.
    async fn end(self, in_order: bool) {
        let Self { wire, mut session, .. } = self;
        let farewell = async {
            if in_order {
                wire.close(FAREWELL).await;
            }
        };
        let end = async {
            session.end().await;
            drop(session);
        };
        tokio::join!(farewell, end);
    }

    async fn start_tls(mut self) -> io::Result<Self> {
        self.flush().await?;
        let (wire, beneath) = secure(&self.shared, self.wire).await?;
        let mut session = self.session.secured();
        session.over(beneath);
        Ok(Self::new(self.shared, wire, session, self.gate))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::net::IpAddr;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::imap::Server;

    /// A server with nobody's mail, one of its connections, and the peer.
    async fn connected() -> (Arc<Shared>, Guest, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let socket = listener.accept().await.unwrap().0;
        let directory = iems_store::directory::StoreDirectory::new(
            iems_core::storage::MemoryStorage::new().storage(),
            Arc::new(SystemClock),
            Default::default(),
        );
        let accounts = Accounts::new(Arc::new(directory));
        let server = Server::new(ServerOptions::new("mx"), vec![], accounts, None).unwrap();
        let guest = Guest { socket, peer: IpAddr::from([127, 0, 0, 1]), implicit_tls: false };
        (server.shared(), guest, peer)
    }

    #[tokio::test]
    async fn an_idle_connection_is_small() {
        let (shared, guest, _peer) = connected().await;
        let task = run(shared, guest, CancellationToken::new());
        let octets = size_of_val(&task);
        // With what the runtime adds, it fits into the 2 KiB that allocators have a size for.
        assert!(octets <= 1_840, "{octets} octets");
    }

    #[tokio::test]
    async fn others_have_their_turn_while_commands_come_by_the_thousand() {
        const COMMANDS: usize = 10_000;
        let (shared, guest, peer) = connected().await;
        let served = run(shared, guest, CancellationToken::new());
        let (mut hear, mut say) = peer.into_split();
        let said = async move {
            say.write_all(&b"a NOOP\r\n".repeat(COMMANDS)).await.unwrap();
            say.write_all(b"b LOGOUT\r\n").await.unwrap();
        };
        let heard = async {
            let mut all = Vec::new();
            hear.read_to_end(&mut all).await.unwrap();
            all.iter().filter(|octet| **octet == b'\n').count()
        };
        let turns = Cell::new(0);
        let others = async {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        };
        let all = async { tokio::join!(served, said, heard) };
        tokio::select! {
            biased;
            (served, (), heard) = all => {
                served.unwrap();
                assert_eq!(heard, COMMANDS + 3);
            }
            () = others => {}
        }
        assert!(turns.get() > COMMANDS / 32, "{}", turns.get());
    }
}
