//! The certificates of a running server: read from their files, shown by listeners, and read again when the files change.
//!
//! A file that is of no use changes nothing: the certificate before it stays, and the log says why. Sessions that are open keep what
//! they began with. Tickets (RFC 5077, RFC 8446 section 4.6.1) are good at all listeners that ask the same of their peers: a session from
//! a listener that asks for nothing is none where a certificate is asked for. Where one is required, no session is taken up again, so
//! that each connection shows its certificate and has it looked at.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use iems_smtp::client::TlsVersion;
use iems_smtp::server::{Believed, TlsConfig};
use rustls::ServerConfig;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use tokio_util::sync::CancellationToken;

use super::choice::Choice;
use super::pair::{Flaw, Pair};
use crate::admin::certificates::CertificateAnswer;
use crate::believe::Believer;
use crate::config::{Certificate, ClientCertificates, Config, Listener, NamedCertificate};

/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How often what is wrong is told again.
const REMIND: Duration = Duration::from_secs(86_400);

/// All certificates in use.
pub(crate) struct Kept {
    inner: Mutex<Inner>,
}

struct Inner {
    hostname: String,
    minimum: TlsVersion,
    places: Vec<Place>,
    /// What each pair of files gave when it was last of use.
    pairs: HashMap<Certificate, Arc<Pair>>,
    believers: HashMap<ClientCertificates, Arc<ArcSwap<Believer>>>,
    tickets: HashMap<Option<ClientCertificates>, Arc<dyn ProducesTickets>>,
    /// How the files were when they were read.
    seen: HashMap<PathBuf, Option<Stamp>>,
    /// Why a certificate could not be got, by its file.
    troubles: HashMap<PathBuf, String>,
}

/// Changes whenever a file is replaced or written to.
pub(crate) type Stamp = (SystemTime, u64, u64);

/// What a listener shows.
struct Place {
    name: (&'static str, SocketAddr),
    wanted: Wanted,
    handle: Option<TlsConfig>,
}

/// What the configuration says that it shows, and asks for.
#[derive(Clone)]
struct Wanted {
    files: Option<Certificate>,
    others: Vec<NamedCertificate>,
    client: Option<ClientCertificates>,
}

impl From<&Listener> for Wanted {
    fn from(listener: &Listener) -> Self {
        let (files, others) = (listener.certificate.clone(), listener.others.clone());
        Self { files, others, client: listener.client.clone() }
    }
}

impl Wanted {
    fn pairs(&self) -> impl Iterator<Item = &Certificate> {
        self.files.iter().chain(self.others.iter().map(|other| &other.files))
    }
}

impl Kept {
    /// Reads what the listeners of a configuration show. What is still to be got has something in its place.
    pub(crate) fn open(config: &Config) -> Result<Arc<Self>, String> {
        let mut inner = Inner::of(config);
        inner.fill_gaps()?;
        inner.note_stamps();
        inner.read_all().into_iter().next().map_or(Ok(()), Err)?;
        for at in 0..inner.places.len() {
            let fresh = inner.server_config(&inner.places[at].wanted.clone())?;
            inner.places[at].handle = fresh.map(|fresh| Arc::new(ArcSwap::new(fresh)));
        }
        Ok(Arc::new(Self { inner: Mutex::new(inner) }))
    }

    /// The same for a look only: what is not there is not shown.
    pub(super) fn look_at(config: &Config) -> Self {
        let mut inner = Inner::of(config);
        inner.read_all();
        Self { inner: Mutex::new(inner) }
    }

    /// Those that the server gets itself.
    #[cfg(feature = "acme")]
    pub(crate) fn managed(&self) -> Vec<NamedCertificate> {
        let inner = self.lock();
        let mut all: Vec<NamedCertificate> = Vec::new();
        for other in inner.places.iter().flat_map(|place| &place.wanted.others) {
            if other.managed && !all.iter().any(|known| known.files == other.files) {
                all.push(other.clone());
            }
        }
        all
    }

