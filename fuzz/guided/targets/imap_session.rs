#![no_main]
//! See `iems_fuzz::TARGETS`.
libfuzzer_sys::fuzz_target!(|octets: &[u8]| iems_fuzz::run("imap_session", octets));
