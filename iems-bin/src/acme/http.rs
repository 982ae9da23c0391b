//! Requests of the ACME client: one connection each, HTTP/1.1 over TLS, names by our resolver, answers bounded.

use std::error::Error as StdError;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Limited;
use hyper::Request;
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use iems_core::seam::{Dialer, Endpoint, Resolver};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::crypto::ring::default_provider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

/// The largest answer: a chain of certificates is far below.
const LARGEST: usize = 1 << 20;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many addresses of the host are tried.
const TRIES: usize = 4;

type Boxed = Box<dyn StdError + Send + Sync>;

/// A client that believes certificates of `roots`.
#[derive(Clone)]
pub(super) struct Https {
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    tls: TlsConnector,
}

impl Https {
    pub(super) fn new(
        roots: RootCertStore,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
    ) -> Result<Self, rustls::Error> {
        let provider = Arc::new(default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { resolver, dialer, tls: TlsConnector::from(Arc::new(tls)) })
    }

    async fn ask(self, mut request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Boxed> {
        let uri = request.uri().clone();
        let host = uri.host().ok_or("a URL without a host")?.trim_matches(['[', ']']).to_owned();
        if uri.scheme_str() != Some("https") {
            return Err(format!("{uri}: expected https").into());
        }
        let stream = self.dial(&host, uri.port_u16().unwrap_or(443)).await?;
        let stream = self.tls.connect(ServerName::try_from(host)?, stream).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let talk = tokio::spawn(connection);
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        request.headers_mut().insert(HOST, HeaderValue::from_str(authority)?);
        *request.uri_mut() = uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
        let answer = sender.send_request(request).await?;
        let (parts, body) = answer.into_parts();
        let body = http_body_util::BodyExt::collect(Limited::new(body, LARGEST)).await?.to_bytes();
        talk.abort();
        Ok(BytesResponse { parts, body: Box::new(body) })
    }

    async fn dial(&self, host: &str, port: u16) -> Result<Box<dyn iems_core::seam::Stream>, Boxed> {
        let addresses = match host.parse() {
            Ok(address) => vec![address],
            Err(_) => self.resolver.addresses(host).await.map_err(|why| format!("{host}: {why}"))?.records,
        };
        let mut last: Boxed = format!("{host} has no address").into();
        for ip in addresses.into_iter().take(TRIES) {
            match self.dialer.dial(&Endpoint::Tcp(SocketAddr::new(ip, port)), None).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = format!("cannot connect to {host} ({ip}): {error}").into(),
            }
        }
        Err(last)
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let asked = tokio::time::timeout(PATIENCE, self.clone().ask(request));
        Box::pin(async move {
            match asked.await {
                Ok(answer) => answer.map_err(Error::Other),
                Err(_) => Err(Error::Other(format!("no answer within {PATIENCE:?}").into())),
            }
        })
    }
}
