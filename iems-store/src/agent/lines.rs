//! Binary messages (RFC 3030) on their way into a mailbox: mailboxes hold lines, as whoever fetches mail from them reads lines.

use bytes::Bytes;
use iems_core::deliver::Attempt;
use iems_core::message::{Body, BodyType, EnhancedStatus, Fit, Reply, narrow};
use iems_core::storage::StoreError;
use tokio::sync::Semaphore;

use super::store_trouble;

/// The largest binary message that is encoded, in octets: it is held in memory meanwhile.
const LARGEST: u64 = 32 * 1024 * 1024;

/// So many are held in memory at a time.
const TOGETHER: usize = 2;

/// What a mailbox takes: octets above 127 are welcome.
const MAILBOX: Fit = Fit { eight: true, lines: true };

/// Encodes binary messages, a few at a time.
pub(super) struct Encoder(Semaphore);

impl Default for Encoder {
    fn default() -> Self {
        Self(Semaphore::new(TOGETHER))
    }
}

/// The message with its binary parts encoded; `None` if it holds lines anyway.
pub(super) async fn of(attempt: &Attempt, encoder: &Encoder) -> Result<Option<Body>, Reply> {
    if attempt.envelope.body != BodyType::BinaryMime {
        return Ok(None);
    }
    let refuse = |why: &str| {
        let text = format!(
            "The binary message cannot be encoded for the mailbox: {why}; encode it and send it again"
        );
        Reply::new(554, EnhancedStatus::new(5, 6, 3), text)
    };
    if attempt.body.size() > LARGEST {
        return Err(refuse("it is too large"));
    }
    let _turn = encoder.0.acquire().await;
    let message = attempt.body.reader(&*attempt.blobs).rest().await.map_err(store_trouble)?;
    let lines = narrow(&message, MAILBOX).map_err(|error| refuse(&error.to_string()))?;
    drop(message);
    store(attempt, lines.into()).await.map(Some).map_err(store_trouble)
}

async fn store(attempt: &Attempt, lines: Bytes) -> Result<Body, StoreError> {
    let header_size =
        lines.windows(4).position(|four| four == b"\r\n\r\n").map_or(lines.len(), |at| at + 4) as u64;
    let blob_size = lines.len() as u64;
    let mut writer = attempt.blobs.create().await?;
    writer.write(lines).await?;
    Ok(Body { prefix: Bytes::new(), blob: writer.finish().await?, blob_size, header_size })
}
