//! The allocator, and its memory given back.
//!
//! What a connection's task allocates, another thread often frees: the log's, or another worker's. glibc's heaps are locked for
//! that; mimalloc's are not, which saves a fifth of all processor time. It keeps freed memory for a moment, and looks whether
//! the moment is over when something is allocated; an idle server allocates nothing, so it is reminded. A check of a
//! password takes 19 MiB for some milliseconds.
//!
//! The one unsafe call of the program: `mi_collect` touches no memory of ours and may be called at any time by any thread.
#![allow(unsafe_code)]

use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Between two reminders.
const REMINDER: Duration = Duration::from_secs(5);

/// Gives memory that nobody uses back to the system, for as long as the program runs.
pub(crate) async fn give_back() {
    loop {
        tokio::time::sleep(REMINDER).await;
        // SAFETY: see above.
        unsafe { libmimalloc_sys::mi_collect(true) };
    }
}
