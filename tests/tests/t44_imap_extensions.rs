//! What programs use of IMAP besides the base: shared mailboxes, annotations, messages put together, compression, news without
//! asking, coming back after the connection or the server was gone, names and texts in UTF-8, pages, sessions without numbers.

use iems_tests::iems::Iems;
use iems_tests::peers::imap;

const USERS: [&str; 2] = ["ann@example.test", "bob@example.test"];

fn site() -> Iems {
    let mut site = Iems::with_accounts(&USERS);
    site.config.more.push_str("[imap]\nunauthenticate = true\n");
    site.start();
    site
}

fn told(site: &Iems, script: &str) {
    imap::raw(site.at("imap"), site.at("smtp"), script).good();
}

#[test]
fn a_mailbox_is_shared_and_no_longer() {
    told(
        &site(),
        r#"
ann, bob = Client('ann'), Client('bob')
shared = '"Other Users/ann@example.test/Projects"'
ann.ok('CREATE Projects')
ann.append('Projects', letter('plan'))
bob.no(f'SELECT {shared}')
ann.ok('SETACL Projects bob lrs')
assert any('bob@example.test lrs' in line for line in ann.ok('GETACL Projects'))
assert any(shared in line for line in bob.ok('LIST "" *'))
assert bob.ok(f'MYRIGHTS {shared}') == [f'* MYRIGHTS {shared} lrs']
bob.ok(f'SELECT {shared}')
assert 'Subject: plan' in bob.ok('FETCH 1 BODY.PEEK[]')[0]
bob.ok(r'STORE 1 +FLAGS (\Seen)')
bob.no(r'STORE 1 +FLAGS (\Deleted)', 'NO [NOPERM]')
bob.no(f'APPEND {shared} {{1+}}\r\nx', 'NO [NOPERM]')
bob.no(f'SETACL {shared} bob lrswite', 'NO [NOPERM]')
ann.ok('SETACL Projects bob +i')
ann.ok('SELECT Projects')
assert r'\Seen' in ann.ok('FETCH 1 FLAGS')[0], 'flags are the mailbox\'s'
ann.ok('NOTIFY SET (selected (MessageNew (UID) MessageExpunge))')
bob.append(shared, letter('answer'))
assert '* 2 FETCH (UID 2)' in ann.until(lambda line: 'FETCH' in line)
ann.ok('SETMETADATA Projects (/shared/comment "ours" /private/comment "mine")')
got = bob.ok(f'GETMETADATA {shared} (/shared/comment /private/comment)')
assert any('ours' in line and '/private/comment NIL' in line for line in got), got
listed = bob.ok('LIST "" "Other Users/*" RETURN (MYRIGHTS METADATA ("/shared/comment"))')
assert any('MYRIGHTS' in line and 'lrsi' in line for line in listed), listed
assert any('METADATA' in line and 'ours' in line for line in listed), listed
ann.ok('DELETEACL Projects bob')
bob.ok('UNSELECT')
bob.no(f'SELECT {shared}')
assert not any('Projects' in line for line in bob.ok('LIST "" *'))
"#,
    );
}