    /// Whether a certificate is to be got: there is none, none for all of its hosts, or two thirds of its life are over (a bit less,
    /// so that not all of a site are renewed at once).
    #[cfg(feature = "acme")]
    pub(crate) fn is_due(&self, certificate: &NamedCertificate) -> bool {
        match self.lock().pairs.get(&certificate.files) {
            Some(pair) => pair.facts.is_due(&certificate.names, super::now()),
            None => true,
        }
    }

    /// Notes why a certificate could not be got, or that it could.
    #[cfg(feature = "acme")]
    pub(crate) fn note(&self, file: &Path, trouble: Option<String>) {
        let troubles = &mut self.lock().troubles;
        match trouble {
            Some(trouble) => troubles.insert(file.to_owned(), trouble),
            None => troubles.remove(file),
        };
    }

    /// What servers take for the listener at this place of the configuration, and whom they believe.
    pub(crate) fn of(&self, at: usize) -> (Option<TlsConfig>, Option<Believed>) {
        let inner = self.lock();
        let Some(place) = inner.places.get(at) else { return (None, None) };
        let believer = place.wanted.client.as_ref().and_then(|client| inner.believers.get(client)).cloned();
        let believed =
            believer.map(|believer| Arc::new(move |chain: &[_]| believer.load().believes(chain)) as Believed);
        (place.handle.clone(), believed)
    }

    /// Takes over which files listeners show. What they ask of peers stays.
    pub(crate) fn take_over(&self, config: &Config) {
        let mut inner = self.lock();
        inner.minimum = config.tls_minimum;
        for place in &mut inner.places {
            let same = |listener: &&Listener| (listener.protocol.name(), listener.address) == place.name;
            if let Some(listener) = config.listeners.iter().find(same)
                && listener.certificate.is_some() == place.wanted.files.is_some()
            {
                place.wanted = Wanted { client: place.wanted.client.clone(), ..Wanted::from(listener) };
            }
        }
        if let Err(why) = inner.fill_gaps() {
            tracing::error!("{why}");
        }
        inner.refresh();
    }

    /// Reads all files again.
    pub(crate) fn refresh(&self) {
        self.lock().refresh();
    }

    /// Reads files again when they change, and tells the log every day what is wrong with them, until `shutdown`.
    pub(crate) async fn watch(self: Arc<Self>, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(LOOK);
        let mut reminded = tokio::time::Instant::now();
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let (kept, remind) = (self.clone(), reminded.elapsed() >= REMIND);
            if remind {
                reminded = tokio::time::Instant::now();
            }
            let look = move || kept.look(remind);
            if tokio::task::spawn_blocking(look).await.is_err() {
                tracing::error!("certificates could not be looked at, by a defect");
            }
        }
    }

    pub(super) fn look(&self, remind: bool) {
        let mut inner = self.lock();
        if inner.have_changed() {
            inner.refresh();
        } else if remind {
            inner.shown().values().for_each(|shown| shown.tell());
        }
    }

