//! Certificates made with OpenSSL, what it says of them, and certificates that were cut or bent.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

/// `ecdsa-with-SHA384`, with names.
const NAMED: &str = concat!(
    "MIICAjCCAaegAwIBAgIUdQ4/CxIWvkTb9TiBKZ3JldgtZyUwCgYIKoZIzj0EAwMwMzELMAkGA1UEBhMCREUxFjAUBgNVBAoMDUV4",
    "YW1wbGVzLCBJbmMxDDAKBgNVBAMMA2FubjAgFw0yNjExMjYxMDI2MzFaGA8yMTI2MTEwMjEwMjYzMVowMzELMAkGA1UEBhMCREUx",
    "FjAUBgNVBAoMDUV4YW1wbGVzLCBJbmMxDDAKBgNVBAMMA2FubjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKiW05FZlZqVYtan",
    "+B5Vxs2XiMqCoFHixBt6t1iBF/xtzLj2QL8q8rtmYFeutAXaCyo23p7xWSogPpJNOsj0FwWjgZYwgZMwHQYDVR0OBBYEFN8ieVlZ",
    "Bd6VabMracOvuDRzj/ImMB8GA1UdIwQYMBaAFN8ieVlZBd6VabMracOvuDRzj/ImMA8GA1UdEwEB/wQFMAMBAf8wQAYDVR0RBDkw",
    "N4EPYW5uQGV4YW1wbGUub3JnghJDbGllbnQuZXhhbXBsZS5vcmeBEHBvc3RAZXhhbXBsZS5vcmcwCgYIKoZIzj0EAwMDSQAwRgIh",
    "AIc5v+G+kDb3Sm0mLwOlBFeCp1fb/zQPSQSUCCEprHZBAiEApu0WzIYPt/sVV1EKp6GYT2z69jaCC1DXnwHbH9tftVw="
);
/// `rsassaPss` with SHA-512.
const PSS: &str = concat!(
    "MIIDYzCCAhegAwIBAgIUYQxDIP+yCLmHr27ebYuIPVuldoIwQQYJKoZIhvcNAQEKMDSgDzANBglghkgBZQMEAgMFAKEcMBoGCSqG",
    "SIb3DQEBCDANBglghkgBZQMEAgMFAKIDAgEgMAwxCjAIBgNVBAMMAXgwIBcNMjYxMTI2MTAyNjMxWhgPMjEyNjExMDIxMDI2MzFa",
    "MAwxCjAIBgNVBAMMAXgwggEiMA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQDGAe2rZ63V6S3p+aPe8+KAaC4vh/WzRshZkmUU",
    "R3gSL1Mir7apVzKojHa48fSIcalmBZPL0FZi4XxeUC+GujghJ5hqwVgKsnE1mA3Lq+NnMCPebbck/ozVW8ktB4cuIHBRnGKRwJDo",
    "ng7z/SfxL/R4EfDh/DtYEH8VdCy87xfl82+ImKpFcqa1X5sQ/xHC85cX1dzYQYcWpNLBVThwtbj/VcR+QJweeeeWCdIF+0MVeou2",
    "pkgFlcvZoc9iJncRV0u+tCoLmE3wsLzYQYN2QA/AQaJppAXrz/RZGx9C6bIX5qW/b3M/vUoDgwkW5T58zSZNulApFYxCCjFBuKfT",
    "QlaJAgMBAAGjUzBRMB0GA1UdDgQWBBRULe/Zp4NMJpqY2/HQkMaxDE63DjAfBgNVHSMEGDAWgBRULe/Zp4NMJpqY2/HQkMaxDE63",
    "DjAPBgNVHRMBAf8EBTADAQH/MEEGCSqGSIb3DQEBCjA0oA8wDQYJYIZIAWUDBAIDBQChHDAaBgkqhkiG9w0BAQgwDQYJYIZIAWUD",
    "BAIDBQCiAwIBIAOCAQEASDSwBspODHp6wO5nvIwgTGKCIeb6QJM3fJDkpKYOW0PEz/8eQjANXCDUUMviarX9ESoVI7sQrLiWlPyh",
    "UM45zkqWpUTYPMzj8aj9l+gNuboAVuDpbZBAB8U4RwxNFaDsBWOxtbm9DLUxJiahhDuO9kidRyZAaYj4yteTb+1ptEJ00CSy3GIF",
    "0PDmlxT+4QiCGRrnIVdPI+NfPSxLIHiP8KbOK6CZqE+eNA5cl1c+iVCaSLQanbwDzTqKO7ZmkxQUMSiUsxO0/uvpH7icwwl4dY0L",
    "CP8lxh7H1OLFhTBg9hOswyTXC0KNOMdbIOA2TE+Ia4oyNsiuv6XgFD0pDFNOSw=="
);
/// Ed25519.
const EDWARDS: &str = concat!(
    "MIIBLjCB4aADAgECAhQyvcQu66ydiNuLYEiub4AYB049gzAFBgMrZXAwDDEKMAgGA1UEAwwBeDAgFw0yNjExMjYxMDI2MzFaGA8y",
    "MTI2MTEwMjEwMjYzMVowDDEKMAgGA1UEAwwBeDAqMAUGAytlcAMhAMzKbJmu0Y6Ohy8VybBjNZd/kLB7CGaMeKebd8rnxB4Ho1Mw",
    "UTAdBgNVHQ4EFgQU7ySyto3TzJWIUzwLOE+QKLY3sE4wHwYDVR0jBBgwFoAU7ySyto3TzJWIUzwLOE+QKLY3sE4wDwYDVR0TAQH/",
    "BAUwAwEB/zAFBgMrZXADQQAecUXILfpoI6MhmYHLP7cZvbnUoBiLptzPQgtyk4odVQOg7i2/i6bCbEafwjxM6rIhu5/MTylylTXg",
    "3I5SxdEH"
);

