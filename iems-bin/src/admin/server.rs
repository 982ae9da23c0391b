//! The server's end of the administration socket, and of that where users submit: reads requests, lets the office answer them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::BufStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::office::{Office, Submission};
use super::request::{Letter, Request};
use super::socket::{Listener, Stream};
use super::submit::SubmitRules;
use super::wire::{Envelope, LONGEST_REQUEST, Response, VERSION, receive, receive_piece, send};
use crate::exit::Failure;

/// Connections at once: administration is one person, submission a few programs.
const CONNECTIONS: usize = 64;
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(300);

/// A socket that waits for administrators, or for whoever wants to submit.
pub(crate) struct Desk {
    listener: Listener,
    /// What users may submit; `None` at the desk of administrators.
    users: Option<SubmitRules>,
}

impl Desk {
    /// Opens the socket at `path`.
    pub(crate) async fn open(path: &Path) -> Result<Self, Failure> {
        let listener = Listener::bind(path).await.map_err(|e| {
            Failure::cannot_create(format!(
                "cannot open the administration socket {}: {e}; set another one with [admin] socket",
                path.display()
            ))
        })?;
        Ok(Self { listener, users: None })
    }

    /// Opens a socket at `path` where every user of the machine submits.
    pub(crate) async fn open_for_users(path: &Path, rules: SubmitRules) -> Result<Self, Failure> {
        let listener = Listener::bind_for_all(path).await.map_err(|e| {
            Failure::cannot_create(format!(
                "cannot open the submission socket {}: {e}; set another one with [submit] socket",
                path.display()
            ))
        })?;
        Ok(Self { listener, users: Some(rules) })
    }

    /// Serves until `shutdown`.
    pub(crate) async fn serve(self, office: Arc<dyn Office>, shutdown: CancellationToken) {
        let (desk, room) = (Arc::new(self), Arc::new(Semaphore::new(CONNECTIONS)));
        loop {
            let Ok(seat) = room.clone().acquire_owned().await else { return };
            let (stream, uid) = tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                accepted = desk.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "administration socket");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
            };
            let (desk, office) = (desk.clone(), office.clone());
            tokio::spawn(async move {
                let _seat = seat;
                if let Err(error) = desk.talk(stream, uid, &*office).await {
                    tracing::debug!(%error, "an administrator hung up");
                }
            });
        }
    }

    async fn talk(&self, stream: Stream, uid: Option<u32>, office: &dyn Office) -> std::io::Result<()> {
        let mut stream = BufStream::new(stream);
        let read = tokio::time::timeout(SILENCE, receive::<Envelope>(&mut stream, LONGEST_REQUEST)).await;
        let response = match read {
            Err(_) => return Ok(()),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Ok(Err(error)) => Response::Failure(Failure::data(format!("not a request: {error}"))),
            Ok(Ok(envelope)) => self.serve_request(envelope, uid, office, &mut stream).await?,
        };
        send(&mut stream, &response).await
    }

    async fn serve_request(
        &self,
        envelope: Envelope,
        uid: Option<u32>,
        office: &dyn Office,
        stream: &mut BufStream<Stream>,
    ) -> std::io::Result<Response> {
        if !self.listener.admits(envelope.token.as_deref()) {
            return Ok(Response::Failure(Failure::forbidden("wrong secret")));
        }
        if envelope.version != VERSION {
            let (theirs, ours) = (envelope.version, VERSION);
            let message =
                format!("this server speaks version {ours} of the administration protocol, not {theirs}");
            return Ok(Response::Failure(Failure::unavailable(message)));
        }
        let user = self.users.as_ref().zip(uid).map(|(rules, uid)| (rules, rules.user(uid, own_uid())));
        match envelope.request {
            Request::Sendmail { letter } => {
                let (letter, field) = match &user {
                    Some((rules, user)) => rules.apply(user, letter),
                    None => (letter, None),
                };
                match begin(office, letter, field).await {
                    Err(failure) => Ok(Response::Failure(failure)),
                    Ok(submission) => {
                        send(stream, &Response::Ok(serde_json::Value::Null)).await?;
                        take(submission, stream).await
                    }
                }
            }
            request if user.is_some() && !matches!(request, Request::Verify { .. }) => {
                let message = "through the submission socket mail is submitted, and nothing else done: run this as the \
                               user the server runs as, or as root";
                Ok(Response::Failure(Failure::forbidden(message)))
            }
            request => Ok(response(office.answer(request).await)),
        }
    }
}

/// Opens a submission, with a field in front of what follows.
async fn begin(
    office: &dyn Office,
    letter: Letter,
    field: Option<String>,
) -> Result<Box<dyn Submission>, Failure> {
    let mut submission = office.submit(letter).await?;
    if let Some(field) = field {
        submission.write(field.into()).await?;
    }
    Ok(submission)
}

#[cfg(unix)]
fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(not(unix))]
fn own_uid() -> u32 {
    0
}

/// Takes the pieces of a message. After a refusal the rest is read and dropped, so that the client hears why.
async fn take(
    mut submission: Box<dyn Submission>,
    stream: &mut BufStream<Stream>,
) -> std::io::Result<Response> {
    let mut refused = None;
    loop {
        let piece = tokio::time::timeout(SILENCE, receive_piece(stream)).await;
        match piece.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))?? {
            Some(octets) if refused.is_none() => refused = submission.write(octets).await.err(),
            Some(_) => {}
            None => break,
        }
    }
    Ok(match refused {
        Some(failure) => Response::Failure(failure),
        None => response(submission.commit().await),
    })
}

fn response<T: serde::Serialize>(result: Result<T, Failure>) -> Response {
    let value = result.and_then(|value| serde_json::to_value(value).map_err(Failure::data));
    value.map_or_else(Response::Failure, Response::Ok)
}
