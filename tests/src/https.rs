//! A web server with one page, such as a policy host: blocking, TLS only, one answer for each connection.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::certificates::Certificates;

/// What it answers.
#[derive(Debug, Clone)]
pub struct Page {
    /// The status line behind `HTTP/1.1 `.
    pub status: String,
    /// The media type.
    pub kind: String,
    /// The body.
    pub body: String,
}

impl Page {
    /// A page of plain text.
    pub fn text(body: &str) -> Self {
        Self { status: "200 OK".into(), kind: "text/plain".into(), body: body.into() }
    }
}

/// A request as it came: its head, and its body.
pub type Asked = (String, Vec<u8>);

struct State {
    page: Mutex<Page>,
    asked: Mutex<Vec<Asked>>,
    stop: AtomicBool,
}

/// A running server; dropping it closes the port.
pub struct Https {
    /// Where it listens.
    pub at: SocketAddrV4,
    state: Arc<State>,
    acceptor: Option<std::thread::JoinHandle<()>>,
}

impl Https {
    /// Listens on port 443 of `ip` with this certificate.
    ///
    /// # Panics
    /// If the port cannot be had, or the certificate is not good.
    pub fn start(ip: Ipv4Addr, certificates: &Certificates, page: Page) -> Self {
        let at = SocketAddrV4::new(ip, 443);
        let listener = TcpListener::bind(at).unwrap_or_else(|e| panic!("{at}: {e}"));
        listener.set_nonblocking(true).expect("a listener without waiting");
        let chain = CertificateDer::from_pem_file(&certificates.certificate).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(&certificates.key).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .expect("a certificate and its key");
        let (page, asked, stop) = (Mutex::new(page), Mutex::default(), AtomicBool::new(false));
        let state = Arc::new(State { page, asked, stop });
        let (shared, config) = (Arc::clone(&state), Arc::new(config));
        let acceptor = std::thread::spawn(move || accept(&listener, &shared, &config));
        Self { at, state, acceptor: Some(acceptor) }
    }

    /// Answers otherwise from now on.
    ///
    /// # Panics
    /// If a thread of the server panicked.
    pub fn page(&self, page: Page) {
        *self.state.page.lock().expect("no panic") = page;
    }

    /// What was asked until now.
    ///
    /// # Panics
    /// If a thread of the server panicked.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.asked.lock().expect("no panic").clone()
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, state: &Arc<State>, config: &Arc<ServerConfig>) {
    while !state.stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => {
                let (state, config) = (Arc::clone(state), Arc::clone(config));
                std::thread::spawn(move || {
                    // A peer that does not believe us leaves in the handshake.
                    let _ = serve(stream, &state, config);
                });
            }
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn serve(stream: TcpStream, state: &State, config: Arc<ServerConfig>) -> std::io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut tls = StreamOwned::new(connection, stream);
    let (mut input, mut space) = (Vec::new(), [0; 4096]);
    let whole = |input: &[u8]| {
        let end = input.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&input[..end]).into_owned();
        let field =
            head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
        let body = &input[end..];
        (body.len() >= field.unwrap_or(0)).then(|| (head, body.to_vec()))
    };
    let asked = loop {
        if let Some(asked) = whole(&input) {
            break asked;
        }
        match tls.read(&mut space)? {
            0 => return Ok(()),
            read => input.extend_from_slice(&space[..read]),
        }
    };
    state.asked.lock().expect("no panic").push(asked);
    let Page { status, kind, body } = state.page.lock().expect("no panic").clone();
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n");
    tls.write_all(head.as_bytes())?;
    tls.write_all(body.as_bytes())?;
    tls.conn.send_close_notify();
    tls.flush()
}
