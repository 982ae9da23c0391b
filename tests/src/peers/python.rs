//! Python's `email` package: a second opinion on the notices we write. And its `smtplib`, which says what it wishes to
//! be told of.

use std::net::SocketAddrV4;

use crate::process::{command, need, run};

/// Parses a delivery status notification and gives its parts as JSON: `type`, `report`, `parts` (the media
/// types), `fields` (the per-message and then per-recipient groups of `message/delivery-status`), `defects`.
///
/// # Panics
/// If Python cannot make sense of it.
pub fn notice(message: &[u8]) -> serde_json::Value {
    const READ: &str = "
import sys, json, email, email.policy
m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)
status = [p for p in m.walk() if p.get_content_type() in ('message/delivery-status', 'message/global-delivery-status')]
groups = [dict((k.lower(), str(v)) for k, v in g.items()) for s in status for g in s.get_payload()]
print(json.dumps({
  'type': m.get_content_type(), 'report': m.get_param('report-type'),
  'header': dict((k.lower(), str(v)) for k, v in m.items()),
  'parts': [p.get_content_type() for p in m.iter_parts()],
  'fields': groups,
  'returned': [p.as_string() for p in list(m.iter_parts())[2:]],
  'defects': [type(d).__name__ for p in m.walk() for d in p.defects],
}))";
    run(&mut command(&need("python3", "python3"), ["-c", READ]), message).good().json()
}

/// Sends `message` with parameters of MAIL, such as `RET=HDRS`, and recipients with parameters of RCPT.
///
/// # Panics
/// If it is not taken for every recipient.
pub fn send(server: SocketAddrV4, sender: &str, mail: &[&str], rcpt: &[(&str, &[&str])], message: &[u8]) {
    const SEND: &str = "
import sys, json, smtplib
host, port, sender, mail, rcpt = json.loads(sys.argv[1])
with smtplib.SMTP(host, port, local_hostname='client.example.test', timeout=20) as smtp:
    smtp.ehlo()
    assert smtp.has_extn('dsn')
    ok = lambda answer, code: answer[0] == code or sys.exit(f'{answer}')
    ok(smtp.mail(sender, mail), 250)
    for address, options in rcpt:
        ok(smtp.rcpt(address, options), 250)
    ok(smtp.data(sys.stdin.buffer.read()), 250)
";
    let what = serde_json::json!([server.ip().to_string(), server.port(), sender, mail, rcpt]).to_string();
    run(&mut command(&need("python3", "python3"), ["-c", SEND, &what]), message).good();
}
