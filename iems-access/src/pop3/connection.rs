//! One connection: carries the dialogue over its socket, and answers its questions from directory and mailboxes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iems_core::seam::sasl::Beneath;
use iems_store::mailbox::{FlagAction, FlagChange, Flags, Message, Uid};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::maildrops::Held;
use super::session::{Event, NotFound, SERVICE, Session};
use super::{Maildrops, Part, Retrieval, ServerOptions};
use crate::net::{Gate, Guest, Link, Protocol, Turn, Wire, handshake};

/// How much of a message is collected before it is sent, in octets.
const ENOUGH: usize = 32 * 1024;
/// How long the end of a connection may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// The protocol, for [`crate::net::Server`].
#[derive(Debug, Clone, Copy)]
pub enum Pop3 {}

impl Protocol for Pop3 {
    type Options = ServerOptions;
    type Mail = Maildrops;

    fn span(peer: SocketAddr) -> tracing::Span {
        tracing::info_span!("pop3", %peer)
    }

    fn refusal(for_good: bool, why: &str) -> String {
        format!("-ERR [SYS/{}] {why}\r\n", if for_good { "PERM" } else { "TEMP" })
    }

    fn run(
        shared: Arc<Shared>,
        guest: Guest,
        shutdown: CancellationToken,
    ) -> impl Future<Output = io::Result<()>> + Send {
        run(shared, guest, shutdown)
    }
}

type Shared = crate::net::Shared<Pop3>;

async fn run(shared: Arc<Shared>, guest: Guest, shutdown: CancellationToken) -> io::Result<()> {
    let Guest { socket, peer, implicit_tls } = guest;
    let mut wire = Wire::new(socket);
    let mut beneath = Arc::default();
    if implicit_tls {
        (wire, beneath) = secure(&shared, wire).await?;
    }
    let local = peer.to_canonical().is_loopback();
    let link = Link { tls: implicit_tls, tls_available: shared.tls.is_some(), local };
    let mut session = Session::new(shared.options.clone(), link, shared.nonce.clone());
    session.over(beneath);
    let deadline = Instant::now() + session.patience();
    let gate = Gate::new(&shared, peer);
    let mut connection = Connection { shared, wire, session, held: None, deadline, gate };
    let mut turn = Turn::default();
    loop {
        turn.count(connection.wire.take_waited()).await;
        let mut event = connection.session.next(&mut connection.wire.input);
        if event.is_none() {
            connection.flush().await?;
            if !connection.read(&shutdown).await? {
                return Ok(());
            }
        }
        while let Some(next) = event {
            event = match next {
                Event::Close => {
                    connection.flush().await?;
                    let Connection { wire, held, .. } = connection;
                    // The maildrop is free before the peer has gone.
                    drop(held);
                    wire.close(FAREWELL).await;
                    return Ok(());
                }
                Event::StartTls => {
                    connection = connection.start_tls().await?;
                    None
                }
                other => connection.answer(other).await?,
            };
        }
    }
}

async fn secure(shared: &Shared, wire: Wire) -> io::Result<(Wire, Arc<Beneath>)> {
    let options = &shared.options;
    handshake(shared, wire, options.auth.believed.as_ref(), options.timeouts.handshake).await
}

struct Connection {
    shared: Arc<Shared>,
    wire: Wire,
    session: Session,
    gate: Gate,
    held: Option<Held>,
    /// Until when the peer has to have said its next command.
    deadline: Instant,
}

