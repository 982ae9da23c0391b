//! `COMPRESS` (RFC 4978): whether it may begin. Packing is the wire's.

use super::{Output, Session, Sink, Then};
use crate::imap::types::{Code, Status};

/// The one mechanism there is.
const DEFLATE: &str = "DEFLATE";
/// What it takes, in octets.
const DEFLATE_OCTETS: usize = 300 << 10;

impl Session {
    pub(super) fn compress<S: Sink>(
        &mut self,
        tag: String,
        mechanism: &str,
        out: &mut Output<'_, S>,
    ) -> Then {
        let status = match () {
            () if !self.is_known() => Status::bad("Log in first"),
            () if mechanism != DEFLATE => Status::no("Only DEFLATE is known").with(Code::Cannot),
            () if self.enabled.compressed => {
                Status::no("It is compressed already").with(Code::CompressionActive)
            }
            () if !self.lasts(DEFLATE_OCTETS) => super::spent(),
            () => {
                self.enabled.compressed = true;
                out.say(&Status::ok("Compressed from here on").tagged(tag));
                return Then::Compress;
            }
        };
        out.say(&status.tagged(tag));
        Then::Read
    }

    /// Takes memory for as long as the session lasts, if there is some.
    fn lasts(&mut self, octets: usize) -> bool {
        self.user_mut().is_ok_and(|user| user.lasting.grow(octets).is_ok())
    }
}
