//! Sending from inside the program: the steps through the door, for one message.

use bytes::Bytes;
use iems_core::message::{ChannelId, Envelope, ForwardPath, Reply};
use iems_core::receive::{Connection, Intake, Receipt};

/// Sends `message` as if it had come by the input channel `channel` from a program on this machine.
///
/// # Errors
/// The reply with which the engine refused it. `sender` and the recipients are addresses without angle brackets; what
/// is none is refused like an unknown one.
pub async fn send(
    intake: &Intake,
    channel: &str,
    sender: &str,
    recipients: &[&str],
    message: &str,
) -> Result<Receipt, Reply> {
    let no_address = |_| Reply::refuse(1, 3, "not an address");
    let mut session = intake.open(Connection::new(ChannelId::new(channel), None)).await?;
    session.hello("localhost").await?;
    let envelope = Envelope::new(format!("<{sender}>").parse().map_err(no_address)?);
    let mut transaction = session.begin(envelope, message.len() as u64).await?;
    for recipient in recipients {
        let path: ForwardPath = format!("<{recipient}>").parse().map_err(no_address)?;
        transaction.recipient(path, None, None).await?;
    }
    transaction.write(Bytes::copy_from_slice(message.as_bytes())).await?;
    transaction.commit().await
}
