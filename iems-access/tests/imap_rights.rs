//! IMAP over real sockets: who may do what, annotations, messages put together from others, compression.

use std::sync::Arc;
use std::time::Duration;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use iems_access::imap::{Accounts, Listener, Server, ServerOptions};
use iems_core::seam::SystemClock;
use iems_core::storage::MemoryStorage;
use iems_store::directory::{DirectoryOptions, NewAccount, StoreDirectory};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// A server with the accounts of ann and bob. It ends with the test.
async fn serve() -> u16 {
    let memory = MemoryStorage::new();
    let mut options = DirectoryOptions::default();
    (options.passwords.memory, options.passwords.passes, options.passwords.scram_iterations) = (16, 1, 4096);
    let directory = StoreDirectory::new(memory.storage(), Arc::new(SystemClock), options);
    directory.add_domain(&"example.org".parse().unwrap(), Default::default()).await.unwrap();
    for name in ["ann", "bob"] {
        let account = NewAccount::new(format!("{name}@example.org").parse().unwrap()).with_password("secret");
        directory.add_account(account).await.unwrap();
    }
    let accounts = Accounts::new(Arc::new(directory));
    let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
    let server = Server::new(ServerOptions::new("mx.example.org"), vec![listener], accounts, None).unwrap();
    let port = server.addresses()[0].port();
    tokio::spawn(async move { server.serve(CancellationToken::new()).await });
    port
}

struct Client {
    stream: TcpStream,
    packed: Option<(Compress, Decompress)>,
    input: Vec<u8>,
}

impl Client {
    async fn log_in(port: u16, name: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let mut client = Self { stream, packed: None, input: Vec::new() };
        assert!(client.line().await.starts_with("* OK"));
        client.done(&format!("LOGIN {name}@example.org secret")).await;
        client
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(at) = self.input.windows(2).position(|end| end == b"\r\n") {
                let line: Vec<u8> = self.input.drain(..at + 2).collect();
                return String::from_utf8(line[..at].to_vec()).unwrap();
            }
            let mut piece = vec![0; 4096];
            let read = tokio::time::timeout(Duration::from_secs(20), self.stream.read(&mut piece));
            let read = read.await.expect("an answer in time").unwrap();
            piece.truncate(read);
            assert!(!piece.is_empty(), "the connection ended");
            self.take(piece);
        }
    }

    fn take(&mut self, piece: Vec<u8>) {
        let Some((_, unpack)) = &mut self.packed else { return self.input.extend(piece) };
        let before = unpack.total_in();
        let mut out = Vec::with_capacity(1 << 20);
        unpack.decompress_vec(&piece, &mut out, FlushDecompress::Sync).unwrap();
        assert_eq!(unpack.total_in() - before, piece.len() as u64);
        self.input.extend(out);
    }

    async fn say(&mut self, text: &str) {
        let mut octets = text.as_bytes().to_vec();
        if let Some((pack, _)) = &mut self.packed {
            let mut out = Vec::with_capacity(1 << 16);
            pack.compress_vec(&octets, &mut out, FlushCompress::Sync).unwrap();
            octets = out;
        }
        self.stream.write_all(&octets).await.unwrap();
    }

    /// The lines of the answer, the last without its tag.
    async fn ask(&mut self, command: &str) -> Vec<String> {
        self.say(&format!("a {command}\r\n")).await;
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            match line.strip_prefix("a ") {
                Some(end) => {
                    lines.push(end.to_owned());
                    return lines;
                }
                None => lines.push(line),
            }
        }
    }

    /// The data of a command that is done.
    async fn done(&mut self, command: &str) -> Vec<String> {
        let mut lines = self.ask(command).await;
        let end = lines.pop().unwrap();
        assert!(end.starts_with("OK "), "{command}: {end}");
        lines
    }

    /// The answer to a command that is refused.
    async fn refused(&mut self, command: &str) -> String {
        self.ask(command).await.pop().unwrap()
    }
}

