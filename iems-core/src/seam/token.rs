//! Tokens: what somebody else says about who a peer is.

use async_trait::async_trait;

use super::DirectoryError;

/// Looks into tokens.
///
/// - **Role**: says whom a bearer token (RFC 6750) was given to, or that it is not good.
/// - **Called when**: a peer authenticates with one (RFC 7628).
/// - **Ordering**: none. **Cancellation**: dropping the future gives up the question.
/// - **Idempotency**: a token may be shown many times, until it ends.
/// - **Concurrency**: any number of questions.
/// - **Errors**: [`DirectoryError`] if nobody can say now; a token that is forged, too old, or for somebody else is `None`.
/// - **Example**: signed tokens (RFC 7519) in the `iems` program.
#[async_trait]
pub trait TokenVerifier: Send + Sync + 'static {
    /// The login that the token stands for. The directory decides whether there is such an account.
    async fn login(&self, token: &str) -> Result<Option<String>, DirectoryError>;
}