    /// Every certificate that is shown.
    pub(crate) fn show(&self) -> Vec<CertificateAnswer> {
        self.lock().shown().into_values().map(Shown::answer).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl Inner {
    fn of(config: &Config) -> Self {
        let place = |listener: &Listener| {
            let (wanted, name) = (Wanted::from(listener), (listener.protocol.name(), listener.address));
            Place { name, wanted, handle: None }
        };
        Self {
            hostname: config.hostname.to_string(),
            minimum: config.tls_minimum,
            places: config.listeners.iter().map(place).collect(),
            pairs: HashMap::new(),
            believers: HashMap::new(),
            tickets: HashMap::new(),
            seen: HashMap::new(),
            troubles: HashMap::new(),
        }
    }

    /// Puts a certificate that nobody vouches for where one is still to be got.
    fn fill_gaps(&self) -> Result<(), String> {
        for other in self.places.iter().flat_map(|place| &place.wanted.others).filter(|other| other.managed) {
            if let Some(folder) = other.files.certificate.parent() {
                std::fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
            }
            super::placeholder(&other.files, &other.names).map_err(|failure| failure.to_string())?;
        }
        Ok(())
    }

    /// Reads all files, and has all listeners show what they give.
    fn refresh(&mut self) {
        self.note_stamps();
        let before = self.marks();
        for why in self.read_all() {
            tracing::error!("a certificate stays as it was: {why}");
        }
        for at in 0..self.places.len() {
            let (handle, wanted) = (self.places[at].handle.clone(), self.places[at].wanted.clone());
            match (handle, self.server_config(&wanted)) {
                (Some(handle), Ok(Some(fresh))) => handle.store(fresh),
                (_, Err(why)) => tracing::error!("a listener's certificates stay as they were: {why}"),
                _ => {}
            }
        }
        for shown in self.shown().into_values().filter(|shown| !before.contains(&shown.pair.facts.mark)) {
            let (file, until) = (shown.files.certificate.display(), super::day(shown.pair.facts.until));
            tracing::info!(%file, until, "a certificate was taken over");
            shown.tell();
        }
    }

    fn marks(&self) -> HashSet<[u8; 32]> {
        self.pairs.values().map(|pair| pair.facts.mark).collect()
    }

    /// Reads every file that anybody wants; says which were of no use. What nobody wants any more is forgotten.
    fn read_all(&mut self) -> Vec<String> {
        let wanted: HashSet<Certificate> =
            self.places.iter().flat_map(|place| place.wanted.pairs().cloned()).collect();
        self.pairs.retain(|files, _| wanted.contains(files));
        let mut wrong = Vec::new();
        for files in wanted {
            match Pair::read(&files) {
                Ok(pair) => drop(self.pairs.insert(files, Arc::new(pair))),
                Err(why) => wrong.push(why),
            }
        }
        for client in self.places.iter().filter_map(|place| place.wanted.client.as_ref()) {
            match (Believer::new(client), self.believers.get(client)) {
                (Ok(fresh), Some(handle)) => handle.store(fresh),
                (Ok(fresh), None) => {
                    self.believers.insert(client.clone(), Arc::new(ArcSwap::new(fresh)));
                }
                (Err(why), _) => wrong.push(why),
            }
        }
        wrong
    }

    /// What a listener needs for handshakes; nothing if it has no TLS.
    fn server_config(&mut self, wanted: &Wanted) -> Result<Option<Arc<ServerConfig>>, String> {
        let Some(files) = &wanted.files else { return Ok(None) };
        let gone = || "its files have been of no use so far".to_owned();
        let mut choice = Choice::new(self.pairs.get(files).ok_or_else(gone)?.key.clone());
        for other in &wanted.others {
            let Some(pair) = self.pairs.get(&other.files) else { continue };
            let own = if other.names.is_empty() { &pair.facts.names } else { &other.names };
            own.iter().for_each(|name| choice.add(name, &pair.key));
        }
        let versions: &[_] = match self.minimum {
            TlsVersion::V1_2 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            TlsVersion::V1_3 => &[&rustls::version::TLS13],
        };
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_protocol_versions(versions)
            .map_err(|e| e.to_string())?;
        let believer = wanted.client.as_ref().and_then(|client| self.believers.get(client));
        let config = match believer {
            Some(believer) => config.with_client_cert_verifier(believer.load_full()),
            None => config.with_no_client_auth(),
        };
        let mut config = config.with_cert_resolver(Arc::new(choice));
        if wanted.client.as_ref().is_some_and(|client| client.required) {
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = self.ticketer(wanted.client.as_ref())?;
        }
        Ok(Some(Arc::new(config)))
    }

    /// Whoever seals sessions of peers of whom this is asked. Its keys live in memory, and change every six hours.
    fn ticketer(&mut self, client: Option<&ClientCertificates>) -> Result<Arc<dyn ProducesTickets>, String> {
        if let Some(known) = self.tickets.get(&client.cloned()) {
            return Ok(known.clone());
        }
        let fresh = Ticketer::new().map_err(|e| format!("no keys for sessions: {e}"))?;
        self.tickets.insert(client.cloned(), fresh.clone());
        Ok(fresh)
    }

    fn files(&self) -> impl Iterator<Item = &Path> {
        let pairs = self.places.iter().flat_map(|place| place.wanted.pairs());
        let authorities = self.places.iter().filter_map(|place| place.wanted.client.as_ref()?.ca.as_deref());
        pairs.flat_map(|pair| [pair.certificate.as_path(), pair.key.as_path()]).chain(authorities)
    }

    fn note_stamps(&mut self) {
        self.seen = self.files().map(|file| (file.to_owned(), stamp(file))).collect();
    }

    fn have_changed(&self) -> bool {
        self.seen.iter().any(|(file, seen)| stamp(file) != *seen)
    }

    fn flaws(&self, files: &Certificate, pair: &Pair, hosts: &[String], now: i64) -> Vec<Flaw> {
        let trouble = self.troubles.get(&files.certificate);
        let trouble = trouble.map(|text| Flaw { urgent: true, text: text.clone() });
        trouble.into_iter().chain(pair.facts.flaws(hosts, now)).collect()
    }

    /// What is shown, by file.
    fn shown(&self) -> BTreeMap<PathBuf, Shown<'_>> {
        let mut all: BTreeMap<PathBuf, Shown<'_>> = BTreeMap::new();
        let now = super::now();
        for place in &self.places {
            let named =
                place.wanted.others.iter().map(|other| (&other.files, &other.names[..], other.managed));
            let host = std::slice::from_ref(&self.hostname);
            let is_named =
                |files: &Certificate| place.wanted.others.iter().any(|other| other.files == *files);
            let default =
                place.wanted.files.iter().filter(|files| !is_named(files)).map(|files| (files, host, false));
            for (files, hosts, managed) in default.chain(named) {
                let Some(pair) = self.pairs.get(files) else { continue };
                let shown = all.entry(files.certificate.clone()).or_insert_with(|| Shown {
                    files,
                    pair,
                    hosts,
                    managed,
                    places: Vec::new(),
                    flaws: self.flaws(files, pair, hosts, now),
                });
                shown.places.push(format!("{} {}", place.name.0, place.name.1));
            }
        }
        all
    }
}

/// A certificate, where it is shown, and what is wrong with it.
struct Shown<'a> {
    files: &'a Certificate,
    pair: &'a Pair,
    /// Whom it should be for.
    hosts: &'a [String],
    managed: bool,
    places: Vec<String>,
    flaws: Vec<Flaw>,
}