#[tokio::test]
async fn rights_are_given_and_taken() {
    let mut ann = Client::log_in(serve().await, "ann").await;
    ann.done("CREATE Projects").await;
    let all = "lrswipkxteacd";
    assert_eq!(ann.done("MYRIGHTS Projects").await, [format!("* MYRIGHTS Projects {all}")]);
    ann.done("SETACL Projects bob lr").await;
    ann.done("SETACL Projects bob@example.org +ekxt").await;
    ann.done("SETACL Projects ANYONE l").await;
    ann.done("SETACL Projects -bob x").await;
    let owner = format!("* ACL Projects ann@example.org {all}");
    let acl = "bob@example.org lrkxtecd -bob@example.org xc anyone l";
    assert_eq!(ann.done("GETACL Projects").await, [format!("{owner} {acl}")]);
    ann.done("SETACL Projects bob -kxte").await;
    ann.done("DELETEACL Projects -bob@example.org").await;
    ann.done("DELETEACL Projects anyone").await;
    assert_eq!(ann.done("GETACL Projects").await, [format!("{owner} bob@example.org lr")]);
    let rights = ann.done("LISTRIGHTS Projects bob").await;
    assert_eq!(rights, ["* LISTRIGHTS Projects bob \"\" l r s w i p k x t e a c d"]);
    let rights = ann.done("LISTRIGHTS Projects ann@example.org").await;
    assert_eq!(rights, [format!("* LISTRIGHTS Projects ann@example.org {all}")]);
    assert!(ann.refused("SETACL Projects ann l").await.starts_with("NO [CANNOT]"));
    assert!(ann.refused("SETACL Projects eve l").await.starts_with("NO [NONEXISTENT]"));
    assert!(ann.refused("SETACL Projects bob lq").await.starts_with("BAD "));
    assert!(ann.refused("GETACL Other").await.starts_with("NO [NONEXISTENT]"));
}

const SHARED: &str = "\"Other Users/ann@example.org/Projects\"";

async fn append(client: &mut Client, mailbox: &str, flags: &str) -> String {
    client.ask(&format!("APPEND {mailbox} {flags} {{11+}}\r\nA: b\r\n\r\nx\r\n")).await.pop().unwrap()
}

#[tokio::test]
async fn mailboxes_are_shared_as_far_as_rights_go() {
    let port = serve().await;
    let (mut ann, mut bob) = (Client::log_in(port, "ann").await, Client::log_in(port, "bob").await);
    ann.done("CREATE Projects").await;
    append(&mut ann, "Projects", "()").await;
    let select = format!("SELECT {SHARED}");
    assert!(bob.refused(&select).await.starts_with("NO [NONEXISTENT]"));
    assert!(!bob.done("LIST \"\" *").await.iter().any(|line| line.contains("Other")));
    let namespaces = "* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL";
    assert_eq!(bob.done("NAMESPACE").await, [namespaces]);

    ann.done("SETACL Projects bob lr").await;
    let listed = bob.done("LIST \"\" \"Other*\"").await;
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert!(listed[0].starts_with("* LIST (\\Noselect \\HasChildren) \"/\" \"Other Users\""), "{listed:?}");
    assert_eq!(listed[2], format!("* LIST (\\HasNoChildren) \"/\" {SHARED}"));
    assert_eq!(
        bob.done(&format!("STATUS {SHARED} (MESSAGES)")).await,
        [format!("* STATUS {SHARED} (MESSAGES 1)")]
    );
    assert!(bob.refused(&select).await.starts_with("OK [READ-ONLY]"));
    assert!(bob.done("FETCH 1 (BODY[TEXT])").await.iter().all(|line| !line.contains("Seen")));
    assert!(bob.refused("STORE 1 +FLAGS (\\Seen)").await.starts_with("NO [NOPERM] Its owner"));
    assert!(append(&mut bob, SHARED, "()").await.starts_with("NO [NOPERM]"));
    assert!(bob.refused(&format!("GETACL {SHARED}")).await.starts_with("NO [NOPERM]"));
    assert_eq!(bob.done(&format!("MYRIGHTS {SHARED}")).await, [format!("* MYRIGHTS {SHARED} lr")]);

    ann.done("SETACL Projects bob +si").await;
    assert!(bob.refused(&select).await.starts_with("OK [READ-WRITE]"));
    assert!(bob.done("STORE 1 +FLAGS (\\Seen \\Flagged)").await[0].contains("(\\Seen \\Recent)"));
    assert!(bob.refused("STORE 1 +FLAGS (\\Deleted)").await.starts_with("NO [NOPERM]"));
    assert!(bob.done("STORE 1 FLAGS (\\Seen \\Deleted)").await[0].contains("(\\Seen \\Recent)"));
    assert!(bob.refused("EXPUNGE").await.starts_with("NO [NOPERM]"));
    assert!(append(&mut bob, SHARED, "(\\Flagged \\Seen own)").await.starts_with("OK [APPENDUID"));
    assert!(bob.done("FETCH 2 FLAGS").await.iter().any(|line| line == "* 2 FETCH (FLAGS (\\Seen \\Recent))"));
    assert!(bob.refused("MOVE 1 INBOX").await.starts_with("NO [NOPERM]"));
    bob.done("COPY 1 INBOX").await;

    ann.done("SETACL Projects bob +te").await;
    bob.done(&select).await;
    bob.done("STORE 1 +FLAGS (\\Deleted)").await;
    assert!(bob.done("EXPUNGE").await.contains(&"* 1 EXPUNGE".to_owned()));
    bob.done("MOVE 1 INBOX").await;
    assert_eq!(ann.done("STATUS Projects (MESSAGES)").await, ["* STATUS Projects (MESSAGES 0)"]);
    assert_eq!(bob.done("STATUS INBOX (MESSAGES)").await, ["* STATUS INBOX (MESSAGES 2)"]);
    assert!(bob.refused(&format!("DELETE {SHARED}")).await.starts_with("NO [NOPERM]"));
    assert!(bob.refused("CREATE \"Other Users/ann@example.org/x\"").await.starts_with("NO [NOPERM]"));

    ann.done("DELETEACL Projects bob").await;
    assert!(bob.refused(&select).await.starts_with("NO [NONEXISTENT]"));
    assert!(!bob.done("LIST \"\" *").await.iter().any(|line| line.contains("Other")));
}

