//! The story of one message, for people and for programs.

use iems_core::message::QueueId;
use iems_core::seam::Timestamp;
use serde_json::Value;

use super::Site;
use crate::admin::answer::ExplainAnswer;
use crate::exit::Failure;

impl Site {
    pub(super) async fn explain(&self, id: QueueId) -> Result<ExplainAnswer, Failure> {
        let story = self.engine.queue().explain(id).await?.ok_or_else(|| {
            Failure::data(format!(
                "nothing is known of {id}: it was never here, or its story is older than queue.history"
            ))
        })?;
        let mut json = super::value(&story)?;
        readable(&mut json);
        // They are the first of the story's own.
        json["message"].as_object_mut().and_then(|message| message.remove("events"));
        Ok(ExplainAnswer { text: story.to_string(), story: json })
    }
}

/// Times become RFC 3339; where the body lies is nobody's business.
fn readable(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| !(key == "body" && value.is_object()));
            for (key, value) in map.iter_mut() {
                match value.as_u64() {
                    Some(millis) if is_time(key) => {
                        *value = Timestamp::from_millis(millis).to_string().into()
                    }
                    _ => readable(value),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(readable),
        _ => {}
    }
}

fn is_time(key: &str) -> bool {
    matches!(key, "at" | "arrived" | "due" | "expires" | "next" | "warn")
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_readable_and_bodies_left_out() {
        let mut value = serde_json::json!({
            "arrived": 1_790_000_000_123_u64, "size": 1_790_000_000_123_u64,
            "waiting": [{"due": null, "body": {"blob": [1, 2]}}], "envelope": {"body": "EightBitMime"},
        });
        super::readable(&mut value);
        let expected = serde_json::json!({
            "arrived": "2026-09-21T14:13:20.123Z", "size": 1_790_000_000_123_u64,
            "waiting": [{"due": null}], "envelope": {"body": "EightBitMime"},
        });
        assert_eq!(value, expected);
    }
}
