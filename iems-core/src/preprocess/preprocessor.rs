//! The contract of a preprocessor: a module that inspects, and may edit, but never decides.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

use crate::message::{Body, Envelope, Mailbox, Verdict};
use crate::receive::Connection;
use crate::route::Way;
use crate::storage::Blobs;

/// The moments at which a module can look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// A peer connected.
    Connect,
    /// It said its name.
    Hello,
    /// It gave a reverse-path.
    Mail,
    /// It gave a recipient.
    Recipient,
    /// The body has arrived; the reply has not left.
    Body,
}

/// What a module may look at. More is known at later stages.
pub struct Subject<'a> {
    /// The moment.
    pub stage: Stage,
    /// Who is connecting.
    pub connection: &'a Connection,
    /// From `Stage::Mail` on.
    pub envelope: Option<&'a Envelope>,
    /// At `Stage::Recipient` the one in question; at `Stage::Body` all that were accepted, whatever their flow:
    /// what a module finds in an unedited message is shared between flows.
    pub recipients: &'a [Mailbox],
    /// At `Stage::Body`.
    pub body: Option<(&'a Body, &'a Arc<dyn Blobs>)>,
    /// What earlier modules found.
    pub verdicts: &'a [Verdict],
    /// Whether the peer is one of the site's own machines or programs, which may send to anybody
    /// ([`crate::receive::Relay::trusts`]).
    pub trusted: bool,
    /// At `Stage::Recipient`: where mail for the recipient goes; empty elsewhere.
    pub ways: &'a [Way],
}

/// A change to a message. Applied to the copy of the recipients on whose flow the module runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// Adds a header field in front. The name must be an RFC 5322 field name, the value a single line;
    /// otherwise the edit is dropped and the fact recorded.
    Prepend {
        /// The field's name.
        name: String,
        /// The field's value.
        value: String,
    },
    /// Replaces octets of the stored message: an empty replacement removes them. Ranges of one
    /// module must not overlap.
    Splice {
        /// Octets of the body as the module read it.
        range: Range<u64>,
        /// What stands there instead.
        with: Bytes,
    },
}

/// What a module brings back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// What it found.
    pub verdicts: Vec<Verdict>,
    /// What it changes. Only at `Stage::Body`; ignored with a warning in the story elsewhere.
    pub edits: Vec<Edit>,
}

/// A module of the preprocessor.
///
/// - **Role**: finds facts about a message and may edit it. Never decides: that is [`super::Policy`]'s.
/// - **Called when**: at each of its `stages`, once per transaction and stage, if the channel action
///   matrix lets it run on the flow. May also be called by a delivery agent for one user or list.
/// - **Ordering**: modules run in the order of registration; each sees the verdicts before it.
/// - **Cancellation**: the future is dropped when the peer goes away; nothing may be left half done.
/// - **Idempotency**: may run again for the same message (a retry by the peer).
/// - **Concurrency**: called for many messages at once.
/// - **Errors**: there are none: trouble is a verdict (`TempError`, `PermError`). The engine bounds the time
///   (30 s in all) and records `temperror` for a module that does not answer.
/// - **Example**: `examples/custom_preprocessor`, and the DNS-list judge of `iems-filters`.
#[async_trait]
pub trait Preprocessor: Send + Sync + 'static {
    /// Its name, as matrices and stories use it: `dnsbl`.
    fn id(&self) -> &str;

    /// When it wants to be called.
    fn stages(&self) -> &[Stage];

    /// Subject and detail of the enhanced status (RFC 3463) with which a peer is told that the site refuses or defers because of
    /// one of its verdicts. The default, 7.1, says that it was a policy.
    fn status(&self, verdict: &Verdict) -> (u16, u16) {
        let _ = verdict;
        (7, 1)
    }

    /// Looks.
    async fn inspect(&self, subject: &Subject<'_>) -> Findings;
}