impl Connection {
    /// Reads more; `false` if there is no more, or the peer took too long.
    async fn read(&mut self, shutdown: &CancellationToken) -> io::Result<bool> {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {
                self.session.abandon();
                Ok(true)
            }
            read = timeout_at(self.deadline, self.wire.fill()) => match read {
                Ok(read) => Ok(read? > 0),
                Err(_) => Ok(false),
            },
        }
    }

    /// Sends what is to be sent, late if the peer is to wait.
    async fn flush(&mut self) -> io::Result<()> {
        self.gate.count(self.session.failed_logins());
        if let Some(delay) = self.session.take_delay() {
            tokio::time::sleep(delay).await;
        }
        let output = self.session.output().split();
        if !output.is_empty() {
            self.wire.send(&output, self.shared.options.timeouts.reply).await?;
            self.deadline = Instant::now() + self.session.patience();
        }
        Ok(())
    }

    async fn start_tls(mut self) -> io::Result<Self> {
        self.flush().await?;
        let (wire, beneath) = secure(&self.shared, self.wire).await?;
        let mut session = self.session.secured();
        session.over(beneath);
        let deadline = Instant::now() + session.patience();
        Ok(Self { wire, session, deadline, ..self })
    }

    async fn answer(&mut self, event: Event) -> io::Result<Option<Event>> {
        match event {
            Event::Ask(question) => {
                let failures = self.session.failed_logins();
                let directory = self.shared.options.auth.asked(self.shared.mail.directory());
                match self.gate.ask(directory, &question, failures).await {
                    Ok(answer) => Ok(self.session.answered(answer)),
                    Err(why) => {
                        self.session.turn_away(&why);
                        Ok(None)
                    }
                }
            }
            Event::Open(account) => {
                let directory = self.shared.options.auth.asked(self.shared.mail.directory());
                if let Err(error) = directory.used(&account, SERVICE).await {
                    tracing::warn!(%error, "the use of a credential is not written down");
                }
                let options = &self.shared.options;
                let (delay, most) = (options.login_delay, options.limits.messages);
                let shape = (most, options.uidl.as_ref());
                let opened = self.shared.mail.open(&account, delay, shape).await;
                let opened = opened.map(|(held, maildrop)| {
                    tracing::info!(account = %account.mailbox, "logged in");
                    self.held = Some(held);
                    maildrop
                });
                self.session.opened(opened);
                Ok(None)
            }
            Event::Retrieve { uid, part } => self.retrieve(uid, part).await.map(|()| None),
            Event::Update { seen, removed } => {
                let done = self.update(&seen, &removed).await;
                self.session.updated(done);
                Ok(None)
            }
            Event::Flush => self.flush().await.map(|()| None),
            Event::Close | Event::StartTls => Ok(None),
        }
    }

    async fn update(&self, seen: &[Uid], removed: &[Uid]) -> Result<(), ()> {
        let info = &self.held.as_ref().ok_or(())?.info;
        let mailboxes = self.shared.mail.mailboxes();
        if !seen.is_empty() {
            // Whoever read them will hardly mind if that is not written down.
            let change = FlagChange::new(FlagAction::Add, Flags::SEEN);
            let stored = mailboxes.store_flags(info.id, info.inbox, seen, &change).await;
            stored.map_or_else(trouble, drop);
        }
        match removed {
            [] => Ok(()),
            removed => mailboxes.expunge(info.id, info.inbox, removed).await.map(drop).map_err(trouble),
        }
    }

    async fn find(&self, uid: Uid) -> Result<Message, NotFound> {
        let info = &self.held.as_ref().ok_or(NotFound::Gone)?.info;
        let found = self.shared.mail.mailboxes().message(info.id, info.inbox, uid).await;
        found
            .map_err(|e| {
                trouble(e);
                NotFound::Unavailable
            })?
            .ok_or(NotFound::Gone)
    }

    /// Sends a message in pieces. Trouble in its midst can only be told by closing.
    async fn retrieve(&mut self, uid: Uid, part: Part) -> io::Result<()> {
        let body = match self.find(uid).await {
            Ok(message) => message.body,
            Err(e) => {
                self.session.found(Err(e));
                return Ok(());
            }
        };
        self.session.found(Ok(body.size()));
        let patience = self.shared.options.timeouts.reply;
        let maildrops = self.shared.mail.clone();
        let mut reader = body.reader(maildrops.mailboxes().blobs());
        let mut retrieval = Retrieval::new(part);
        let mut output = Vec::from(self.session.output().split());
        while !retrieval.is_done() {
            let Some(piece) = reader.next().await.map_err(io::Error::other)? else { break };
            retrieval.feed(&piece, &mut output);
            if output.len() >= ENOUGH {
                self.wire.send(&output, patience).await?;
                output.clear();
            }
        }
        retrieval.finish(&mut output);
        self.wire.send(&output, patience).await?;
        self.deadline = Instant::now() + self.session.patience();
        Ok(())
    }
}

fn trouble(error: impl std::fmt::Display) {
    tracing::warn!(%error, "no answer for a mail program");
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tokio::net::TcpStream;

    use super::*;
    use crate::pop3::Server;

    #[tokio::test]
    async fn an_idle_connection_is_small() {
        use std::mem::size_of_val;
        let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let stream = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        let directory = iems_store::directory::StoreDirectory::new(
            iems_core::storage::MemoryStorage::new().storage(),
            Arc::new(iems_core::seam::SystemClock),
            Default::default(),
        );
        let maildrops = crate::pop3::Maildrops::new(Arc::new(directory));
        let server = Server::new(crate::pop3::ServerOptions::new("mx"), vec![], maildrops, None).unwrap();
        let peer = IpAddr::from([127, 0, 0, 1]);
        let task = run(
            server.shared(),
            Guest { socket: stream, peer, implicit_tls: false },
            CancellationToken::new(),
        );
        assert!(size_of_val(&task) < 8 * 1024, "{} octets", size_of_val(&task));
    }
}