#[test]
fn messages_are_put_together_replaced_and_read_decoded() {
    told(
        &site(),
        r#"
import base64
ann = Client('ann')
octets = bytes(range(256)) * 40
part = base64.encodebytes(octets).replace(b'\n', b'\r\n')
head = b'From: c@example.com\r\nSubject: photo\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n'
text = b'--b\r\nContent-Type: text/plain\r\n\r\nSee here.\r\n'
image = b'--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n' + part + b'--b--\r\n'
ann.append('INBOX', head + text + image)
ann.ok('SELECT INBOX')
assert ann.ok('FETCH 1 BINARY.SIZE[2]') == [f'* 1 FETCH (BINARY.SIZE[2] {len(octets)})']
got = ann.ok('FETCH 1 BINARY.PEEK[2]')[0].encode('utf-8', 'surrogateescape')
assert octets in got and b'~{%d}' % len(octets) in got
assert ann.ok('FETCH 1 BINARY.PEEK[2]<10.5>')[0].encode('utf-8', 'surrogateescape').endswith(octets[10:15] + b')')
# A forward of the picture, without sending it once more.
new = 'From: ann@example.test\r\nSubject: Fwd: photo\r\nMIME-Version: 1.0\r\nContent-Type: image/png\r\n' \
      'Content-Transfer-Encoding: base64\r\n\r\n'
ann.ok(f'APPEND INBOX (\\Draft) CATENATE (TEXT {{{len(new)}+}}\r\n{new} URL "/INBOX/;UID=1/;SECTION=2")')
got = ann.ok('FETCH 2 BINARY.PEEK[1]')[0].encode('utf-8', 'surrogateescape')
assert octets in got
ann.no('APPEND INBOX CATENATE (URL "/INBOX/;UID=99")', 'NO [BADURL ')
# NUL goes in and comes out.
ann.append('INBOX', b'Subject: nul\r\n\r\na\0b\r\n', '~')
assert 'a\0b' in ann.ok('FETCH 3 BINARY.PEEK[]')[0]
draft = letter('second try')
said = ann.ok(f'UID REPLACE 2 INBOX (\\Draft) {{{len(draft)}+}}\r\n{draft}')
assert any('[APPENDUID ' in line for line in said) and '* 2 EXPUNGE' in said, said
assert 'second try' in ann.ok('FETCH 3 ENVELOPE')[0]
ann.no('UID REPLACE 2 INBOX {1+}\r\nx')
"#,
    );
}

#[test]
fn a_long_dialogue_goes_on_compressed_and_in_utf8() {
    told(
        &site(),
        r#"
ann, plain = Client('ann'), Client('ann')
ann.compress()
ann.no('COMPRESS DEFLATE', 'NO [COMPRESSIONACTIVE]')
ann.no('UNAUTHENTICATE', 'BAD ')
assert 'UTF8=ACCEPT' in ann.ok('CAPABILITY')[0]
assert ann.ok('ENABLE UTF8=ACCEPT') == ['* ENABLED UTF8=ACCEPT']
ann.ok('CREATE "Grüße/Köln"')
assert any('"Grüße/Köln"' in line for line in ann.ok('LIST "" *'))
assert any('Gr&APwA3w-e/K&APY-ln' in line for line in plain.ok('LIST "" *')), 'others see it in UTF-7'
text = 'From: ännchen@example.test\r\nSubject: Grüße\r\n\r\nHallo Köln\r\n'
octets = text.encode()
ann.ok(b'APPEND "Gr\xc3\xbc\xc3\x9fe" UTF8 (~{%d+}\r\n' % len(octets) + octets + b')')
for n in range(300):
    ann.append('INBOX', letter(f'number {n}', 'x' * 2000 + '\r\n'))
ann.ok('SELECT INBOX')
assert len(ann.ok('FETCH 1:* BODY.PEEK[]')) == 300
ann.ok('SELECT "Grüße"')
assert 'Subject: Grüße' in ann.ok('FETCH 1 BODY.PEEK[]')[0]
assert ann.ok('SEARCH BODY "köln"') == ['* SEARCH 1']
# What is said within IDLE is no shorter packed: Thunderbird looks at no more octets of it than came.
for reader in (ann, plain):
    reader.ok('SELECT INBOX')
plain.ok(r'STORE 1:9 +FLAGS.SILENT (\Answered)')
ann.send(b'i IDLE\r\n')
came, said = 0, b''
while said.count(b'FETCH') < 9:
    piece = ann.socket.recv(65536)
    came += len(piece)
    said += ann.packed[1].decompress(piece)
assert said.startswith(b'+ ') and came >= len(said), (came, said)
ann.send(b'DONE\r\n')
assert ann.until(lambda line: line.startswith('i '))[-1].startswith('i OK ')
assert len(ann.ok('FETCH 1:* BODY.PEEK[]')) == 300
# Another user over the connection that is not compressed.
plain.ok('SELECT INBOX')
plain.ok('UNAUTHENTICATE')
plain.no('SELECT INBOX', 'BAD ')
plain.ok('LOGIN bob@example.test secret')
assert '* 0 EXISTS' in plain.ok('SELECT INBOX')
"#,
    );
}

