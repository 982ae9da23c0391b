//! What a structure may hold: bounds on parts, depth, fields, and on all text together.

use bytes::Bytes;

use crate::structure::Parameters;

/// Bounds. What goes beyond is not told; sections and sizes stay right.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Limits {
    /// Parts within parts; 100, as Dovecot has it. Deeper ones are octets of the innermost.
    pub depth: usize,
    /// Parts of a message; 10,000, as Dovecot has it. Those behind belong to the last.
    pub parts: usize,
    /// Octets of one field that are looked at; 64 KiB. A thousand recipients need as much.
    pub field: usize,
    /// Octets of all texts that are kept; 224 KiB, so that with 10,000 parts a structure is within half a MiB.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth: 100, parts: 10_000, field: 64 * 1024, text: 224 * 1024 }
    }
}

/// What is left of [`Limits::text`].
#[derive(Debug)]
pub(super) struct Budget(pub(super) usize);

impl Budget {
    /// Whether `cost` more octets may be kept; then they are counted.
    pub(super) fn take(&mut self, cost: usize) -> bool {
        let enough = self.0 >= cost;
        if enough {
            self.0 -= cost;
        }
        enough
    }

    /// The text, if it may be kept.
    pub(super) fn text(&mut self, text: &[u8]) -> Option<Bytes> {
        self.take(text.len() + 4).then(|| Bytes::copy_from_slice(text))
    }

    /// The parameters that may be kept.
    pub(super) fn parameters(&mut self, parameters: Parameters) -> Parameters {
        let all = parameters.into_iter();
        all.take_while(|(name, value)| self.take(name.len() + value.len() + 8)).collect()
    }
}