fn der(text: &str) -> Vec<u8> {
    BASE64.decode(text).unwrap()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[test]
fn names_are_read() {
    let read = PeerCertificate::read(&der(NAMED), true);
    assert_eq!(read.subject, r"CN=ann,O=Examples\, Inc,C=DE");
    assert_eq!(read.hosts, ["client.example.org"]);
    assert_eq!(read.mailboxes, ["ann@example.org", "post@example.org"]);
    let mark = "sha256:0f7110d9380b4cb422025016e9acf0f65d6e4ab972005c9d9f689b1234f186b0";
    assert_eq!(read.mark.to_string(), mark);
    assert_eq!(mark.parse(), Ok(read.mark));
    assert!(read.verified && !PeerCertificate::read(&der(NAMED), false).verified);
}

#[test]
fn an_end_point_is_hashed_as_it_was_signed() {
    let named =
        "cfaf6edef7b08fd3713dae2eac44d42214c9ce472e7d98a6ab1a4a7a0ccdfd0eaace0d2ad99d48c94835150adb00818d";
    let pss = "49ded5bbb8ffcf5dc104cbbe9e37cffe662aaec5b683e2ae39ab784d835c6a60\
        1895775a34b5005529a6518cc6c7eb942a0769ac9d145aa5c81ad975ed43d1cc";
    assert_eq!(end_point(&der(NAMED)).map(|hash| hex(&hash)).as_deref(), Some(named));
    assert_eq!(end_point(&der(PSS)).map(|hash| hex(&hash)).as_deref(), Some(pss));
    assert_eq!(end_point(&der(EDWARDS)), None, "there is no such hash");
}

#[test]
fn what_is_no_certificate_is_never_believed_and_breaks_nothing() {
    for whole in [der(NAMED), der(PSS), der(EDWARDS)] {
        for length in 0..whole.len() {
            assert!(!PeerCertificate::read(&whole[..length], true).verified, "cut at {length}");
            let mut bent = whole.clone();
            bent[length] ^= 0x80;
            PeerCertificate::read(&bent, true);
            end_point(&bent);
        }
    }
}

#[test]
fn marks_are_written_in_many_ways() {
    let colons = ["0F"; 32].join(":");
    let mark: CertificateMark = colons.parse().unwrap();
    assert_eq!(format!("SHA256:{colons}").parse(), Ok(mark));
    for text in ["", "sha256:", "0f", "sha256:é", &"0f".repeat(33), &"xy".repeat(32)] {
        assert!(text.parse::<CertificateMark>().is_err(), "{text}");
    }
}
