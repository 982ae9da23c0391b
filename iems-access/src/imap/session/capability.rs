//! What is offered (RFC 9051 section 6.1.1), and what is switched on (RFC 9051 section 6.3.1).

use super::{Enabled, Outcome, Output, Session, Sink, Stage};
use crate::imap::types::{Data, Status};

/// What is offered to whoever is logged in.
const AFTER_LOGIN: &[&str] = &[
    "IDLE",
    "NAMESPACE",
    "UIDPLUS",
    "MOVE",
    "UNSELECT",
    "CHILDREN",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "STATUS=SIZE",
    "ESEARCH",
    "SEARCHRES",
    "PARTIAL",
    "WITHIN",
    "SORT",
    "SORT=DISPLAY",
    "ESORT",
    "THREAD=ORDEREDSUBJECT",
    "THREAD=REFERENCES",
    "THREAD=REFS",
    "CONDSTORE",
    "QRESYNC",
    "UIDONLY",
    "UTF8=ACCEPT",
    "MULTIAPPEND",
    "BINARY",
    "PREVIEW",
    "REPLACE",
    "OBJECTID",
    "SAVEDATE",
    "ACL",
    "CATENATE",
    "RIGHTS=kxte",
    "METADATA",
    "LIST-MYRIGHTS",
    "LIST-METADATA",
    "NOTIFY",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
];

impl Session {
    /// What is offered now.
    pub(super) fn capabilities(&self) -> Vec<String> {
        // Never both (RFC 7888 section 5). Whoever is not known yet has to ask before anything large.
        let literals = if self.is_known() { "LITERAL+" } else { "LITERAL-" };
        let mut all: Vec<String> =
            ["IMAP4rev2", "IMAP4rev1", "SASL-IR", literals, "ID", "ENABLE"].map(String::from).into();
        if self.is_known() {
            all.extend(AFTER_LOGIN.iter().map(|name| (*name).to_owned()));
            if !self.enabled.compressed {
                all.push("COMPRESS=DEFLATE".into());
            }
            if self.may_unauthenticate() {
                all.push("UNAUTHENTICATE".into());
            }
            all.push(format!("APPENDLIMIT={}", self.options.limits.message_size));
            return all;
        }
        if self.link.tls_available && !self.link.tls {
            all.push("STARTTLS".into());
        }
        let auth = &self.options.auth;
        if !auth.passwords_may_pass(self.link) {
            all.push("LOGINDISABLED".into());
        }
        all.extend(auth.offered(self.link, &self.beneath).map(|m| format!("AUTH={}", m.name())));
        all
    }

    pub(super) fn tell_capabilities<S: Sink>(&self, out: &mut Output<'_, S>) -> Outcome {
        out.data(Data::Capability(self.capabilities()));
        Ok(Status::ok("That is what is known here"))
    }

    /// With IMAP4rev2, nothing is `\Recent`.
    async fn forget_recent(&mut self) {
        let Stage::User(user) = &mut self.stage else { return };
        let Some(selected) = user.selected.as_deref_mut() else { return };
        selected.view.forget_recent();
        if let Some(witness) = selected.witness.take() {
            witness.leave().await;
        }
    }

    /// `ENABLE` (RFC 9051 section 6.3.1, RFC 7162 section 3.2.3, RFC 6855 section 3, RFC 9586 section 3.1).
    pub(super) async fn enable<S: Sink>(&mut self, names: &[String], out: &mut Output<'_, S>) -> Outcome {
        let mut done = Vec::new();
        let Enabled { condstore, qresync, utf8, rev2, uid_only, .. } = self.enabled;
        for name in names {
            match name.as_str() {
                "IMAP4REV2" if !rev2 => {
                    self.enabled.rev2 = true;
                    self.forget_recent().await;
                    done.push("IMAP4rev2".to_owned());
                    continue;
                }
                "CONDSTORE" if !condstore => self.enabled.condstore = true,
                "QRESYNC" if !qresync => {
                    self.enabled.condstore = true;
                    self.enabled.qresync = true;
                }
                "UTF8=ACCEPT" if !utf8 => {
                    if self.user()?.selected.is_some() {
                        return Err(Status::bad("UTF8=ACCEPT is enabled before a mailbox is selected").into());
                    }
                    self.enabled.utf8 = true;
                }
                "UIDONLY" if !uid_only => self.enabled.uid_only = true,
                _ => continue,
            }
            if !done.contains(name) {
                done.push(name.clone());
            }
        }
        out.data(Data::Enabled(done));
        self.prepare(out);
        if self.enabled.condstore && !condstore {
            self.tell_highest(out).await?;
        }
        Ok(Status::ok("Enabled"))
    }
}
