//! Threads (RFC 5256 section 5), without recursion: a thread may be as deep as a mailbox is long.

use bytes::BytesMut;

use crate::imap::types::ThreadNode;

use super::string::print;

/// What is left to be written.
enum Task<'a> {
    /// A node; whether a number stands before it within its parentheses.
    Node(&'a ThreadNode, bool),
    /// A thread of its own, in parentheses.
    Nested(&'a ThreadNode),
    Close,
}

/// `THREAD` and its threads.
pub(super) fn threads(nodes: &[ThreadNode], out: &mut BytesMut) {
    out.extend_from_slice(b"THREAD");
    if !nodes.is_empty() {
        out.extend_from_slice(b" ");
    }
    let mut tasks: Vec<Task<'_>> = nodes.iter().rev().map(Task::Nested).collect();
    while let Some(task) = tasks.pop() {
        match task {
            Task::Close => out.extend_from_slice(b")"),
            Task::Nested(node) if is_empty(node) => {}
            Task::Nested(node) => {
                out.extend_from_slice(b"(");
                tasks.push(Task::Close);
                tasks.push(Task::Node(node, false));
            }
            Task::Node(node, behind) => {
                let behind = members(node, behind, out);
                match &node.children[..] {
                    [] => {}
                    [only] => tasks.push(Task::Node(only, behind)),
                    many => {
                        if behind {
                            out.extend_from_slice(b" ");
                        }
                        tasks.extend(many.iter().rev().map(Task::Nested));
                    }
                }
            }
        }
    }
}

/// The node's number, if it has one; whether a number stands there then.
fn members(node: &ThreadNode, behind: bool, out: &mut BytesMut) -> bool {
    let Some(number) = node.number else { return behind };
    let space = if behind { " " } else { "" };
    print(format_args!("{space}{number}"), out);
    true
}

/// Nothing stands for a message that is missing and holds nothing together.
fn is_empty(node: &ThreadNode) -> bool {
    node.number.is_none() && node.children.is_empty()
}