/// Flags that one may not set do not come along (RFC 4314 section 4).
#[tokio::test]
async fn what_is_copied_or_moved_takes_only_flags_that_may_be_set() {
    let port = serve().await;
    let (mut ann, mut bob) = (Client::log_in(port, "ann").await, Client::log_in(port, "bob").await);
    ann.done("CREATE Projects").await;
    bob.done("SELECT INBOX").await;
    for (rights, kept) in [("lri", ""), ("lris", "\\Seen"), ("lriw", "\\Flagged own"), ("lrit", "\\Deleted")]
    {
        grant(&mut ann, "Projects", rights).await;
        for command in ["COPY", "MOVE"] {
            append(&mut bob, "INBOX", "(\\Flagged \\Seen \\Deleted own)").await;
            bob.done(&format!("{command} * {SHARED}")).await;
            ann.done("SELECT Projects").await;
            let said = ann.done("FETCH * FLAGS").await;
            let flags =
                said[0].split("(FLAGS (").nth(1).unwrap().replace(" \\Recent", "").replace("\\Recent", "");
            assert_eq!(flags, format!("{kept}))"), "{rights} {command}");
            ann.done("UNSELECT").await;
        }
    }
}

/// What `bob` may do with `mailbox` of ann.
async fn grant(ann: &mut Client, mailbox: &str, rights: &str) {
    ann.done(&format!("SETACL {mailbox} bob {rights}")).await;
}

