//! The sink: takes everything by SMTP and forgets it, and says how much it has taken.
//!
//! One process of its own; it writes the running count, as a line, whenever it is asked by a line on its
//! standard input.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const HELLO: &[u8] = b"250-sink.bench.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 104857600\r\n";

/// Serves until standard input ends.
pub(crate) fn sink(at: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(at)?;
    let count = Arc::new(AtomicUsize::new(0));
    let shared = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let count = Arc::clone(&shared);
            std::thread::spawn(move || {
                // A client that leaves early has nothing to tell us.
                let _ = serve(&stream, &count);
            });
        }
    });
    let mut out = io::stdout();
    for line in io::stdin().lines() {
        line?;
        writeln!(out, "{}", count.load(Ordering::Relaxed))?;
        out.flush()?;
    }
    Ok(())
}

fn serve(stream: &TcpStream, count: &AtomicUsize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(65536, stream);
    let mut answers = b"220 sink.bench.test ESMTP\r\n".to_vec();
    let mut line = Vec::new();
    loop {
        // Answers to commands that came together leave together.
        if reader.buffer().is_empty() || answers.len() > 4096 {
            (&*stream).write_all(&answers)?;
            answers.clear();
        }
        line.clear();
        if reader.by_ref().take(4096).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        match line.first().map(u8::to_ascii_uppercase) {
            Some(b'E') => answers.extend_from_slice(HELLO),
            Some(b'D') => {
                answers.extend_from_slice(b"354 go on\r\n");
                (&*stream).write_all(&answers)?;
                answers.clear();
                skip(&mut reader)?;
                count.fetch_add(1, Ordering::Relaxed);
                answers.extend_from_slice(b"250 2.0.0 taken\r\n");
            }
            Some(b'Q') => {
                answers.extend_from_slice(b"221 2.0.0 bye\r\n");
                return (&*stream).write_all(&answers);
            }
            _ => answers.extend_from_slice(b"250 2.0.0 ok\r\n"),
        }
    }
}

/// Reads to the end of the data.
fn skip(reader: &mut impl BufRead) -> io::Result<()> {
    const END: &[u8] = b"\r\n.\r\n";
    // An empty message ends with the first line.
    let mut matched = 2;
    loop {
        let chunk = reader.fill_buf()?;
        if chunk.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut used = 0;
        for &octet in chunk {
            used += 1;
            matched = match octet == END[matched] {
                true => matched + 1,
                false => usize::from(octet == b'\r'),
            };
            if matched == END.len() {
                break;
            }
        }
        reader.consume(used);
        if matched == END.len() {
            return Ok(());
        }
    }
}
