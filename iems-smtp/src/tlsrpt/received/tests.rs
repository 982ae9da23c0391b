//! Reports as real senders write them, and messages that nobody should write.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

/// As Google writes them: nothing failed, no details.
const GOOGLE: &str = r#"{"organization-name":"Google Inc.","date-range":{"start-datetime":"2026-04-01T00:00:00Z","end-datetime":"2026-04-01T23:59:59Z"},
"contact-info":"smtp-tls-reporting@google.com","report-id":"2026-04-01T00:00:00Z_d.example","policies":[{"policy":{"policy-type":"sts","policy-string":
["version: STSv1","mode: enforce","max_age: 604800","mx: mx.d.example"],"policy-domain":"D.example.","mx-host":["mx.d.example"]},
"summary":{"total-successful-session-count":12,"total-failure-session-count":0}}]}"#;

/// With details, a lone string for a list, and dates without a zone.
const DETAILS: &str = r#"{"organization-name":"Company-X","date-range":{"start-datetime":"2016-04-01T00:00:00","end-datetime":"2016-04-01T23:59:59"},
"contact-info":"sts-reporting@company-x.example","report-id":"5065427c","new-key":{"a":[1,{}]},"policies":[{"policy":{"policy-type":"sts",
"policy-string":"version: STSv1\r\nmode: testing\r\n","policy-domain":"company-y.example","mx-host":"*.mail.company-y.example"},
"summary":{"total-successful-session-count":5326,"total-failure-session-count":"303"},"failure-details":[
{"result-type":"certificate-expired","sending-mta-ip":"2001:db8:abcd:12::1","receiving-mx-hostname":"MX1.mail.company-y.example","failed-session-count":100},
{"result-type":"starttls-not-supported","sending-mta-ip":"2001:db8:abcd:13::1","receiving-mx-hostname":"mx2.mail.company-y.example",
"receiving-ip":"203.0.113.56","failed-session-count":200,"additional-information":"https://reports.company-x.example/x"},
{"result-type":"validation-failure","sending-mta-ip":"198.51.100.62","receiving-ip":"203.0.113.58","receiving-mx-helo":"mx",
"failed-session-count":3,"failure-reason-code":"X509_V_ERR"}]}]}"#;

