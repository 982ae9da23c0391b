//! The allocator: large pieces go back to the system when they are freed.
//!
//! A check of a password takes 19 MiB for some milliseconds. glibc learns from the first such piece to keep later ones
//! in the heap of the thread that freed them; with one heap a thread, a server that is idle again holds a multiple of
//! what it needs. A fixed threshold switches the learning off.
//!
//! The one unsafe call of the program: `mallopt` takes two integers, changes only how glibc's allocator behaves, may be
//! called at any time, and reports an unknown option by its result.
#![allow(unsafe_code)]

/// From this size on, in octets, a piece is mapped and unmapped. Above everything on the path of a message.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE: libc::c_int = 512 * 1024;

/// Sets the threshold; without effect where the allocator is another.
pub(crate) fn give_back_large_pieces() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: see above; no memory is touched through it.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
    }
}
