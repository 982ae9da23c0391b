//! Python's `email` package: a second opinion on the notices we write.

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