#[test]
fn news_come_unasked_and_large_mailboxes_in_pages() {
    told(
        &site(),
        r#"
ann, other = Client('ann'), Client('ann')
other.ok('CREATE Lists/one')
for n in range(20):
    other.append('Lists/one', letter(f'number {n}'))
ann.ok('SELECT INBOX')
asked = '(selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange))'
said = ann.ok(f'NOTIFY SET STATUS {asked} (subtree Lists (MessageNew MessageExpunge MailboxName))')
assert any(line.startswith('* STATUS Lists/one (MESSAGES 20 UIDNEXT 21 ') for line in said), said
mail('ann@example.test', letter('by smtp'))
said = ann.until(lambda line: 'FETCH' in line)
assert '* 1 EXISTS' in said and 'Subject: by smtp' in said[-1] and 'UID 1 ' in said[-1], said
other.append('Lists/one', letter('more'))
assert 'MESSAGES 21 UIDNEXT 22' in ann.until(lambda line: 'STATUS' in line)[-1]
other.ok('RENAME Lists/one Lists/two')
said = ann.until(lambda line: 'OLDNAME' in line)
assert 'Lists/two ("OLDNAME" (Lists/one))' in said[-1], said
other.ok('SELECT INBOX')
other.ok(r'STORE 1 +FLAGS (\Deleted)')
assert r'* 1 FETCH (UID 1 FLAGS (\Deleted' in ann.until(lambda line: 'FLAGS' in line)[-1]
other.ok('EXPUNGE')
ann.until(lambda line: line == '* 1 EXPUNGE')
ann.ok('NOTIFY NONE')
# Pages, and no numbers.
pages = Client('ann')
pages.ok('ENABLE UIDONLY')
pages.ok('SELECT Lists/two')
said = pages.ok('UID SEARCH RETURN (PARTIAL -1:-5 COUNT) ALL')
assert 'COUNT 21 PARTIAL (-1:-5 17:21)' in said[0], said
said = pages.ok('UID FETCH 1:* FLAGS (PARTIAL 4:6)')
assert [line.split(' (')[0] for line in said] == [f'* {uid} UIDFETCH' for uid in (4, 5, 6)], said
pages.no('FETCH 1 FLAGS', 'BAD [UIDREQUIRED]')
pages.ok(r'UID STORE 3,5 +FLAGS.SILENT (\Deleted)')
said = pages.ok('EXPUNGE')
assert '* VANISHED 3,5' in said and not any('EXPUNGE' in line for line in said), said
"#,
    );
}

#[test]
fn a_client_comes_back_to_a_server_that_was_killed() {
    let mut site = site();
    told(
        &site,
        "\nann = Client('ann')\nfor n in range(10):\n    ann.append('INBOX', letter(f'number {n}'))\n",
    );
    let said = imap::raw(
        site.at("imap"),
        site.at("smtp"),
        r#"
ann, other = Client('ann'), Client('ann')
ann.ok('ENABLE QRESYNC')
said = ann.ok('SELECT INBOX')
code = lambda word: next(line.split(word)[1].split(']')[0].strip() for line in said if word in line)
print(code('[UIDVALIDITY'), code('[HIGHESTMODSEQ'))
other.ok('SELECT INBOX')
other.ok(r'STORE 2,4:6 +FLAGS.SILENT (\Deleted)')
other.ok('EXPUNGE')
other.ok(r'UID STORE 9 +FLAGS (\Flagged work)')
other.append('INBOX', letter('new'))
"#,
    )
    .good();
    let known = said.out.split_whitespace().collect::<Vec<_>>();
    let [validity, modseq] = known[..] else { panic!("{}", said.out) };
    site.kill();
    site.start();
    let script = r#"
ann = Client('ann')
ann.ok('ENABLE QRESYNC')
said = ann.ok('SELECT INBOX (QRESYNC (VALIDITY MODSEQ 1:10))')
assert '* 7 EXISTS' in said and '* VANISHED (EARLIER) 2,4:6' in said, said
fetched = [line for line in said if 'FETCH' in line]
assert len(fetched) == 1 and 'UID 9 ' in fetched[0] and r'\Flagged work' in fetched[0], said
assert [line.split('UID ')[1].rstrip(')') for line in ann.ok('UID FETCH 10:* UID')] == ['10', '11']
"#;
    told(&site, &script.replace("VALIDITY", validity).replace("MODSEQ", modseq));
}

