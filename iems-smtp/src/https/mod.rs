//! Just enough HTTP/1.1 over TLS: one request on one connection, one bounded answer, nothing followed (RFC 9112).
//!
//! Names come from a `Resolver`, connections from a `Dialer`; the certificate must be good for the host's name.

mod answer;
mod url;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use iems_core::seam::{Dialer, Endpoint, ResolveError, Resolver, Stream};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

pub(crate) use answer::{Answer, Reader};
pub(crate) use url::Url;

/// The most addresses of a host that are tried.
const TRIES: usize = 4;
/// How long one of them may take to answer: one kind of address that does not work must not take all the time.
const CONNECT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpsError {
    /// The host has no address now.
    #[error("the address of {0} cannot be found: {1}")]
    Names(String, ResolveError),
    /// Nobody answers.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The certificate is not good for the host.
    #[error("its certificate is not good: {0}")]
    Certificate(String),
    /// Reading or writing failed.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// What came is no answer.
    #[error("the answer is not to be understood: {0}")]
    Garbled(&'static str),
    /// The answer is larger than anybody needs.
    #[error("the answer is larger than {0} octets")]
    TooLarge(usize),
    /// It took too long.
    #[error("no answer within {0:?}")]
    Late(Duration),
}

/// What is asked.
pub(crate) struct Request<'a> {
    pub(crate) url: &'a Url,
    /// What is sent with it, and of which type; `None` for GET.
    pub(crate) body: Option<(&'a str, &'a [u8])>,
    /// How long it may take, in all.
    pub(crate) limit: Duration,
    /// The most octets of the answer's body.
    pub(crate) largest: usize,
}

/// A client.
#[derive(Clone)]
pub(crate) struct Https {
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    tls: Arc<ClientConfig>,
}

impl Https {
    /// A client that believes certificates of `roots`.
    pub(crate) fn new(
        roots: &RootCertStore,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut tls = builder.with_root_certificates(roots.clone()).with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { resolver, dialer, tls: Arc::new(tls) })
    }

    /// Asks.
    pub(crate) async fn ask(&self, request: &Request<'_>) -> Result<Answer, HttpsError> {
        let late = |_| HttpsError::Late(request.limit);
        timeout(request.limit, self.exchange(request)).await.map_err(late)?
    }

    async fn exchange(&self, request: &Request<'_>) -> Result<Answer, HttpsError> {
        let stream = self.dial(request.url).await?;
        let name =
            ServerName::try_from(request.url.host.clone()).map_err(|_| HttpsError::Garbled("no host"))?;
        let connected = TlsConnector::from(self.tls.clone()).connect(name, stream).await;
        let mut stream = connected.map_err(|error| match error.get_ref().and_then(|e| e.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(why)) => HttpsError::Certificate(format!("{why:?}")),
            _ => HttpsError::Io(error),
        })?;
        stream.write_all(head(request).as_bytes()).await?;
        if let Some((_, body)) = request.body {
            stream.write_all(body).await?;
        }
        stream.flush().await?;
        let (mut reader, mut space) = (Reader::new(request.largest), [0; 8192]);
        loop {
            let read = match stream.read(&mut space).await {
                Ok(read) => read,
                // Whoever closes without saying so may have been cut off: only what has a length is whole then.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return reader.cut_off().ok_or(HttpsError::Io(error));
                }
                Err(error) => return Err(error.into()),
            };
            if let Some(answer) = reader.feed(&space[..read])? {
                return Ok(answer);
            }
        }
    }

    async fn dial(&self, url: &Url) -> Result<Box<dyn Stream>, HttpsError> {
        let addresses = self.resolver.addresses(&url.host).await;
        let addresses = addresses.map_err(|error| HttpsError::Names(url.host.clone(), error))?;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for ip in addresses.records.into_iter().take(TRIES) {
            let endpoint = Endpoint::Tcp(SocketAddr::new(ip, url.port));
            match timeout(CONNECT, self.dialer.dial(&endpoint, None)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = error,
                Err(_) => last = io::ErrorKind::TimedOut.into(),
            }
        }
        Err(HttpsError::Connect(last))
    }
}

fn head(request: &Request<'_>) -> String {
    let url = request.url;
    let host = if url.port == 443 { url.host.clone() } else { format!("{}:{}", url.host, url.port) };
    let method = if request.body.is_some() { "POST" } else { "GET" };
    let mut head = format!(
        "{method} {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: iems\r\nAccept: */*\r\nConnection: close\r\n",
        url.target
    );
    if let Some((kind, body)) = request.body {
        head.push_str(&format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()));
    }
    head + "\r\n"
}
