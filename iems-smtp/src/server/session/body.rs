//! The message itself: `DATA` to CRLF.CRLF, `BDAT` by count. A message that cannot be accepted is read to its end, and
//! refused there: nothing in it is ever read as a command. A bare CR or LF is the reason given before all others, so that
//! the reply does not hang on how the octets arrived.

use bytes::{Buf, BytesMut};
use iems_core::message::Reply;

use super::output::{bare_line_end, error, too_large};
use super::state::{Body, State};
use super::{Event, Pending, Session};
use crate::proto::Piece;

/// How much more than the largest message is read away, in octets, before the connection is closed instead.
const PATIENCE: u64 = 64 << 20;

impl Session {
    /// `None`: more input is needed.
    pub(super) fn data(&mut self, input: &mut BytesMut) -> Option<Option<Event>> {
        let (limit, before) = (self.max_size, input.len());
        let State::Data(data) = &mut self.state else { return None };
        let (decoder, body) = &mut **data;
        let piece = decoder.next(input);
        body.octets += match &piece {
            Some(Piece::Octets(octets)) => octets.len() as u64,
            _ if decoder.is_broken() => (before - input.len()) as u64,
            _ => 0,
        };
        match piece {
            Some(Piece::Octets(octets)) => {
                body.measure(limit);
                let wanted = body.refusal.is_none();
                if self.is_hopeless() {
                    return Some(None);
                }
                Some(wanted.then_some(Event::Octets(octets)))
            }
            Some(Piece::End) => {
                if decoder.is_broken() {
                    body.refusal = Some(bare_line_end());
                }
                Some(self.end_of_message())
            }
            None => self.is_hopeless().then_some(None),
        }
    }

    /// `None`: more input is needed.
    pub(super) fn chunk(&mut self, input: &mut BytesMut) -> Option<Option<Event>> {
        let limit = self.max_size;
        let chunk = match &mut self.state {
            State::Chunk(chunk) => chunk,
            State::Skip(_) => return self.skip(input),
            _ => return None,
        };
        if chunk.left > limit.saturating_add(PATIENCE) {
            self.write_outcome(&too_large(limit), 1);
            self.state = State::Closing;
            return Some(Some(Event::Reset));
        }
        if chunk.left == 0 {
            return Some(self.end_of_chunk());
        }
        let now = chunk.left.min(input.len() as u64) as usize;
        if now == 0 {
            return None;
        }
        let octets = input.split_to(now).freeze();
        chunk.left -= now as u64;
        chunk.body.octets += now as u64;
        if !chunk.body.binary {
            chunk.body.ends.feed(&octets);
        }
        if chunk.body.ends.is_broken(false) {
            chunk.body.refusal = Some(bare_line_end());
        }
        chunk.body.measure(limit);
        let wanted = chunk.body.refusal.is_none();
        if self.is_hopeless() {
            return Some(None);
        }
        Some(wanted.then_some(Event::Octets(octets)))
    }

    fn end_of_chunk(&mut self) -> Option<Event> {
        let State::Chunk(mut chunk) = std::mem::replace(&mut self.state, State::Ready) else { return None };
        if chunk.last {
            if chunk.body.ends.is_broken(true) {
                chunk.body.refusal = Some(bare_line_end());
            }
            self.state = State::Chunk(chunk);
            return self.end_of_message();
        }
        let outcome = chunk.body.refusal.clone();
        let size = chunk.size;
        chunk.transaction.chunks = Some(chunk.body);
        self.state = State::Mail(chunk.transaction);
        match outcome {
            Some(reply) => self.refuse(&reply),
            None => self.write(&error(250, 0, 0, &format!("{size} octets received"))),
        }
        None
    }

    /// The whole message is read: asks for the commit, or refuses.
    fn end_of_message(&mut self) -> Option<Event> {
        let body = match &mut self.state {
            State::Data(data) => &mut data.1,
            State::Chunk(chunk) => &mut chunk.body,
            _ => return None,
        };
        match body.refusal.take() {
            None => {
                self.pending = Pending::Commit;
                Some(Event::EndOfData)
            }
            Some(reply) => {
                let recipients = body.recipients;
                self.state = State::Ready;
                self.upstream = None;
                self.write_outcome(&reply, recipients);
                Some(Event::Reset)
            }
        }
    }

    fn skip(&mut self, input: &mut BytesMut) -> Option<Option<Event>> {
        let limit = self.max_size;
        let State::Skip(skip) = &mut self.state else { return None };
        let now = skip.left.min(input.len() as u64);
        input.advance(now as usize);
        skip.left -= now;
        if skip.left > 0 && skip.left <= limit.saturating_add(PATIENCE) {
            return None;
        }
        let enough = skip.left > 0;
        let State::Skip(skip) = std::mem::replace(&mut self.state, State::Ready) else { return None };
        self.state = if enough { State::Closing } else { skip.back };
        self.refuse(&skip.reply);
        Some(None)
    }

    /// Closes when a message that is refused anyway does not come to its end.
    fn is_hopeless(&mut self) -> bool {
        let body: &Body = match &self.state {
            State::Data(data) => &data.1,
            State::Chunk(chunk) => &chunk.body,
            _ => return false,
        };
        let enough = body.octets > self.max_size.saturating_add(PATIENCE);
        if enough {
            let reply = Reply::new(421, too_large(0).enhanced, "far too large; send a smaller one");
            self.write(&reply);
        }
        enough
    }
}

impl Body {
    fn measure(&mut self, limit: u64) {
        if self.octets > limit {
            self.refusal.get_or_insert_with(|| too_large(limit));
        }
    }
}
