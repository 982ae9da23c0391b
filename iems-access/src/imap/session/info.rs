//! `ID` (RFC 2971).

use super::{Outcome, Output, Session, Sink};
use crate::imap::types::{Data, Status};

impl Session {
    pub(super) fn id<S: Sink>(
        &self,
        fields: Option<Vec<(String, Option<String>)>>,
        out: &mut Output<'_, S>,
    ) -> Outcome {
        for (name, value) in fields.into_iter().flatten() {
            tracing::debug!(name, value, "the mail program says of itself");
        }
        out.data(Data::Id(Some(vec![("name".into(), Some("IEMS".into()))])));
        Ok(Status::ok("Pleased to meet you"))
    }
}