#[tokio::test]
async fn mailboxes_of_others_are_made_renamed_and_deleted_with_rights() {
    let port = serve().await;
    let (mut ann, mut bob) = (Client::log_in(port, "ann").await, Client::log_in(port, "bob").await);
    ann.done("CREATE Team").await;
    ann.done("CREATE Team/secret").await;
    ann.done("CREATE Mine").await;
    grant(&mut ann, "Team", "lrk").await;
    ann.done("SETACL Team/secret bob \"\"").await;
    let path = |name: &str| format!("\"Other Users/ann@example.org/{name}\"");
    bob.done(&format!("CREATE {}", path("Team/new/deep"))).await;
    // What is made there is the owner's, and has the rights of what it is below.
    assert!(ann.done("LIST \"\" *").await.iter().any(|line| line.ends_with("Team/new/deep")));
    assert_eq!(
        bob.done(&format!("MYRIGHTS {}", path("Team/new"))).await,
        [format!("* MYRIGHTS {} lrkc", path("Team/new"))]
    );
    for name in ["Team/secret/x", "Mine/x", "x", ""] {
        assert!(bob.refused(&format!("CREATE {}", path(name))).await.starts_with("NO [NOPERM]"), "{name}");
    }
    assert!(bob.refused("CREATE \"Other Users/eve@example.org/x\"").await.starts_with("NO [NOPERM]"));
    assert!(bob.refused("CREATE \"Other Users\"").await.starts_with("NO [NOPERM]"));
    // Deleting and renaming take `x`.
    assert!(bob.refused(&format!("DELETE {}", path("Team/new/deep"))).await.starts_with("NO [NOPERM]"));
    assert!(bob.refused(&format!("DELETE {}", path("Team/none"))).await.starts_with("NO [NONEXISTENT]"));
    let rename = format!("RENAME {} {}", path("Team/new/deep"), path("Team/other"));
    assert!(bob.refused(&rename).await.starts_with("NO [NOPERM]"));
    grant(&mut ann, "Team/new/deep", "lrx").await;
    bob.done(&rename).await;
    let away = format!("RENAME {} own", path("Team/other"));
    assert!(bob.refused(&away).await.starts_with("NO [CANNOT]"));
    let out = format!("RENAME {} {}", path("Team/other"), path("Elsewhere"));
    assert!(bob.refused(&out).await.starts_with("NO [NOPERM]"));
    bob.done(&format!("DELETE {}", path("Team/other"))).await;
    assert!(!ann.done("LIST \"\" *").await.iter().any(|line| line.contains("other")));
    // One's own under this name are one's own.
    ann.done(&format!("CREATE {}", path("top"))).await;
    assert!(ann.done("LIST \"\" top").await.len() == 1);
}

#[tokio::test]
async fn rights_are_heeded_while_a_mailbox_is_open() {
    let port = serve().await;
    let (mut ann, mut bob) = (Client::log_in(port, "ann").await, Client::log_in(port, "bob").await);
    ann.done("CREATE Projects").await;
    append(&mut ann, "Projects", "()").await;
    append(&mut ann, "Projects", "()").await;
    grant(&mut ann, "Projects", "lr").await;
    let opened = bob.ask(&format!("SELECT {SHARED}")).await;
    assert!(opened.contains(&"* OK [PERMANENTFLAGS ()] What can be kept".to_owned()), "{opened:?}");
    grant(&mut ann, "Projects", "+sw").await;
    let said = bob.ask("STORE 1 +FLAGS (\\Seen)").await;
    assert!(said.iter().any(|line| line.starts_with("* OK [READ-WRITE]")), "{said:?}");
    let kept = "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Seen \\Draft \\*)] What can be kept";
    assert!(said.contains(&kept.to_owned()), "{said:?}");
    assert!(said.contains(&"* 1 FETCH (FLAGS (\\Seen \\Recent))".to_owned()), "{said:?}");
    grant(&mut ann, "Projects", "-sw").await;
    let said = bob.ask("STORE 2 +FLAGS (\\Seen)").await;
    assert!(said.iter().any(|line| line.starts_with("* OK [READ-ONLY]")), "{said:?}");
    assert!(said.last().is_some_and(|line| line.starts_with("NO [NOPERM]")), "{said:?}");
    // Without `r`, nothing is there any more, and nothing new is told.
    grant(&mut ann, "Projects", "-r").await;
    append(&mut ann, "Projects", "()").await;
    assert_eq!(bob.ask("FETCH 1 BODY.PEEK[]").await, ["OK [EXPUNGEISSUED] Some are gone"]);
    assert_eq!(bob.done("NOOP").await, ["* 2 EXPUNGE", "* 1 EXPUNGE", "* 0 RECENT"]);
    assert!(bob.refused("APPEND INBOX CATENATE (URL \";UID=1\")").await.starts_with("NO [NOPERM]"));
    grant(&mut ann, "Projects", "+r").await;
    assert_eq!(bob.done("NOOP").await.len(), 0);
    let opened = bob.done(&format!("SELECT {SHARED}")).await;
    assert!(opened.contains(&"* 3 EXISTS".to_owned()), "{opened:?}");
}

