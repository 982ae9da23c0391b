//! Submissions of local programs: the channel `sendmail`.

use async_trait::async_trait;
use bytes::Bytes;
use iems_core::Engine;
use iems_core::message::{BodyType, ChannelId, Envelope, ForwardPath, Reply};
use iems_core::receive::{Connection, Session, Transaction};

use crate::admin::answer::Submitted;
use crate::admin::office::Submission;
use crate::admin::request::{Addressee, Letter};
use crate::exit::Failure;

/// Opens a submission; every recipient is taken or the whole is refused.
pub(super) async fn open(engine: &Engine, letter: Letter) -> Result<Box<dyn Submission>, Failure> {
    let mut connection = Connection::new(ChannelId::new("sendmail"), None);
    connection.protocol = "local".into();
    let mut session = engine.intake().open(connection).await.map_err(refusal)?;
    session.hello("localhost").await.map_err(refusal)?;
    let mut transaction = begin(&mut session, letter.envelope, &letter.recipients).await.map_err(refusal)?;
    for Addressee { address, notify, original } in letter.recipients {
        let path = ForwardPath::Mailbox(address.clone());
        transaction.recipient(path, notify, original).await.map_err(|reply| {
            let failure = refusal(reply);
            Failure { message: format!("{address}: {}", failure.message), ..failure }
        })?;
    }
    Ok(Box::new(Local { transaction }))
}

async fn begin(
    session: &mut Session,
    mut envelope: Envelope,
    recipients: &[Addressee],
) -> Result<Transaction, Reply> {
    // Nothing is known of the body yet, and local programs send what they have.
    if envelope.body == BodyType::SevenBit {
        envelope.body = BodyType::EightBitMime;
    }
    let addresses = recipients.iter().map(|recipient| &recipient.address);
    envelope.smtputf8 |= addresses.chain(envelope.sender.mailbox()).any(|mailbox| !mailbox.is_ascii());
    session.begin(envelope, 0).await
}

struct Local {
    transaction: Transaction,
}

#[async_trait]
impl Submission for Local {
    async fn write(&mut self, octets: Bytes) -> Result<(), Failure> {
        self.transaction.write(octets).await.map_err(refusal)
    }

    async fn commit(self: Box<Self>) -> Result<Submitted, Failure> {
        let receipt = self.transaction.commit().await.map_err(refusal)?;
        Ok(Submitted { id: receipt.id.to_string() })
    }
}

/// A refusal as an exit code: `EX_NOUSER` where the address is the reason.
fn refusal(reply: Reply) -> Failure {
    match (reply.is_temporary(), reply.enhanced.subject(), reply.enhanced.detail()) {
        (true, ..) => Failure::later(reply),
        (false, 1, 1) => Failure::no_user(reply),
        (false, 1, 2) => Failure::no_host(reply),
        (false, 7, _) => Failure::forbidden(reply),
        _ => Failure::unavailable(reply),
    }
}
