//! Mail programs and mail that mean harm: bombs in messages, in searches, in names and in numbers. Each is answered, costs memory
//! within bounds, and another session is served meanwhile.

use iems_tests::iems::Iems;
use iems_tests::peers::imap;
use iems_tests::smtp::{deliver, letter};

const ANN: &str = "ann@example.test";
const BOB: &str = "bob@example.test";

/// What the scripts share: a command, and its answer to the end.
const TALK: &str = r#"
import re
def ask(command, wanted):
    """Sends a command, and gives all that is said until it is answered in one of the wanted ways."""
    if isinstance(command, str):
        command = command.encode()
    tag = imap._new_tag()
    import threading
    sender = threading.Thread(target=imap.send, args=(tag + b' ' + command + b'\r\n',))
    sender.start()
    lines = []
    while True:
        line = imap.file.readline()
        assert line, ('closed', command[:60])
        while m := re.search(rb'\{(\d+)\}\r\n$', line):
            line = line[:m.start()] + b'<' + imap.read(int(m.group(1)))[:100] + b">" + imap.file.readline()
        lines.append(line)
        if line.startswith(tag + b' '):
            break
    sender.join()
    said = line.split(b' ', 1)[1].decode()
    assert re.match(wanted, said), (command[:80], said[:200])
    if 'BAD' in wanted:
        # Many errors in a row end a session.
        ask('NOOP', 'OK')
    return lines
def append(box, *texts):
    ask(b'CREATE ' + box, 'OK|NO .ALREADYEXISTS')
    ask(b'APPEND ' + box + b''.join(b' {%d+}\r\n' % len(t) + t for t in texts), 'OK')
"#;

/// Messages of all kinds that cost a careless reader much.
const BOMBS: &str = r#"
head = b'MIME-Version: 1.0\r\n'
multi = b'Content-Type: multipart/mixed; boundary='
deep = head + b''.join(multi + b'b%d\r\n\r\n--b%d\r\n' % (n, n) for n in range(10000)) + b'\r\nx\r\n'
wide = head + multi + b'b\r\n\r\n' + b'--b\r\n\r\n' * 200_000 + b'--b--\r\n'
enclosed = head + b'Content-Type: message/rfc822\r\n\r\n' * 10000 + b'Subject: x\r\n\r\nx\r\n'
alike = head + b''.join(multi + b'"%s%d"\r\n\r\n--%s%d\r\n' % (b'a' * 65, n, b'a' * 65, n) for n in range(99)) + (b'--' + b'a' * 70 + b'\r\n') * 20_000
split = head + multi + b'b\r\n\r\n' + (b'--b\r\nContent-Type: text/plain' + b''.join(b';\r\n a*%d=b' % n for n in range(999, -1, -1)) + b'\r\n\r\nx\r\n') * 50
lines = b''.join(b'X-%d: y\r\n' % n for n in range(200_000)) + b'\r\nx\r\n'
line = b'Subject: ' + b'x' * 5_000_000 + b'\r\n\r\nx\r\n'
folded = b'To: ' + b'a@b,\r\n ' * 500_000 + b'\r\n\r\nx\r\n'
nested = b'From: ' + b'(' * 30000 + b')' * 30000 + b' a@b\r\nTo: ' + b'a (,' * 15000 + b'\r\nCc: ' + b'"a ' * 20000 + b'\r\n\r\nx\r\n'
words = b'Subject: ' + b'=?utf-8?q?' * 6000 + b'\r\nFrom: ' + b'=?utf-7?b?+?= ' * 4000 + b'<a@b>\r\n\r\nx\r\n'
page = head + b'Content-Type: text/html; charset=utf-7\r\n\r\n' + b'<style>' + b'</' * 200_000 + b'<script' * 50_000
code = head + b'Content-Type: text/plain; charset=iso-2022-jp\r\nContent-Transfer-Encoding: base64\r\n\r\n' + b'=A=B*&^\x00\xff' * 100_000
brackets = b'Subject: ' + b'\r\n '.join([b'[a]' * 300] * 70) + b' x\r\n\r\nx\r\n'
forwards = b'Subject: ' + b'[Fwd: ' * 9000 + b'x' + b']' * 9000 + b'\r\n\r\nx\r\n'
rings = [b'Message-ID: <%d@x>\r\nReferences: %s\r\n\r\nx\r\n' % (n, b''.join(b'<%d@x>\r\n ' % (m % 40) for m in range(n, n + 100))) for n in range(40)]
bombs = [deep, wide, enclosed, alike, split, lines, line, folded, nested, words, page, code, brackets, forwards]
for bomb in bombs:
    append(b'bombs', bomb)