#[tokio::test]
async fn annotations_are_kept() {
    let mut ann = Client::log_in(serve().await, "ann").await;
    ann.done("SETMETADATA INBOX (/private/comment \"mine\" /shared/Comment ~{3+}\r\na\0b /private/x/y {4+}\r\nlong)").await;
    let found = ann.done("GETMETADATA INBOX (/private/comment /private/none)").await;
    assert_eq!(found, ["* METADATA INBOX (/private/comment \"mine\" /private/none NIL)"]);
    let found = ann.done("GETMETADATA (DEPTH infinity) INBOX /private").await;
    assert_eq!(found, ["* METADATA INBOX (/private/comment \"mine\" /private/x/y \"long\")"]);
    let found = ann.done("GETMETADATA INBOX /shared/comment").await;
    assert_eq!(found, ["* METADATA INBOX (/shared/comment ~{3}", "a\0b)"]);
    let long = ann.ask("GETMETADATA (MAXSIZE 3) INBOX (/private/comment)").await;
    assert_eq!(long.len(), 1);
    assert!(long[0].starts_with("OK [METADATA LONGENTRIES 4]"), "{long:?}");
    ann.done("SETMETADATA INBOX (/private/comment NIL)").await;
    assert_eq!(
        ann.done("GETMETADATA INBOX /private/comment").await,
        ["* METADATA INBOX (/private/comment NIL)"]
    );
    ann.done("SETMETADATA \"\" (/private/theme \"dark\")").await;
    assert_eq!(
        ann.done("GETMETADATA \"\" /private/theme").await,
        ["* METADATA \"\" (/private/theme \"dark\")"]
    );
    assert!(ann.refused("SETMETADATA \"\" (/shared/admin \"x\")").await.starts_with("NO [NOPERM]"));
    assert!(ann.refused("SETMETADATA INBOX (/other/x \"x\")").await.starts_with("BAD "));
    assert!(ann.refused("GETMETADATA Other /private/x").await.starts_with("NO [NONEXISTENT]"));
    // Nothing is set if something cannot be.
    let long = "x".repeat(2000);
    let many: Vec<String> = (0..101).map(|n| format!("/private/n{n} \"x\"")).collect();
    let refused = ann.refused(&format!("SETMETADATA INBOX ({})", many.join(" "))).await;
    assert!(refused.starts_with("NO [METADATA TOOMANY]"), "{refused}");
    let refused =
        ann.refused(&format!("SETMETADATA INBOX (/private/a \"x\" /private/b \"{}\")", long.repeat(9))).await;
    assert!(refused.starts_with("NO [METADATA MAXSIZE 16384]"), "{refused}");
    assert_eq!(ann.done("GETMETADATA INBOX (/private/a /private/n1)").await.len(), 1);
}

#[tokio::test]
async fn private_annotations_are_one_users() {
    let port = serve().await;
    let (mut ann, mut bob) = (Client::log_in(port, "ann").await, Client::log_in(port, "bob").await);
    ann.done("SETMETADATA \"\" (/private/theme \"dark\")").await;
    assert_eq!(bob.done("GETMETADATA \"\" /private/theme").await, ["* METADATA \"\" (/private/theme NIL)"]);
}

#[tokio::test]
async fn lists_tell_rights_and_annotations() {
    let port = serve().await;
    let (mut ann, mut bob) = (Client::log_in(port, "ann").await, Client::log_in(port, "bob").await);
    ann.done("CREATE Projects").await;
    ann.done("SETACL Projects bob lr").await;
    ann.done("SETMETADATA Projects (/shared/comment \"ours\" /private/comment \"mine\")").await;
    let list = "LIST \"\" * RETURN (MYRIGHTS METADATA (/shared/comment /private/comment))";
    let told = ann.done(list).await;
    assert!(told.contains(&"* MYRIGHTS Projects lrswipkxteacd".to_owned()), "{told:?}");
    assert!(
        told.contains(&"* METADATA Projects (/shared/comment \"ours\" /private/comment \"mine\")".to_owned())
    );
    let told = bob.done(list).await;
    assert!(told.contains(&format!("* MYRIGHTS {SHARED} lr")), "{told:?}");
    assert!(
        told.contains(&format!("* METADATA {SHARED} (/shared/comment \"ours\" /private/comment NIL)")),
        "{told:?}"
    );
    assert!(
        bob.refused(&format!("SETMETADATA {SHARED} (/shared/comment \"x\")"))
            .await
            .starts_with("NO [NOPERM]")
    );
    bob.done(&format!("SETMETADATA {SHARED} (/private/comment \"bob's\")")).await;
    let told = ann.done("GETMETADATA Projects /private/comment").await;
    assert_eq!(told, ["* METADATA Projects (/private/comment \"mine\")"]);
}