impl Shown<'_> {
    fn tell(&self) {
        let file = self.files.certificate.display();
        for Flaw { urgent, text } in &self.flaws {
            match urgent {
                true => tracing::error!(%file, "of this certificate: {text}"),
                false => tracing::warn!(%file, "of this certificate: {text}"),
            }
        }
    }

    fn answer(self) -> CertificateAnswer {
        let facts = &self.pair.facts;
        let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
        let of = if self.hosts.is_empty() { &facts.names[..] } else { self.hosts };
        let publishable = of.iter().filter(|host| !host.starts_with('*') && facts.is_for(host));
        let at = |seconds| jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string();
        CertificateAnswer {
            file: self.files.certificate.clone(),
            managed: self.managed,
            names: facts.names.clone(),
            hosts: self.hosts.to_vec(),
            listeners: self.places,
            issuer: facts.issuer.clone(),
            not_before: at(facts.from),
            not_after: at(facts.until),
            expires: facts.until,
            days: facts.days_left(super::now()),
            fingerprint: hex(&facts.mark),
            wrong: self.flaws.into_iter().map(|flaw| flaw.text).collect(),
            tlsa: publishable
                .map(|host| format!("_25._tcp.{host}. TLSA 3 1 1 {}", hex(&facts.key_mark)))
                .collect(),
        }
    }
}

/// `None` if there is no such file.
pub(crate) fn stamp(file: &Path) -> Option<Stamp> {
    let facts = std::fs::metadata(file).ok()?;
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&facts);
    #[cfg(not(unix))]
    let number = 0;
    Some((facts.modified().unwrap_or(SystemTime::UNIX_EPOCH), facts.len(), number))
}
