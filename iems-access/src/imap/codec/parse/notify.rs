//! `NOTIFY` (RFC 5465 section 8).

use crate::imap::types::{EventGroup, MailboxFilter, Notify, NotifyEvent};

use super::super::cursor::Cursor;
use super::super::error::{Parsed, SyntaxError};
use super::super::limits::ITEMS;
use super::fetch;

/// `SP "NONE"`, or `SP "SET" [SP "STATUS"] 1*(SP event-group)`.
pub(super) fn notify(cursor: &mut Cursor<'_>) -> Parsed<Notify> {
    cursor.sp()?;
    if cursor.keyword("NONE") {
        return Ok(Notify::None);
    }
    if !cursor.keyword("SET") {
        return cursor.wrong("SET or NONE is wanted");
    }
    cursor.sp()?;
    let status = cursor.keyword("STATUS");
    if status {
        cursor.sp()?;
    }
    let mut groups = Vec::new();
    loop {
        groups.push(group(cursor)?);
        if groups.len() > ITEMS {
            return Err(SyntaxError::limit("The list is too long").into());
        }
        if !cursor.more() {
            return Ok(Notify::Set { status, groups });
        }
    }
}

/// `"(" filter-mailboxes SP events ")"`.
fn group(cursor: &mut Cursor<'_>) -> Parsed<EventGroup> {
    cursor.expect(b'(', "An event group in parentheses is wanted")?;
    cursor.spaces();
    let mailboxes = filter(cursor)?;
    cursor.sp()?;
    let at = cursor.at();
    let events = match cursor.keyword("NONE") {
        true => Vec::new(),
        false => cursor.list1("Events or NONE are wanted", event)?,
    };
    cursor.spaces();
    cursor.expect(b')', "A parenthesis is wanted behind the events")?;
    together(&events, at)?;
    Ok(EventGroup { mailboxes, events })
}

/// New messages and expunges go together, and changes of flags with them (RFC 5465 section 5).
fn together(events: &[NotifyEvent], at: usize) -> Parsed<()> {
    let new = events.iter().any(|event| matches!(event, NotifyEvent::MessageNew(_)));
    let expunge = events.contains(&NotifyEvent::MessageExpunge);
    let changes =
        events.contains(&NotifyEvent::FlagChange) || events.contains(&NotifyEvent::AnnotationChange);
    match new != expunge || (changes && !new) {
        true => Err(SyntaxError::bad("MessageNew and MessageExpunge go together", at).into()),
        false => Ok(()),
    }
}

fn filter(cursor: &mut Cursor<'_>) -> Parsed<MailboxFilter> {
    let at = cursor.at();
    Ok(match cursor.word("Mailboxes are wanted")?.as_str() {
        "SELECTED" => MailboxFilter::Selected,
        "SELECTED-DELAYED" => MailboxFilter::SelectedDelayed,
        "INBOXES" => MailboxFilter::Inboxes,
        "PERSONAL" => MailboxFilter::Personal,
        "SUBSCRIBED" => MailboxFilter::Subscribed,
        "SUBTREE" => MailboxFilter::Subtree(mailboxes(cursor)?),
        "MAILBOXES" => MailboxFilter::Mailboxes(mailboxes(cursor)?),
        _ => return Err(SyntaxError::bad("NOTIFY does not know these mailboxes", at).into()),
    })
}

/// `SP one-or-more-mailbox`.
fn mailboxes(cursor: &mut Cursor<'_>) -> Parsed<Vec<String>> {
    cursor.sp()?;
    match cursor.peek() {
        Some(b'(') => cursor.list1("Mailboxes are wanted", Cursor::mailbox),
        _ => Ok(vec![cursor.mailbox()?]),
    }
}

fn event(cursor: &mut Cursor<'_>) -> Parsed<NotifyEvent> {
    let name = cursor.atom("An event is wanted")?;
    Ok(match name.to_ascii_uppercase().as_str() {
        "MESSAGENEW" => NotifyEvent::MessageNew(new_message(cursor)?),
        "MESSAGEEXPUNGE" => NotifyEvent::MessageExpunge,
        "FLAGCHANGE" => NotifyEvent::FlagChange,
        "ANNOTATIONCHANGE" => NotifyEvent::AnnotationChange,
        "MAILBOXNAME" => NotifyEvent::MailboxName,
        "SUBSCRIPTIONCHANGE" => NotifyEvent::SubscriptionChange,
        "MAILBOXMETADATACHANGE" => NotifyEvent::MailboxMetadataChange,
        "SERVERMETADATACHANGE" => NotifyEvent::ServerMetadataChange,
        _ => NotifyEvent::Other(name.into()),
    })
}

/// `[SP "(" fetch-att *(SP fetch-att) ")"]`.
fn new_message(cursor: &mut Cursor<'_>) -> Parsed<Vec<crate::imap::types::FetchAttribute>> {
    let at = cursor.at();
    cursor.spaces();
    match cursor.peek() {
        Some(b'(') if cursor.at() > at => fetch::attributes(cursor),
        _ => {
            cursor.back_to(at);
            Ok(Vec::new())
        }
    }
}
