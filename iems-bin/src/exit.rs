//! How the program ends: exit codes of `sysexits.h`, and the words that go with them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a command did not do what it was asked. Travels over the administration socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: u8,
    /// What went wrong and what to do about it, for people.
    pub(crate) message: String,
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl Failure { $(
            $(#[$doc])*
            pub(crate) fn $name(message: impl fmt::Display) -> Self {
                Self { code: $code, message: message.to_string() }
            }
        )* }
    };
}

failures! {
    /// `EX_USAGE`: the command line cannot be understood.
    usage = 64;
    /// `EX_DATAERR`: the input is not right.
    data = 65;
    /// `EX_NOUSER`: there is no such address.
    no_user = 67;
    /// `EX_NOHOST`: there is no such domain.
    no_host = 68;
    /// `EX_UNAVAILABLE`: the server refuses or is not there.
    unavailable = 69;
    /// `EX_OSERR`: the operating system refused something.
    system = 71;
    /// `EX_CANTCREAT`: a file or folder cannot be made.
    cannot_create = 73;
    /// `EX_IOERR`: reading or writing failed.
    io = 74;
    /// `EX_TEMPFAIL`: try again later.
    later = 75;
    /// `EX_NOPERM`: not allowed.
    forbidden = 77;
    /// `EX_CONFIG`: the configuration is not right.
    config = 78;
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
