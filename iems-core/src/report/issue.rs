//! Issuing reports: what the plan says is composed, stored and queued, all of it in the batch that ends the wait of the
//! recipients it is about. So a report cannot be forgotten, and cannot be sent twice.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::compose::{Composed, Draft};
use super::returned::{self, Facts, Returned};
use super::told::{Action, Told};
use super::who::{self, Letter};
use super::{Event, Reported, Silence, What, double};
use crate::deliver::Submission;
use crate::engine::Shared;
use crate::message::{Body, Envelope, Kind, Mailbox, Notify, QueueId, Recipient, ReversePath, TraceScan};
use crate::queue::{self, Maker, Message, Queued};
use crate::settings::Settings;
use crate::storage::{Batch, StoreError};

/// Reports are the engine's own.
const MAKER: Maker<'_> = Maker { channel: "report", tenant: None };

/// What a batch tells.
#[derive(Debug, Default)]
pub(crate) struct Issued {
    /// For the story of the message.
    pub(crate) events: Vec<Event>,
    /// Groups that the batch queues.
    pub(crate) queued: Vec<Queued>,
    /// To be counted once the batch has taken effect.
    pub(crate) told: Reported,
}

/// The message that reports are about.
struct About<'a> {
    id: QueueId,
    message: &'a Message,
    body: Body,
    header: Vec<u8>,
    facts: Facts,
}

/// Adds to `batch` the reports that `told` calls for.
pub(crate) async fn add(
    shared: &Shared,
    settings: &Settings,
    batch: &mut Batch,
    id: QueueId,
    message: &Message,
    body: &Body,
    told: &[Told],
) -> Result<Issued, StoreError> {
    let mut issued = Issued::default();
    if told.is_empty() {
        return Ok(issued);
    }
    let body = returned::public(body);
    let (header, facts) = returned::header(shared, &body).await?;
    let postmaster = double::postmaster(shared, settings);
    let plan = who::plan(message, told, postmaster.as_ref(), facts.automatic);
    let about = About { id, message, body, header, facts };
    for (action, why) in plan.silence {
        issued.silent(shared, action, why);
    }
    for letter in plan.letters {
        let escalated = letter.kind == Kind::Notice;
        if escalated && !double::may_tell(shared, settings) {
            double::count(shared, batch).await?;
            issued.told.summed += 1;
            issued.silent(shared, Action::Failed, Silence::Summed);
            continue;
        }
        send(shared, settings, batch, &about, &letter, &mut issued).await?;
    }
    Ok(issued)
}

impl Issued {
    fn silent(&mut self, shared: &Shared, action: Action, why: Silence) {
        let what = What::NotReported { action: action.name().into(), why };
        self.events.push(Event { at: shared.clock.now(), what });
    }
}

/// Composes and queues one letter.
async fn send(
    shared: &Shared,
    settings: &Settings,
    batch: &mut Batch,
    about: &About<'_>,
    letter: &Letter,
    issued: &mut Issued,
) -> Result<(), StoreError> {
    let failed = letter.told.iter().any(|told| told.action == Action::Failed);
    let (reports, envelope) = (&settings.reports, &about.message.envelope);
    let returned = returned::returned(shared, reports, envelope, &about.body, &about.header, failed).await?;
    let mut composed = compose(shared, settings, about, letter, &returned);
    composed.secrecy = envelope.secrecy;
    let (report, queued) = post(shared, settings, batch, composed, letter.kind, &letter.to).await?;
    issued.queued.extend(queued);
    issued.told += Reported::letter(letter.kind, letter.told.iter().map(|told| told.action));
    let actions: BTreeSet<Action> = letter.told.iter().map(|told| told.action).collect();
    let action = actions.into_iter().map(Action::name).collect::<Vec<_>>().join(", ");
    let (report, to, kind) = (report.to_string(), letter.to.clone(), letter.kind);
    issued.events.push(Event { at: shared.clock.now(), what: What::Reported { action, report, to, kind } });
    Ok(())
}

fn compose(
    shared: &Shared,
    settings: &Settings,
    about: &About<'_>,
    letter: &Letter,
    returned: &Returned,
) -> Composed {
    let wishes: &[String] = if letter.kind == Kind::Notice { &[] } else { &about.facts.languages };
    let draft = Draft {
        kind: letter.kind,
        host: &shared.hostname,
        from: &shared.postmaster,
        to: &letter.to,
        id: about.id,
        message: about.message,
        told: &letter.told,
        now: shared.clock.now(),
        language: settings.reports.language_for(letter.to.domain(), wishes),
        returned,
        facts: &about.facts,
    };
    draft.compose(&*shared.random)
}

/// Stores a message of our own and queues it, from the null sender.
pub(super) async fn post(
    shared: &Shared,
    settings: &Settings,
    batch: &mut Batch,
    composed: Composed,
    kind: Kind,
    to: &Mailbox,
) -> Result<(QueueId, Vec<Queued>), StoreError> {
    let mut envelope = Envelope::new(ReversePath::Null);
    (envelope.body, envelope.smtputf8) = (composed.body, composed.smtputf8);
    envelope.secrecy = composed.secrecy;
    // RFC 3461 section 5.1: nobody is told of what becomes of a report.
    let recipient = Recipient { notify: Some(Notify::NEVER), ..Recipient::new(to.clone()) };
    let body = store(shared, composed.octets).await?;
    let submission = Submission { envelope, recipients: vec![recipient], body, kind };
    Ok(queue::put_submission(shared, settings, batch, submission, MAKER).await)
}

async fn store(shared: &Shared, octets: Vec<u8>) -> Result<Body, StoreError> {
    let mut scan = TraceScan::default();
    scan.feed(&octets, "");
    scan.finish("");
    let blob_size = octets.len() as u64;
    let mut writer = shared.storage.blobs.create().await?;
    writer.write(Bytes::from(octets)).await?;
    let blob = writer.finish().await?;
    Ok(Body { prefix: Bytes::new(), blob, blob_size, header_size: scan.header_size() })
}
