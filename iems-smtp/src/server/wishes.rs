//! What a peer says of time, against what the server offers: `HOLDFOR` and `HOLDUNTIL` (RFC 4865), `BY` (RFC 2852).

use std::time::Duration;

use iems_core::message::{DeliverBy, EnhancedStatus, Late, Release, Reply};
use iems_core::seam::Timestamp;

use super::{Mode, ServerOptions};
use crate::proto::{By, Hold, Mail};

/// Puts the wishes of `mail` into its envelope, as moments.
pub(super) fn put(mail: &mut Mail, now: Timestamp, options: &ServerOptions) -> Result<(), Reply> {
    mail.envelope.release = mail.hold.map(|hold| release(hold, now, options)).transpose()?;
    mail.envelope.by = mail.by.map(|by| deliver_by(by, now, options)).transpose()?;
    match (mail.envelope.release, mail.envelope.by) {
        (Some(release), Some(by)) if release.at >= by.at => Err(wrong(
            501,
            "the time of BY would be over before the message may go; name a shorter hold, or a longer time",
        )),
        _ => Ok(()),
    }
}

fn release(hold: Hold, now: Timestamp, options: &ServerOptions) -> Result<Release, Reply> {
    let most = options.future_release;
    if most.is_zero() || options.mode != Mode::Submission {
        return Err(wrong(555, "messages are not held here; send this one when it is to go, or submit it"));
    }
    let (at, held) = match hold {
        Hold::For(seconds) => (now.after(Duration::from_secs(seconds)), Some(seconds)),
        Hold::Until(at) if at <= now => {
            return Err(wrong(501, "the time of HOLDUNTIL is over; name one to come"));
        }
        Hold::Until(at) => (at, None),
    };
    match at > now.after(most) {
        true => {
            Err(wrong(501, &format!("messages are held for at most {} seconds; name less", most.as_secs())))
        }
        false => Ok(Release { at, held }),
    }
}

fn deliver_by(by: By, now: Timestamp, options: &ServerOptions) -> Result<DeliverBy, Reply> {
    let span = Duration::from_secs(by.seconds.unsigned_abs());
    if by.late == Late::Return && by.seconds <= 0 {
        return Err(wrong(501, "with BY and R the time is more than 0 seconds; name some"));
    }
    let least = options.deliver_by_minimum;
    if by.late == Late::Return && span < least {
        let text =
            format!("the time of BY is under the {} seconds that are offered; name more", least.as_secs());
        return Err(wrong(555, &text));
    }
    let at = match by.seconds < 0 {
        true => Timestamp::from_millis(now.as_millis().saturating_sub(span.as_millis() as u64)),
        false => now.after(span),
    };
    Ok(DeliverBy { at, late: by.late, trace: by.trace })
}

fn wrong(code: u16, text: &str) -> Reply {
    Reply::new(code, EnhancedStatus::new(5, 5, 4), text)
}

#[cfg(test)]
mod tests {
    use iems_core::message::{ChannelId, Envelope, ReversePath};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    fn put(
        mode: Mode,
        hold: Option<Hold>,
        by: Option<(i64, Late)>,
    ) -> Result<(Option<u64>, Option<u64>), u16> {
        let mut options = ServerOptions::new(mode, ChannelId::new("x"), "mx");
        options.future_release = Duration::from_secs(100);
        options.deliver_by_minimum = Duration::from_secs(10);
        let mut mail = Mail::new(Envelope::new(ReversePath::Null));
        mail.hold = hold;
        mail.by = by.map(|(seconds, late)| By { seconds, late, trace: false });
        super::put(&mut mail, NOW, &options).map_err(|reply| reply.code)?;
        let secs = |at: Timestamp| at.as_secs().wrapping_sub(NOW.as_secs());
        Ok((mail.envelope.release.map(|release| secs(release.at)), mail.envelope.by.map(|by| secs(by.at))))
    }

    #[test]
    fn messages_are_held_within_bounds_and_in_submission_alone() {
        let later = |secs| Some(Hold::Until(NOW.after(Duration::from_secs(secs))));
        assert_eq!(put(Mode::Submission, Some(Hold::For(100)), None), Ok((Some(100), None)));
        assert_eq!(put(Mode::Submission, later(5), None), Ok((Some(5), None)));
        assert_eq!(put(Mode::Submission, Some(Hold::For(101)), None), Err(501));
        assert_eq!(put(Mode::Submission, later(101), None), Err(501));
        assert_eq!(put(Mode::Submission, later(0), None), Err(501));
        assert_eq!(put(Mode::Relay, Some(Hold::For(1)), None), Err(555));
    }

    #[test]
    fn a_time_to_return_is_to_come_and_not_too_short() {
        assert_eq!(put(Mode::Relay, None, Some((10, Late::Return))), Ok((None, Some(10))));
        assert_eq!(put(Mode::Relay, None, Some((0, Late::Return))), Err(501));
        assert_eq!(put(Mode::Relay, None, Some((9, Late::Return))), Err(555));
        assert_eq!(put(Mode::Relay, None, Some((-3, Late::Notify))), Ok((None, Some(3_u64.wrapping_neg()))));
        assert_eq!(put(Mode::Submission, Some(Hold::For(20)), Some((20, Late::Return))), Err(501));
        assert_eq!(
            put(Mode::Submission, Some(Hold::For(20)), Some((21, Late::Notify))),
            Ok((Some(20), Some(21)))
        );
    }
}