append(b'bombs', *rings)
# More rows than one commit takes: all or nothing.
many = b'References: ' + b'\r\n '.join(b'<%d@x>' % n for n in range(6000)) + b'\r\n\r\nx\r\n'
ask(b'APPEND bombs' + b' {%d+}\r\n%s' % (len(many), many) * 300, r'NO \[LIMIT\]')
count = len(bombs) + len(rings)
for box in ['bombs', 'bombs']:
    ask('SELECT ' + box, 'OK')
    ask('FETCH 1:* (RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY PREVIEW)', 'OK')
    ask('FETCH 1:* (BODY.PEEK[%s] BODY.PEEK[1.1.1.MIME] BODY.PEEK[4294967295.1] BODY.PEEK[1]<4294967295.1> BODY.PEEK[]<0.1>)' % '.'.join(['1'] * 100), 'OK')
    ask('FETCH 1:* (BINARY.PEEK[1]<0.10> BINARY.SIZE[1])', 'OK')
    names = ' '.join('X-%d' % n for n in range(900))
    ask('FETCH 1:* (BODY.PEEK[HEADER.FIELDS (%s)] BODY.PEEK[HEADER.FIELDS.NOT (%s)]<9.9>)' % (names, names), 'OK')
    pieces = ['BINARY.PEEK[1]<%d.1>' % n for n in range(4_000_000_000, 4_000_000_011)]
    ask('FETCH 1:* (%s)' % ' '.join(pieces), r'BAD \[LIMIT\]')
    ask('FETCH 1:* (%s)' % ' '.join(pieces[:10]), 'OK')
    ask('SEARCH OR TEXT zzzz OR HEADER X-199999 y OR BODY qqqq FROM zz', 'OK')
    ask('SORT (%s) UTF-8 ALL' % ' '.join(['SUBJECT', 'REVERSE SUBJECT', 'FROM', 'DISPLAYTO'] * 200), 'OK')
    for how in ['REFERENCES', 'REFS', 'ORDEREDSUBJECT']:
        told = b''.join(ask('THREAD %s UTF-8 ALL' % how, 'OK'))
        found = sorted(int(n) for n in re.findall(rb'\d+', told.split(b'THREAD', 1)[1].split(b'\r\n')[0]))
        assert found == list(range(1, count + 1)), (how, found)
# Nothing was lost.
assert b'MESSAGES %d' % count in b''.join(ask('STATUS bombs (MESSAGES)', 'OK'))
"#;

/// Commands that ask for far too much.
const COMMANDS: &str = r#"
append(b'INBOX', *[b'From: a@b\r\nSubject: s\r\n\r\n' + b'ab ' * 30000] * 5)
ask('SELECT INBOX', 'OK')
for command in ['SEARCH ' + '(' * 30000 + ')' * 30000, 'SEARCH ' + 'NOT ' * 15000 + 'ALL', 'SEARCH ' + 'OR ' * 20000, 'FETCH 1 BODY[' + '1.' * 30000 + '1]',
                'FETCH 1 (%s)' % ' '.join('BODY.PEEK[]<%d.1>' % n for n in range(200)), 'STORE 1 FLAGS (%s)' % ' '.join('k%d' % n for n in range(5000)), 'NOOP ' + 'x' * 70000]:
    ask(command, r'BAD \[LIMIT\]')
for command in ['FETCH 0 FLAGS', 'FETCH 4294967296 FLAGS', 'FETCH 1 BODY[]<0.0>', 'FETCH 1 BODY[0]', 'SORT ' + '(' * 60000, 'LIST ' + '(' * 60000, 'FETCH 1 ' + '(' * 60000]:
    ask(command, 'BAD')
