//! Memory: how much the process holds, from whoever can tell.

/// The memory of a process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// Bytes it holds and the system cannot take back.
    pub used: u64,
    /// Bytes it may hold: the machine's, or a limit on the process.
    pub most: u64,
}

/// Tells how much memory the process holds.
///
/// - **Role**: lets the engine refuse new work before the system ends the process.
/// - **Called when**: every second to ten seconds while the engine runs.
/// - **Ordering**: none.
/// - **Cancellation**: none; it returns at once.
/// - **Idempotency**: reading changes nothing.
/// - **Concurrency**: one caller an engine.
/// - **Errors**: `None` where it cannot be told; then there is no mark.
/// - **Example**: any closure `Fn() -> Option<Memory>`.
pub trait MemoryGauge: Send + Sync + 'static {
    /// The memory now.
    fn read(&self) -> Option<Memory>;
}

impl<F: Fn() -> Option<Memory> + Send + Sync + 'static> MemoryGauge for F {
    fn read(&self) -> Option<Memory> {
        self()
    }
}
