//! Bounds that hold for every input channel.

/// What a message may be at most. Plain data; each default says why.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a message as received. Default 50 MiB: what large providers take today, twice over base64.
    pub message_size: u64,
    /// Recipients of a message. Default 1000; RFC 5321 section 4.5.3.1.8 wants at least 100.
    pub recipients: usize,
    /// `Received` fields of any system. Default 100 (RFC 5321 section 6.3).
    pub hops: u32,
    /// `Received` fields that bear our own name. Default 10: forwards inside a site pass a few times, loops many.
    pub own_hops: u32,
    /// Addresses that one recipient may lead to through aliases and forwards. Default 1000.
    pub expansion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { message_size: 50 << 20, recipients: 1000, hops: 100, own_hops: 10, expansion: 1000 }
    }
}