#[tokio::test]
async fn messages_are_put_together() {
    let port = serve().await;
    let (mut ann, mut bob) = (Client::log_in(port, "ann").await, Client::log_in(port, "bob").await);
    ann.done("CREATE \"a b\"").await;
    append(&mut ann, "\"a b\"", "()").await;
    let parts = "URL \"/a%20b/;UID=1/;SECTION=HEADER\" TEXT {3+}\r\nnew URL \"/a%20b/;UID=1/;SECTION=TEXT/;PARTIAL=0.1\"";
    let end = ann.refused(&format!("APPEND INBOX (\\Seen) CATENATE ({parts})")).await;
    assert!(end.starts_with("OK [APPENDUID"), "{end}");
    let end = ann.refused("APPEND INBOX CATENATE (URL \"/a%20b/;UID=1\") CATENATE (TEXT {1+}\r\nx)").await;
    assert!(end.starts_with("OK [APPENDUID") && end.contains(" 2:3]"), "{end}");
    ann.done("SELECT INBOX").await;
    let found = ann.done("FETCH 1 (BODY.PEEK[])").await;
    assert_eq!(found, ["* 1 FETCH (BODY[] {12}", "A: b", "", "newx)"]);
    let found = ann.done("FETCH 2 (BODY.PEEK[])").await;
    assert_eq!(found, ["* 2 FETCH (BODY[] {11}", "A: b", "", "x", ")"]);
    let relative = ann.refused("APPEND \"a b\" CATENATE (URL \";UID=1/;SECTION=TEXT\")").await;
    assert!(relative.starts_with("OK [APPENDUID"), "{relative}");
    for url in
        ["/a%20b/;UID=9", "/a%20b;UIDVALIDITY=1/;UID=1", "/none/;UID=1", "/a%20b/;UID=1/;SECTION=7", "x"]
    {
        let end = ann
            .refused(&format!("APPEND INBOX CATENATE (TEXT {{1+}}\r\nx URL \"{url}\" TEXT {{2+}}\r\nab)"))
            .await;
        assert_eq!(end, format!("NO [BADURL \"{url}\"] This URL names nothing here"));
    }
    // What is not shared is not quoted either.
    let url = "/Other%20Users/ann@example.org/a%20b/;UID=1";
    let end = bob.refused(&format!("APPEND INBOX CATENATE (URL \"{url}\")")).await;
    assert!(end.starts_with("NO [BADURL"), "{end}");
    ann.done("SETACL \"a b\" bob lr").await;
    let end = bob.refused(&format!("APPEND INBOX CATENATE (URL \"{url}\")")).await;
    assert!(end.starts_with("OK [APPENDUID"), "{end}");
    assert_eq!(ann.done("STATUS INBOX (MESSAGES)").await, ["* STATUS INBOX (MESSAGES 3)"]);
}

#[tokio::test]
async fn a_dialogue_goes_on_compressed() {
    let mut ann = Client::log_in(serve().await, "ann").await;
    assert!(ann.done("CAPABILITY").await[0].contains("COMPRESS=DEFLATE"));
    assert!(ann.refused("COMPRESS LZ4").await.starts_with("NO "));
    ann.done("COMPRESS deflate").await;
    ann.packed = Some((Compress::new(Compression::fast(), false), Decompress::new(false)));
    assert!(!ann.done("CAPABILITY").await[0].contains("COMPRESS"));
    let text = "0123456789".repeat(400);
    ann.done(&format!("APPEND INBOX {{4000+}}\r\n{text}")).await;
    ann.done("SELECT INBOX").await;
    let found = ann.done("FETCH 1 BODY[]").await;
    assert!(found.iter().any(|line| line.starts_with(&text)), "{found:?}");
    assert!(ann.refused("COMPRESS DEFLATE").await.starts_with("NO [COMPRESSIONACTIVE]"));
    ann.say("b LOGOUT\r\n").await;
    assert!(ann.line().await.starts_with("* BYE"));
    assert!(ann.line().await.starts_with("b OK"));
}

#[tokio::test]
async fn nothing_is_compressed_before_the_login() {
    let port = serve().await;
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut client = Client { stream, packed: None, input: Vec::new() };
    assert!(!client.line().await.contains("COMPRESS"));
    assert!(client.refused("COMPRESS DEFLATE").await.starts_with("BAD "));
}