fn pack(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn lines(octets: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(octets);
    text.as_bytes().chunks(76).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect()
}

/// A message of one part.
fn bare(kind: &str, encoding: &str, body: &str) -> Vec<u8> {
    format!(
        "From: <r@s.example>\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// A message as RFC 8460 section 5.3 has it, with this part.
fn report(kind: &str, octets: &[u8]) -> Vec<u8> {
    format!(
        "From: <r@s.example>\r\nSubject: Report Domain: d.example\r\nTLS-Report-Domain: d.example\r\n\
         Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n\tboundary=\"--=_a b\"\r\n\r\npreamble --\r\n\
         ----=_a b\r\nContent-Type: text/plain\r\n\r\nA report.\r\n\
         ----=_a b \r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\
         Content-Disposition: attachment; filename=\"s!d!1!2.json.gz\"\r\n\r\n{}\r\n----=_a b--\r\nend\r\n",
        lines(octets)
    )
    .into_bytes()
}

#[test]
fn reports_of_large_senders_are_read() {
    let packed = pack(GOOGLE.as_bytes());
    let read_of = |message: &[u8]| read(message).unwrap();
    let google = read_of(&report("application/tlsrpt+gzip", &packed));
    assert_eq!(
        (google.organization.as_str(), google.id.as_str()),
        ("Google Inc.", "2026-04-01T00:00:00Z_d.example")
    );
    assert_eq!(google.end.to_string(), "2026-04-01T23:59:59.000Z");
    let policy = &google.policies[0];
    assert_eq!((policy.kind.as_str(), policy.domain.as_str()), ("sts", "d.example"));
    assert_eq!((policy.successes, policy.failures, policy.strings.len()), (12, 0, 4));
    for message in [
        report("application/gzip", &packed),
        report("application/octet-stream; name=x", &packed),
        report("Application/TLSRPT+JSON", &packed),
        bare("application/tlsrpt+gzip", "base64", &lines(&packed)),
        bare("application/tlsrpt+json", "8bit", GOOGLE),
        bare(
            "application/tlsrpt+json",
            "quoted-printable",
            &GOOGLE.replace('=', "=3D").replace('\n', "\r\n"),
        ),
        bare("application/tlsrpt+json", "", &format!("\u{FEFF}{GOOGLE}")),
    ] {
        assert_eq!(read_of(&message), google, "{}", String::from_utf8_lossy(&message));
    }
}

#[test]
fn details_are_read_however_they_are_written() {
    let read = read(&report("application/tlsrpt+gzip", &pack(DETAILS.as_bytes()))).unwrap();
    let policy = &read.policies[0];
    assert_eq!(policy.strings, ["version: STSv1", "mode: testing"]);
    assert_eq!(policy.hosts, ["*.mail.company-y.example"]);
    assert_eq!(read.sessions(), (5326, 303));
    let first = &policy.details[0];
    assert_eq!(
        (first.result.as_str(), first.host.as_str()),
        ("certificate-expired", "mx1.mail.company-y.example")
    );
    let last = &policy.details[2];
    assert_eq!((last.sending_ip.as_str(), last.receiving_ip.as_str()), ("198.51.100.62", "203.0.113.58"));
    assert_eq!((last.helo.as_str(), last.reason.as_str(), last.sessions), ("mx", "X509_V_ERR", 3));
    assert_eq!(read.start.to_string(), "2016-04-01T00:00:00.000Z");
}

/// What a report says that lacks something.
fn told(json: &str) -> String {
    read(&bare("application/tlsrpt+json", "8bit", json))
        .map_or_else(|error| error.to_string(), |_| "read".into())
}

#[test]
fn what_may_be_missing_and_what_may_not() {
    let with = |from: &str, to: &str| {
        assert!(GOOGLE.contains(from), "{from}");
        told(&GOOGLE.replace(from, to))
    };
    for gone in [
        "\"organization-name\":\"Google Inc.\",",
        "\"contact-info\":\"smtp-tls-reporting@google.com\",",
        ",\"total-failure-session-count\":0",
    ] {
        assert_eq!(with(gone, ""), "read", "{gone}");
    }
    assert_eq!(with("\"mx-host\":[\"mx.d.example\"]", "\"mx-host\":null"), "read");
    let without_summary = with(
        "\"summary\":{\"total-successful-session-count\":12,\"total-failure-session-count\":0}",
        "\"x\":1",
    );
    assert_eq!(without_summary, "read");
    assert!(with("\"report-id\":\"2026-04-01T00:00:00Z_d.example\",", "").contains("report-id"));
    assert!(with("2026-04-01T00:00:00Z_d.example", " \\u0000 ").contains("no report-id"));
    assert!(with("23:59:59Z", "soon").contains("date and time"));
    assert!(with("2026-04-01T23:59:59Z", "2026-03-31T23:59:59Z").contains("ends before"));
    assert!(with(":12,", ":-12,").contains("negative"));
    assert!(with(":12,", ":[12],").contains("number of sessions"));
    let empty = GOOGLE.split("\"policies\"").next().unwrap().to_owned() + "\"policies\":[]}";
    assert!(told(&empty).contains("no policy"));
    for json in ["", "[]", "{}", "null", "{\"report-id\":\"x\"", "\u{0}"] {
        assert!(told(json).contains("not as RFC 8460 has it"), "{json}: {}", told(json));
    }
}

#[test]
fn numbers_have_no_end_but_sums_do() {
    let json =
        DETAILS.replace(":100}", ":1e18}").replace("5326", "18446744073709551615").replace("\"303\"", "null");
    let read = read(&bare("application/tlsrpt+json", "8bit", &json)).unwrap();
    assert_eq!(read.policies[0].successes, 1_000_000_000_000);
    assert_eq!(read.policies[0].failures, 1_000_000_000_203, "the sum of the details");
}

#[test]
fn bombs_and_breaks_are_told() {
    let packed = |octets: &[u8]| read(&report("application/tlsrpt+gzip", octets)).unwrap_err();
    let zeros = pack(&vec![b' '; 7 << 20]);
    assert!(matches!(packed(&zeros), Unreadable::Packed(why) if why.contains("proportion")));
    // Within the proportion, and too large.
    let some: Vec<u8> = (0..20_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let some: Vec<u8> = some.iter().map(|octet| octet >> 6 | b'0').collect();
    let large = some.repeat((8 << 20) / some.len() + 1);
    assert!(matches!(packed(&pack(&large)), Unreadable::Packed(why) if why.contains("larger")));
    let good = pack(DETAILS.as_bytes());
    for cut in [1, 10, good.len() / 2, good.len() - 1] {
        assert!(matches!(packed(&good[..cut]), Unreadable::Packed(_) | Unreadable::Json(_)), "{cut}");
    }
    let body = lines(&good).replace("\r\n", "!\r\n");
    assert_eq!(read(&bare("application/tlsrpt+gzip", "base64", &body)), Err(Unreadable::Encoding));
    assert_eq!(read(&bare("application/tlsrpt+gzip", "x-uuencode", "")), Err(Unreadable::Encoding));
    assert_eq!(read(&vec![b'a'; (4 << 20) + 1]), Err(Unreadable::TooLarge));
}

#[test]
fn bad_characters_and_endless_nests_are_told() {
    let json = DETAILS.as_bytes();
    let at = DETAILS.find("Company-X").unwrap();
    let mut bad = json.to_vec();
    bad[at] = 0xFF;
    assert!(matches!(read(&report("application/tlsrpt+gzip", &pack(&bad))), Err(Unreadable::Json(_))));
    let nest = "[".repeat(1_000_000);
    assert!(told(&nest).contains("not as RFC 8460"));
    let told_of = |place: &str| told(&DETAILS.replace(place, &nest));
    assert!(told_of("{\"a\":[1,{}]}").contains("not as RFC 8460"));
    assert!(told_of("\"Company-X\"").contains("expected a text"));
    let deep = |depth: usize| {
        let mut message = String::new();
        for level in 0..depth {
            message += &format!("Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n");
        }
        (message + "Content-Type: application/tlsrpt+json\r\n\r\n" + DETAILS).into_bytes()
    };
    assert!(read(&deep(3)).is_ok());
    assert_eq!(read(&deep(20_000)), Err(Unreadable::NoReport));
}

#[test]
fn many_parts_and_marks_cost_nothing() {
    let parts =
        "--b\r\n\r\n".repeat(400_000) + "--b\r\nContent-Type: application/tlsrpt+json\r\n\r\n" + DETAILS;
    let of =
        |body: &str| read(format!("Content-Type: multipart/report; boundary=b\r\n\r\n{body}").as_bytes());
    assert_eq!(of(&parts), Err(Unreadable::NoReport));
    assert_eq!(of(&"--b".repeat(1_000_000)), Err(Unreadable::NoReport));
    assert_eq!(of(&"--b--\r\n".repeat(400_000)), Err(Unreadable::NoReport));
    assert_eq!(of(&("--b\r\n".to_owned() + &"x:y\r\n".repeat(500_000))), Err(Unreadable::NoReport));
}

#[test]
fn what_is_too_much_is_left_out_and_said() {
    let detail =
        r#"{"result-type":"validation-failure","failed-session-count":1,"failure-reason-code":"LONG"}"#;
    let many = vec![detail.replace("LONG", &"é".repeat(3000)); 1500].join(",");
    let json = GOOGLE.replace("\"summary\"", &format!("\"failure-details\":[{many}],\"summary\""));
    let read = read(&bare("application/tlsrpt+gzip", "base64", &lines(&pack(json.as_bytes()))));
    // Nine megabytes are more than a report may be.
    assert!(matches!(read, Err(Unreadable::Packed(_))), "{read:?}");
    let many = vec![detail.replace("LONG", &"é".repeat(300)); 1000].join(",");
    let json = GOOGLE.replace("\"summary\"", &format!("\"failure-details\":[{many}],\"summary\""));
    let report = json::parse(json.as_bytes()).unwrap();
    assert_eq!((report.policies[0].details.len(), report.policies[0].omitted), (256, 744));
    assert_eq!(report.policies[0].details[0].reason.chars().count(), 256);
    let mut report = report;
    report.policies = vec![report.policies[0].clone(); 64];
    let taken =
        Taken { received: Default::default(), message: "id".into(), sender: "<>".into(), spf: None, report };
    assert!(rows::encode(&taken).len() <= 32 * 1024);
}

proptest! {
    #[test]
    fn any_octets_are_read_or_not(octets: Vec<u8>) {
        let _ = read(&octets);
        let _ = read(&report("application/tlsrpt+gzip", &octets));
        let _ = read(&bare("application/tlsrpt+json", "8bit", &String::from_utf8_lossy(&octets)));
    }

    #[test]
    fn what_was_read_is_clean(text in "\\PC{0,40}|[\\x00-\\x1f\u{7f}-\u{9f}]{0,9}", sessions: i64) {
        let quoted = serde_json::to_string(&text).unwrap();
        let json = DETAILS.replace("\"Company-X\"", &quoted).replace("\"X509_V_ERR\"", &quoted).replace(":200,", &format!(":{sessions},"));
        match read(&bare("application/tlsrpt+json", "8bit", &json)) {
            Ok(read) => {
                let texts = [&read.organization, &read.policies[0].details[2].reason];
                prop_assert!(texts.iter().all(|text| !text.chars().any(char::is_control)));
            }
            Err(why) => prop_assert!(sessions < 0, "{why}"),
        }
    }
}
