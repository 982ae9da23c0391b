//! One connection: carries the dialogue over its socket, and answers its questions from directory and mailboxes.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use iems_core::limits::{Act, Who};
use iems_core::seam::Directory;
use iems_core::seam::sasl::Beneath;
use iems_store::mailbox::{Message, Uid};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::maildrops::Held;
use super::server::Shared;
use super::session::{Event, Link, NotFound, Session};
use super::wire::Wire;
use super::{Part, Retrieval};

/// How much of a message is collected before it is sent, in octets.
const ENOUGH: usize = 32 * 1024;
/// How long the end of a connection may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves one peer to the end.
pub(super) async fn run(
    shared: Arc<Shared>,
    socket: TcpStream,
    peer: IpAddr,
    implicit_tls: bool,
    shutdown: CancellationToken,
) -> io::Result<()> {
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
    let mut connection =
        Connection { shared, wire, session, held: None, deadline, peer, login: String::new(), failures: 0 };
    loop {
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
                    connection.wire.close(FAREWELL).await;
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
    let config = shared.tls.as_ref().ok_or(io::ErrorKind::Unsupported)?.load_full();
    let handshake = wire.secure(&config, shared.options.auth.believed.as_ref());
    timeout(shared.options.timeouts.handshake, handshake).await.map_err(|_| io::ErrorKind::TimedOut)?
}

struct Connection {
    shared: Arc<Shared>,
    wire: Wire,
    session: Session,
    peer: IpAddr,
    /// The login that was tried last.
    login: String,
    /// Failed logins that the limits know of.
    failures: u32,
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
        self.count_failures();
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

    /// Whether a login may be tried from here; otherwise the peer hears which limit it has hit, and is hung up on.
    fn may_try(&mut self, login: &str) -> bool {
        self.count_failures();
        login.clone_into(&mut self.login);
        match self.shared.limits.check(Act::Failure, &self.who()) {
            Ok(()) => true,
            Err(hit) => {
                self.session.turn_away(&hit.text());
                false
            }
        }
    }

    /// Tells the limits of logins that failed.
    fn count_failures(&mut self) {
        let failures = self.session.failed_logins();
        let new = failures.saturating_sub(std::mem::replace(&mut self.failures, failures));
        if new > 0 {
            let _ = self.shared.limits.take(Act::Failure, &self.who(), u64::from(new));
        }
    }

    fn who(&self) -> Who<'_> {
        let login = Some(self.login.as_str()).filter(|login| !login.is_empty());
        Who { scope: &self.shared.scope, address: Some(self.peer), login, ..Who::default() }
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
            Event::Password { login, password } => {
                if !self.may_try(&login) {
                    return Ok(None);
                }
                let directory = self.shared.maildrops.directory();
                let found = directory.check_password(&login, password.as_str()).await;
                if let Ok(None) = found {
                    tracing::info!(login, "wrong login or password");
                }
                Ok(self.session.password(found.map_err(trouble)))
            }
            Event::Verifier { login } => {
                if !self.may_try(&login) {
                    return Ok(None);
                }
                let found = self.shared.maildrops.directory().scram(&login).await;
                Ok(self.session.verifier(found.map_err(trouble)))
            }
            Event::Certificate { certificate, identity } => {
                let directory = self.shared.maildrops.directory();
                let found = directory.by_certificate(&certificate, identity.as_deref()).await;
                if let Ok(None) = found {
                    tracing::info!(%certificate, "the certificate stands for no account");
                }
                Ok(self.session.password(found.map_err(trouble)))
            }
            Event::Token { login, token } => {
                if !self.may_try(login.as_deref().unwrap_or("(by token)")) {
                    return Ok(None);
                }
                let directory = self.shared.maildrops.directory();
                let found = directory.by_token(login.as_deref(), token.as_str()).await;
                if let Ok(None) = found {
                    tracing::info!(login, "the token is not good");
                }
                Ok(self.session.password(found.map_err(trouble)))
            }
            Event::Open(account) => {
                let options = &self.shared.options;
                let (delay, most) = (options.login_delay, options.limits.messages);
                let opened = self.shared.maildrops.open(&account, delay, most).await;
                let opened = opened.map(|(held, maildrop)| {
                    tracing::info!(account = %account.mailbox, "logged in");
                    self.held = Some(held);
                    maildrop
                });
                self.session.opened(opened);
                Ok(None)
            }
            Event::Retrieve { uid, part } => self.retrieve(uid, part).await.map(|()| None),
            Event::Remove(uids) => {
                let removed = self.remove(&uids).await;
                self.session.removed(removed);
                Ok(None)
            }
            Event::Flush => self.flush().await.map(|()| None),
            Event::Close | Event::StartTls => Ok(None),
        }
    }

    async fn remove(&self, uids: &[Uid]) -> Result<(), ()> {
        let info = &self.held.as_ref().ok_or(())?.info;
        let removed = self.shared.maildrops.mailboxes().expunge(info.id, info.inbox, uids).await;
        removed.map(drop).map_err(trouble)
    }

    async fn find(&self, uid: Uid) -> Result<Message, NotFound> {
        let info = &self.held.as_ref().ok_or(NotFound::Gone)?.info;
        let found = self.shared.maildrops.mailboxes().message(info.id, info.inbox, uid).await;
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
        let maildrops = self.shared.maildrops.clone();
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
        let task = run(server.shared().clone(), stream, peer, false, CancellationToken::new());
        assert!(size_of_val(&task) < 8 * 1024, "{} octets", size_of_val(&task));
    }
}
