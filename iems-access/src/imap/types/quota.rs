//! Quota (RFC 9208).

/// What is limited (RFC 9208 section 5).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum QuotaResource {
    /// `STORAGE`, in units of 1024 octets.
    Storage,
    /// `MESSAGE`.
    Message,
    /// `MAILBOX`.
    Mailbox,
    /// `ANNOTATION-STORAGE`, in units of 1024 octets.
    AnnotationStorage,
    /// Another, in upper case.
    Other(String),
}

/// A limit to be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaLimit {
    /// Of what.
    pub resource: QuotaResource,
    /// In the resource's unit.
    pub limit: u64,
}

/// A limit and what is used of it (RFC 9208 section 4.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaUsage {
    /// Of what.
    pub resource: QuotaResource,
    /// In the resource's unit.
    pub usage: u64,
    /// In the resource's unit.
    pub limit: u64,
}