for number in ['-1', '2147483648', '4294967295', '4294967296', '9223372036854775808', '18446744073709551616', '9' * 50]:
    ask('LIST "" {%s}' % number, 'BAD')
    ask('APPEND INBOX {%s}' % number, 'BAD|NO .TOOBIG')
ask('LIST "" (' + ' '.join(['{1+}\r\na'] * 150) + ')', r'BAD \[LIMIT\]')
assert len(ask('FETCH 1:4294967295 UID', 'OK')) == 6
assert len(ask('UID FETCH 4294967295:1,*:*,' + '1:*,' * 12000 + '1 FLAGS', 'OK')) == 6
ask('SEARCH ' + ' '.join(['OR BODY nowhere%d NOT TEXT ab' % n for n in range(1000)]), 'OK')
ask('SEARCH NOT (%s)' % ' '.join('OR SUBJECT x%d FROM y%d' % (n, n) for n in range(1000)), 'OK')
for pattern in ['%*' * 30000, 'a*' * 30000 + 'b', '%' * 60000, '*a%' * 300 + 'b']:
    ask('LIST "" "%s"' % pattern, 'OK')
    ask('LSUB "" "%s"' % pattern, 'OK')
for name, said in [(b'&AOk', r'NO \[CANNOT\]'), (b'&2D0-', r'NO \[CANNOT\]'), (b'&ACY-', r'NO \[CANNOT\]'), (b'"\xc0\xaf"', 'BAD'), (b'"\xed\xa0\x80"', 'BAD'),
                   (b'"a\x01b"', r'NO \[CANNOT\]'), (b'"a*b"', r'NO \[CANNOT\]'), (b'{3+}\r\na\x00b', 'BAD'), (b'"' + b'a/' * 20000 + b'"', r'NO \[CANNOT\]'),
                   (b'"' + b'a' * 60000 + b'"', r'NO \[CANNOT\]'), (b'a//b', r'NO \[CANNOT\]'), (b'".."', 'OK'), (b'"../../etc"', 'OK')]:
    ask(b'CREATE ' + name, said)
ask(b'SETMETADATA INBOX (/private/a ~{20000+}\r\n' + b'x' * 20000 + b')', r'NO \[METADATA MAXSIZE')
ask('SETMETADATA INBOX (%s)' % ' '.join('/private/a%d "x"' % n for n in range(120)), r'NO \[METADATA TOOMANY')
ask('STORE 1 +FLAGS (%s)' % ('k' * 60000), r'NO \[CANNOT\]')
ask('NOOP', 'OK')
"#;

/// Asks for nothing, all the time, until the other is done.
const OTHER: &str = r"
import os, time
while not os.path.exists(DONE):
    ask('NOOP', 'OK')
    time.sleep(0.02)
";

/// Resident memory of the server, in MiB.
fn memory(site: &mut Iems) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.daemon().id())).expect("a process");
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).expect("RssAnon");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("a number") / 1024
}

fn withstands(script: &str) {
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    site.start();
    let before = memory(&mut site);
    let done = site.dir.path().join("done");
    let at = site.at("imap");
    let other = TALK.to_owned() + &OTHER.replace("DONE", &format!("{:?}", done.to_string_lossy()));
    std::thread::scope(|scope| {
        let other = scope.spawn(move || imap::python(at, BOB, "secret", &other));
        let said = imap::python(at, ANN, "secret", &(TALK.to_owned() + script));
        std::fs::write(&done, "").expect("a file");
        said.good();
        other.join().expect("no panic").good();
    });
    let grown = memory(&mut site).saturating_sub(before);
    assert!(grown < 256, "{grown} MiB more");
    deliver(site.at("smtp"), "c@example.com", ANN, &letter("c@example.com", ANN, "alive"));
    assert!(!std::fs::read_to_string(site.log()).expect("the log").contains("panicked"));
}

#[test]
fn messages_that_are_bombs_are_read_like_others() {
    withstands(BOMBS);
}

#[test]
fn commands_that_ask_for_too_much_are_refused_or_carried_out_in_time() {
    withstands(COMMANDS);
}

