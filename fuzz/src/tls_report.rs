//! Reports about TLS: whatever comes is a report or is not; what is kept of it is bounded, and has no character that could act on a terminal.

use iems_smtp::tlsrpt::received::{ReceivedReport, read};

pub(crate) const SEEDS: &[&[u8]] = &[
    b"Content-Type: application/tlsrpt+json\r\n\r\n{\"organization-name\":\"A\",\"date-range\":{\"start-datetime\":\"2026-04-01T00:00:00Z\",\
      \"end-datetime\":\"2026-04-01T23:59:59Z\"},\"report-id\":\"1\",\"policies\":[{\"policy\":{\"policy-type\":\"sts\",\"policy-string\":[\"mode: none\"],\
      \"policy-domain\":\"d.example\",\"mx-host\":[\"mx\"]},\"summary\":{\"total-successful-session-count\":1,\"total-failure-session-count\":2},\
      \"failure-details\":[{\"result-type\":\"validation-failure\",\"failed-session-count\":2,\"failure-reason-code\":\"x\"}]}]}",
    b"Content-Type: multipart/report; report-type=\"tlsrpt\"; boundary=\"b\"\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/tlsrpt+json\r\n\
      Content-Transfer-Encoding: base64\r\n\r\neyJyZXBvcnQtaWQiOiIxIiwiZGF0ZS1yYW5nZSI6eyJzdGFydC1kYXRldGltZSI6IjIwMjYtMDQtMDFUMDA6MDA6MDBaIiwiZW5kLWRhdGV0\r\n\
      aW1lIjoiMjAyNi0wNC0wMVQwMDowMDowMFoifSwicG9saWNpZXMiOlt7InBvbGljeSI6e319XX0=\r\n--b--\r\n",
    b"Content-Type: application/gzip; name=a.json.gz\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=1F=8B=08=00=00=00=00=00=00=03\r\n",
];

pub(crate) fn run(octets: &[u8]) {
    let Ok(report) = read(octets) else { return };
    let ReceivedReport { organization, contact, id, start, end, policies, .. } = report;
    assert!(start <= end && !id.is_empty() && (1..=64).contains(&policies.len()));
    let mut texts = vec![organization, contact, id];
    for of in policies {
        assert!(of.details.len() <= 256 && of.strings.len() <= 32 && of.hosts.len() <= 32);
        assert!(of.successes <= 1_000_000_000_000 && of.failures <= 256 * 1_000_000_000_000);
        texts.extend([of.kind, of.domain].into_iter().chain(of.strings).chain(of.hosts));
        for detail in of.details {
            texts.extend([detail.result, detail.sending_ip, detail.host, detail.helo]);
            texts.extend([detail.receiving_ip, detail.information, detail.reason]);
        }
    }
    for text in texts {
        assert!(text.chars().count() <= 256 && !text.chars().any(char::is_control), "{text:?}");
    }
}
