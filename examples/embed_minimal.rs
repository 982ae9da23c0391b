//! A mail server in about twenty lines: durable storage, accounts, SMTP, mailboxes.
//!
//! Run it with `cargo run --bin embed_minimal`. It starts the server on a free port of the loopback interface, sends it a
//! message over SMTP as any client would, and shows what is in the mailbox.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use iems_core::Engine;
use iems_core::message::ChannelId;
use iems_core::seam::{NoResolver, SystemClock};
use iems_smtp::server::{Listener, Mode, Server, ServerOptions};
use iems_store::agent::LocalAgent;
use iems_store::directory::{DirectoryOptions, NewAccount, StoreDirectory};
use iems_store::engine::{Embedded, EmbeddedOptions};
use iems_store::mailbox::Uid;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

/// The server, its directory, and where it listens.
async fn start(folder: &Path) -> Result<(Engine, Arc<StoreDirectory>, SocketAddr), Box<dyn Error>> {
    let storage = Embedded::open(folder, EmbeddedOptions::default())?.storage();
    let (clock, options) = (Arc::new(SystemClock), DirectoryOptions::default());
    let directory = Arc::new(StoreDirectory::new(storage.clone(), clock.clone(), options));
    directory.add_domain(&"here.example".parse()?, Default::default()).await?;
    directory.add_account(NewAccount::new("ann@here.example".parse()?)).await?;

    let options = ServerOptions::new(Mode::Relay, ChannelId::new("smtp"), "mx.here.example");
    let listeners = vec![Listener::bind("127.0.0.1:0".parse()?)?];
    let smtp = Server::new(options, listeners, directory.clone(), Arc::new(NoResolver), clock, None)?;
    let address = smtp.addresses()[0];

    let engine = Engine::builder("mx.here.example", storage, directory.clone())
        .input(Arc::new(smtp))
        .agent(Arc::new(LocalAgent::new(directory.clone())))
        .build()?;
    engine.start();
    Ok((engine, directory, address))
}

/// Sends a message, one command at a time, and shows the replies.
async fn send(address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut stream = BufStream::new(TcpStream::connect(address).await?);
    let commands = [
        "",
        "HELO client.example\r\n",
        "MAIL FROM:<ben@there.example>\r\n",
        "RCPT TO:<ann@here.example>\r\n",
        "DATA\r\n",
        "From: ben@there.example\r\nSubject: hello\r\n\r\nThe first message.\r\n.\r\n",
        "QUIT\r\n",
    ];
    for command in commands {
        stream.write_all(command.as_bytes()).await?;
        stream.flush().await?;
        let mut reply = String::new();
        stream.read_line(&mut reply).await?;
        print!("{reply}");
        if !reply.starts_with(['2', '3']) {
            return Err(reply.into());
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (engine, directory, address) = start(folder.path()).await?;
    send(address).await?;

    let ann = directory.account(&"ann@here.example".parse()?).await?.ok_or("no account")?;
    let mailboxes = directory.mailboxes();
    for message in mailboxes.messages(ann.id, ann.inbox, Uid(0), 10).await? {
        let octets = message.body.reader(mailboxes.blobs()).rest().await?;
        println!("{}", String::from_utf8_lossy(&octets));
    }
    engine.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
