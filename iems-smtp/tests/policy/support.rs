//! A clock that is set, names from a table, a web server behind every address.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use iems_core::seam::{Answer, Clock, Dialer, Endpoint, Mx, ResolveError, Resolver, Stream, Timestamp};
use rustls::RootCertStore;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsAcceptor;

/// Time stands still until it is moved.
pub(crate) struct SetClock(Mutex<Timestamp>);

impl SetClock {
    /// Noon of a day in 2026.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(Timestamp::from_millis(20_730 * 86_400_000 + 43_200_000))))
    }

    pub(crate) fn pass(&self, span: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.after(span);
    }
}

#[async_trait]
impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    async fn sleep_until(&self, _: Timestamp) {
        std::future::pending().await
    }
}

pub(crate) fn hours(count: u64) -> Duration {
    Duration::from_secs(3600 * count)
}

/// The answer of a server that takes connections and says nothing.
pub(crate) const SILENCE: &str = "silence";

/// Names, and web servers for them.
#[derive(Default)]
pub(crate) struct Web {
    texts: Mutex<HashMap<String, Result<Vec<String>, ResolveError>>>,
    questions: Mutex<usize>,
    answer: Mutex<String>,
    asked: Mutex<Vec<Vec<u8>>>,
    acceptor: Option<TlsAcceptor>,
}

impl Web {
    /// All servers have one certificate for these names; with it, whom to believe.
    pub(crate) fn new(names: &[&str]) -> (Arc<Self>, RootCertStore) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let acceptor = Some(TlsAcceptor::from(Arc::new(config)));
        (Arc::new(Self { acceptor, ..Self::default() }), roots)
    }

    pub(crate) fn text(&self, name: &str, record: Result<&str, ResolveError>) {
        let record = record.map(|text| vec![text.to_owned()]);
        self.texts.lock().unwrap().insert(name.to_owned(), record);
    }

    /// What every server answers from now on.
    pub(crate) fn page(&self, status: &str, kind: &str, body: &str) {
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
        *self.answer.lock().unwrap() = head + body;
    }

    /// Every server takes connections and says nothing from now on.
    pub(crate) fn silence(&self) {
        *self.answer.lock().unwrap() = SILENCE.into();
    }

    /// The requests until now.
    pub(crate) fn asked(&self) -> Vec<Vec<u8>> {
        self.asked.lock().unwrap().clone()
    }

    /// How often a text was asked for.
    pub(crate) fn questions(&self) -> usize {
        *self.questions.lock().unwrap()
    }
}

/// Both seams, which share what they know.
#[derive(Clone)]
pub(crate) struct Way(pub(crate) Arc<Web>);

#[async_trait]
impl Dialer for Way {
    async fn dial(&self, _: &Endpoint, _: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let web = self.0.clone();
        if web.answer.lock().unwrap().is_empty() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = duplex(1 << 20);
        tokio::spawn(async move {
            if *web.answer.lock().unwrap() == SILENCE {
                let _theirs = theirs;
                return std::future::pending().await;
            }
            let acceptor = web.acceptor.clone().unwrap();
            let Ok(mut stream) = acceptor.accept(theirs).await else { return };
            let (mut input, mut space) = (Vec::new(), [0; 4096]);
            loop {
                let read = stream.read(&mut space).await.unwrap_or(0);
                input.extend_from_slice(&space[..read]);
                let text = String::from_utf8_lossy(&input).into_owned();
                let end = text.find("\r\n\r\n").map(|at| at + 4);
                let length =
                    text.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse().ok());
                let whole = end.is_some_and(|end| input.len() >= end + length.unwrap_or(0));
                if whole || read == 0 {
                    break;
                }
            }
            web.asked.lock().unwrap().push(input);
            let answer = web.answer.lock().unwrap().clone();
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        });
        Ok(Box::new(ours))
    }
}

fn answer<T>(records: Vec<T>) -> Answer<T> {
    Answer { records, secure: false, ttl: Duration::from_secs(60) }
}

#[async_trait]
impl Resolver for Way {
    async fn mx(&self, _: &str) -> Result<Answer<Mx>, ResolveError> {
        Ok(answer(vec![Mx { preference: 10, host: "mx.shared.example".into() }]))
    }

    async fn addresses(&self, _: &str) -> Result<Answer<IpAddr>, ResolveError> {
        Ok(answer(vec![[192, 0, 2, 1].into()]))
    }

    async fn txt(&self, name: &str) -> Result<Answer<String>, ResolveError> {
        *self.0.questions.lock().unwrap() += 1;
        let texts = self.0.texts.lock().unwrap();
        texts.get(name).cloned().unwrap_or(Err(ResolveError::NoName)).map(answer)
    }

    async fn names(&self, _: IpAddr) -> Result<Answer<String>, ResolveError> {
        Err(ResolveError::NoRecords)
    }
}
