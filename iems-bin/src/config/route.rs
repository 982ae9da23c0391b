//! `[[route]]`: where mail for a domain goes, and as whom we log in there.
//!
//! A login is for one server, whichever routes lead to it. Its password is the first line of a file, which is read with the
//! configuration, so that SIGHUP takes a new one over.

use std::path::Path;

use iems_core::message::{ChannelId, NextHop};
use iems_core::route::{Pattern, RouteTable, Via};
use iems_core::seam::sasl::client;
use iems_smtp::client::{Login, Logins};

use super::files::ReadPassword;
use super::problem::Notes;
use super::read::{At, need, section};

section! {
    /// One route.
    WrittenRoute {
        /// For which domains.
        domain: Pattern;
        /// The way.
        via: Via;
        /// As whom we log in there.
        user: String;
        /// The file with the password.
        password_file: String;
    }
}

/// All routes and logins. Mail for domains without a route goes by MX records, unless there is a route for `*`.
pub(super) fn routes(
    written: &[At<WrittenRoute>],
    folder: &Path,
    read: ReadPassword,
    notes: &mut Notes<'_>,
) -> (RouteTable, Logins) {
    let everywhere = Via::Channel { channel: ChannelId::new("smtp"), hop: None };
    let mut table = RouteTable::new().with(Pattern::Any, everywhere);
    let (mut logins, mut seen, mut known) = (Logins::new(), Vec::new(), Vec::new());
    for route in written {
        let domain = need(route.domain.clone(), "domain", "route", &route.span, notes);
        let via = need(route.via.clone(), "via", "route", &route.span, notes);
        let (Some(domain), Some(via)) = (domain, via) else { continue };
        if seen.contains(&domain) {
            let span = route.domain.as_ref().and_then(|d| d.span.as_ref());
            notes.add(span, "route.domain", format!("route.domain: there are two routes for \"{domain}\""));
        }
        seen.push(domain.clone());
        if let Some(written) = Written::of(route, &via, notes) {
            written.compare(&mut known, notes);
            if let Some(login) = written.read(folder, read, notes) {
                logins = logins.with(written.hop, login);
            }
        }
        table = table.with(domain, via);
    }
    (table, logins)
}

/// A login as written.
struct Written<'a> {
    hop: NextHop,
    user: &'a At<String>,
    file: &'a At<String>,
}

impl<'a> Written<'a> {
    /// The login of a route, if it has a whole one and leads to a server.
    fn of(route: &'a WrittenRoute, via: &Via, notes: &mut Notes<'_>) -> Option<Self> {
        let (key, span, message) = match (&route.user, &route.password_file, via) {
            (None, None, _) => return None,
            (Some(user), Some(file), Via::Channel { channel, hop: Some(hop) })
                if channel.as_str() == "smtp" =>
            {
                return Some(Self { hop: hop.clone(), user, file });
            }
            (Some(user), Some(_), _) => {
                let right = "expected a route via \"smtp:host:port\"; no other way has a server to log in to";
                ("route.user", &user.span, right)
            }
            (Some(user), None, _) => ("route.user", &user.span, "a user needs a `password_file`"),
            (None, Some(file), _) => ("route.password_file", &file.span, "a password needs its `user`"),
        };
        notes.add(span.as_ref(), key, format!("{key}: {message}"));
        None
    }

    /// Notes that another route leads to the same server as somebody else.
    fn compare(&self, known: &mut Vec<(NextHop, &'a str, &'a str)>, notes: &mut Notes<'_>) {
        let other = known.iter().find(|(hop, ..)| *hop == self.hop);
        if other.is_some_and(|(_, user, file)| (*user, *file) != (&self.user.value, &self.file.value)) {
            let message = format!(
                "route.user: there are two logins for {}; expected one `user` and one `password_file` for a server",
                self.hop
            );
            notes.add(self.user.span.as_ref(), "route.user", message);
        }
        known.push((self.hop.clone(), &self.user.value, &self.file.value));
    }

    fn read(&self, folder: &Path, read: ReadPassword, notes: &mut Notes<'_>) -> Option<Login> {
        let file = folder.join(&self.file.value);
        let (key, span) = ("route.password_file", self.file.span.as_ref());
        match read(&file) {
            Err(why) => notes.add(span, key, format!("{key}: {why}")),
            Ok(None) => {}
            Ok(Some(found)) => {
                if let Some(mode) = found.open {
                    let shown = file.display();
                    let message = format!(
                        "{key}: everybody on this machine can read {shown} (mode {mode:04o}), expected 0640 or \
                         less: chmod o= {shown}"
                    );
                    notes.warn(span, key, message);
                }
                match Login::new(&self.user.value, found.password) {
                    Ok(login) => return Some(login),
                    Err(client::LoginError::User) => {
                        let message = format!("route.user: {}", client::LoginError::User);
                        notes.add(self.user.span.as_ref(), "route.user", message);
                    }
                    Err(error) => {
                        let message = format!("{key}: {}: in its first line {error}", file.display());
                        notes.add(span, key, message);
                    }
                }
            }
        }
        None
    }
}