#[test]
fn hostile_clients_are_answered_and_hold_nobody_up() {
    told(
        &site(),
        r#"
ann, evil = Client('ann'), Client('ann')
for n in range(50):
    ann.append('INBOX', letter(f'number {n}'))
evil.ok('SELECT INBOX')
assert len(evil.ok('FETCH 1:4294967295 UID')) == 50
assert len(evil.ok('UID FETCH 4294967295:1,*,1:* UID')) == 50
assert '1:50' in evil.ok('SEARCH RETURN (ALL) ' + ' '.join(['1:4294967295'] * 3000))[0]
evil.ok('FETCH 1:* (BODY.PEEK[' + '.'.join(['1'] * 100) + '])')
evil.no('FETCH 1 (BODY.PEEK[' + '.'.join(['1'] * 101) + '])', 'BAD ')
evil.no('FETCH 1 (' + ' '.join(f'BODY.PEEK[{n}]' for n in range(1, 200)) + ')', 'BAD [LIMIT]')
evil.no('SEARCH ' + '(' * 129 + 'ALL' + ')' * 129, 'BAD [LIMIT]')
evil.no('SEARCH ' + 'NOT ' * 200 + 'ALL', 'BAD [LIMIT]')
evil.no('SEARCH ' + 'OR ALL ' * 5000 + 'ALL', 'BAD [LIMIT]')
evil.no('LIST ' + '(' * 20000, 'BAD ')
evil.no('FETCH ' + '9' * 30 + ' UID', 'BAD ')
assert evil.ok('SEARCH ' + 'OR BODY nowhere ' * 60 + 'TEXT nowhere') == ['* SEARCH']
for name in ['"&-&-&-"', '"&AGE-"', '"\x7f"', '"a&"', '"../../etc/passwd"', '"' + 'a/' * 300 + '"', '"' + 'x' * 2000 + '"', '"%"', '"*"']:
    said, end = evil.ask('CREATE ' + name)
    assert end.startswith(('NO ', 'BAD ', 'OK ')), end
evil.no(b'CREATE "\xff\xfe"', ('NO ', 'BAD '))
evil.no('APPEND INBOX {99999999999}', 'NO [TOOBIG]')
evil.no('APPEND INBOX {99999999999999999999999}', ('BAD ', 'NO [TOOBIG]'))
evil.no('CREATE {100000}', 'BAD [LIMIT]')
# A line without end is read over, and answered.
evil.send(b'x' * 300000)
evil.send(b'\r\n')
assert evil.response().startswith(('* BAD', 'x')), 'it is refused'
evil.ok('NOOP')
# Many at once, and others go on.
bombs = [Client('ann') for n in range(8)]
for bomb in bombs:
    bomb.ok('SELECT INBOX')
    bomb.send(b'z SEARCH ' + b'OR BODY nowhere ' * 90 + b'TEXT nowhere\r\n')
ann.ok('NOOP')
ann.append('INBOX', letter('in between'))
for bomb in bombs:
    bomb.until(lambda line: line.startswith('z OK'))
"#,
    );
}
