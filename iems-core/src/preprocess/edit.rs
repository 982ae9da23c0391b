//! Applying edits: fields go in front, splices rewrite the blob in one pass.

use bytes::Bytes;

use super::Edit;
use crate::message::{Body, TraceScan};
use crate::storage::{BlobWriter, Blobs, StoreError};

/// Applies the edits of one module. Edits that are not well formed are left out and named in the second part.
pub(crate) async fn apply(
    body: &Body,
    edits: &[Edit],
    blobs: &dyn Blobs,
) -> Result<(Body, Vec<String>), StoreError> {
    let (mut fields, mut splices, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
    for edit in edits {
        match edit {
            Edit::Prepend { name, value } if is_field(name, value) => {
                fields.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            Edit::Prepend { name, .. } => dropped.push(format!("field {name:?} is not well formed")),
            Edit::Splice { range, with } => splices.push((range.start, range.end, with.clone())),
        }
    }
    splices.sort_by_key(|(start, end, _)| (*start, *end));
    let body = match splices.is_empty() {
        true => body.clone(),
        false if in_order(&splices, body.size()) => rewrite(body, &splices, blobs).await?,
        false => {
            dropped.push("splices overlap or reach beyond the message".into());
            body.clone()
        }
    };
    Ok((if fields.is_empty() { body } else { body.with_prefix(&fields) }, dropped))
}

/// RFC 5322 section 3.6.8 names, and a value of one line.
fn is_field(name: &str, value: &str) -> bool {
    let named =
        !name.is_empty() && name.len() <= 77 && name.bytes().all(|b| (33..=126).contains(&b) && b != b':');
    named && value.len() <= 900 && !value.chars().any(char::is_control)
}

fn in_order(splices: &[(u64, u64, Bytes)], size: u64) -> bool {
    let mut at = 0;
    splices.iter().all(|(start, end, _)| {
        let fits = *start >= at && end >= start && *end <= size;
        at = *end;
        fits
    })
}

/// Copies the message with the splices into a new blob.
async fn rewrite(body: &Body, splices: &[(u64, u64, Bytes)], blobs: &dyn Blobs) -> Result<Body, StoreError> {
    let mut out = Out { writer: blobs.create().await?, scan: TraceScan::default(), size: 0 };
    let mut reader = body.reader(blobs);
    let (mut at, mut next) = (0_u64, splices.iter().peekable());
    while let Some(mut piece) = reader.next().await? {
        while !piece.is_empty() {
            match next.peek() {
                Some((start, end, with)) if at >= *start => {
                    let skip = (end - at).min(piece.len() as u64);
                    at += skip;
                    piece = piece.split_off(skip as usize);
                    if at >= *end {
                        out.write(with.clone()).await?;
                        next.next();
                    }
                }
                Some((start, ..)) => {
                    let keep = (start - at).min(piece.len() as u64);
                    at += keep;
                    out.write(piece.split_to(keep as usize)).await?;
                }
                None => {
                    at += piece.len() as u64;
                    out.write(std::mem::take(&mut piece)).await?;
                }
            }
        }
    }
    for (_, _, with) in next {
        out.write(with.clone()).await?;
    }
    out.scan.finish("");
    let header_size = out.scan.header_size();
    Ok(Body { prefix: Bytes::new(), blob: out.writer.finish().await?, blob_size: out.size, header_size })
}

struct Out {
    writer: Box<dyn BlobWriter>,
    scan: TraceScan,
    size: u64,
}

impl Out {
    async fn write(&mut self, bytes: Bytes) -> Result<(), StoreError> {
        self.scan.feed(&bytes, "");
        self.size += bytes.len() as u64;
        self.writer.write(bytes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MemoryStorage;

    async fn edited(edits: &[Edit]) -> (String, Vec<String>) {
        let storage = MemoryStorage::new();
        let mut writer = storage.create().await.unwrap();
        writer.write(Bytes::from_static(b"A: 1\r\nB: 2\r\n\r\nbody\r\n")).await.unwrap();
        let body = Body {
            prefix: Bytes::from_static(b"P: 0\r\n"),
            blob: writer.finish().await.unwrap(),
            blob_size: 20,
            header_size: 14,
        };
        let (body, dropped) = apply(&body, edits, &*storage).await.unwrap();
        let text = body.reader(&*storage).rest().await.unwrap();
        assert_eq!(body.size(), text.len() as u64);
        (String::from_utf8(text).unwrap(), dropped)
    }

    #[tokio::test]
    async fn splices_and_fields() {
        let splice =
            |range, with: &'static str| Edit::Splice { range, with: Bytes::from_static(with.as_bytes()) };
        let field = Edit::Prepend { name: "X-New".into(), value: "yes".into() };
        let (text, dropped) =
            edited(&[splice(12..18, ""), splice(0..0, "Z: 9\r\n"), splice(26..26, "end\r\n"), field]).await;
        assert_eq!(text, "X-New: yes\r\nZ: 9\r\nP: 0\r\nA: 1\r\n\r\nbody\r\nend\r\n");
        assert!(dropped.is_empty());
    }

    #[tokio::test]
    async fn what_is_not_well_formed_is_left_out() {
        let splice = |range| Edit::Splice { range, with: Bytes::new() };
        let (text, dropped) = edited(&[
            splice(0..10),
            splice(5..12),
            Edit::Prepend { name: "Bad Name".into(), value: "x".into() },
            Edit::Prepend { name: "X".into(), value: "a\r\nB: c".into() },
        ])
        .await;
        assert_eq!(text, "P: 0\r\nA: 1\r\nB: 2\r\n\r\nbody\r\n");
        assert_eq!(dropped.len(), 3);
    }
}