/// Fills a mailbox with letters that refer to each other and have long subjects.
const LARGE: &str = r"
for some in range(20):
    texts = [b'From: a%d <a%d@x>\r\nSubject: Re: %s %d\r\nMessage-ID: <%d@x>\r\nReferences: <%d@x>\r\n\r\nx\r\n' % (n, n, b'long ' * 180, n, n, n - 1) for n in range(some * 250, some * 250 + 250)]
    append(b'large', *texts)
";

/// Many sessions that all sort, thread, read and send what they may at the same time, and take no answer.
const CROWD: &str = r"
import socket, select
peers = []
def hear(peer, wanted):
    while wanted not in peer[1]:
        octets = peer[0].recv(65536)
        assert octets, ('closed', peer[1][-200:])
        peer[1] = peer[1][-2000:] + octets
costly = [b'SORT (SUBJECT FROM DISPLAYFROM DATE) UTF-8 ALL', b'THREAD REFERENCES UTF-8 ALL', b'FETCH 1:* (ENVELOPE BODYSTRUCTURE)', b'SEARCH TEXT {60000}']
for n in range(60):
    peer = [socket.create_connection((host, port), timeout=60), b'']
    peer[0].sendall(b'l LOGIN %s secret\r\ns SELECT large\r\n' % user.encode())
    hear(peer, b's OK')
    peers.append(peer)
for n, peer in enumerate(peers):
    peer[0].sendall(b'c ' + costly[n % 4] + b'\r\n')
# One of them is as good as before: what holds nothing is carried out.
for _ in range(20):
    ask('NOOP', 'OK')
    ask('STATUS large (MESSAGES)', 'OK')
refused = 0
for n, peer in enumerate(peers):
    while b'\r\nc ' not in peer[1] and b'\r\n+ ' not in peer[1] and not peer[1].startswith((b'c ', b'+ ')):
        octets = peer[0].recv(65536)
        assert octets, ('closed', peer[1][-200:])
        peer[1] = peer[1][-2000:] + octets
    refused += b'c NO [LIMIT] Your sessions' in peer[1]
    assert b'c BAD' not in peer[1], peer[1]
assert refused >= 10, refused
# Those that were refused go on, and get what they want when there is room.
for peer in peers:
    if b'c NO' not in peer[1]:
        peer[0].close()
for peer in [peer for peer in peers if b'c NO' in peer[1]]:
    for _ in range(200):
        peer[1] = b''
        peer[0].sendall(b'd SORT (SUBJECT) UTF-8 ALL\r\n')
        hear(peer, b'd ')
        while not re.search(rb'(^|\n)d [^\n]*\n', peer[1]):
            peer[1] += peer[0].recv(65536)
        if re.search(rb'(^|\n)d OK', peer[1]):
            break
        time.sleep(0.05)
    assert re.search(rb'(^|\n)d OK', peer[1]), peer[1]
    peer[0].close()
";

#[test]
fn many_sessions_of_one_account_share_its_memory_and_others_are_served() {
    let mut site = Iems::with_accounts(&[ANN, BOB]);
    site.config.more.push_str("[imap]\nmemory_per_account = \"16MiB\"\n");
    site.start();
    let done = site.dir.path().join("done");
    let at = site.at("imap");
    imap::python(at, ANN, "secret", &(TALK.to_owned() + LARGE)).good();
    let before = memory(&mut site);
    let other = TALK.to_owned() + &OTHER.replace("DONE", &format!("{:?}", done.to_string_lossy()));
    let most = std::thread::scope(|scope| {
        let other = scope.spawn(move || imap::python(at, BOB, "secret", &other));
        let crowd = scope
            .spawn(move || imap::python(at, ANN, "secret", &(TALK.to_owned() + "import time\n" + CROWD)));
        let mut most = 0;
        while !crowd.is_finished() {
            most = most.max(memory(&mut site));
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        std::fs::write(&done, "").expect("a file");
        crowd.join().expect("no panic").good();
        other.join().expect("no panic").good();
        most
    });
    // Without a bound, each of them would hold some ten MiB.
    assert!(most - before < 80, "{} MiB more", most - before);
}
