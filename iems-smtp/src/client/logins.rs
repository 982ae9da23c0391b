//! Logins: as whom we send through a smart host. Pure look-up by the next hop, letter by letter; no pattern, because a
//! password is for one server.

use std::collections::HashMap;
use std::sync::Arc;

use iems_core::message::NextHop;
use iems_core::seam::sasl::client::Login;

/// Who we are for servers that want to know (RFC 4954), by next hop. Mail to a hop with a login goes nowhere without it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Logins(HashMap<NextHop, Arc<Login>>);

impl Logins {
    /// Nobody wants to know.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a login. Of two for the same hop, the later one counts.
    #[must_use]
    pub fn with(mut self, hop: NextHop, login: Login) -> Self {
        self.0.insert(hop, Arc::new(login));
        self
    }

    /// The login for a next hop, if there is one.
    pub fn at(&self, hop: &NextHop) -> Option<&Arc<Login>> {
        self.0.get(hop)
    }
}
