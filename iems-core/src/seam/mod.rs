//! Seams: what the engine is given instead of reaching for it.

pub mod certificate;
mod clock;
mod credential;
mod dialer;
mod directory;
mod memory;
mod prober;
mod random;
mod resolver;
pub mod sasl;
mod token;

pub use certificate::{CertificateMark, CertificateMarkError, PeerCertificate};
pub use clock::{Clock, SystemClock, Timestamp};
pub use credential::{Credential, Services, split_login};
pub use dialer::{Dialer, Endpoint, Stream};
pub use directory::{Account, Directory, DirectoryError, Resolution, ScramVerifier, Target};
pub use memory::{Memory, MemoryGauge};
pub use prober::{Probe, Prober};
pub use random::{Random, SeededRandom};
pub use resolver::{AddressKind, Answer, Association, Mx, NoResolver, ResolveError, Resolver};
pub use token::TokenVerifier;
