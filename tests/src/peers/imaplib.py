# Reads, changes and waits for mail as mail programs do, with Python's imaplib. Says nothing if all is well.
import imaplib, json, ssl, sys, threading

host, port, authority, user, password = json.loads(sys.argv[1])
context = ssl.create_default_context(cafile=authority)
context.check_hostname = False


def login(port=port, implicit=True):
    if implicit:
        imap = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=20)
    else:
        imap = imaplib.IMAP4(host, port, timeout=20)
        imap.starttls(context)
    imap.login(user, password)
    return imap


def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]


def letter(subject):
    return (f'From: Bob <bob@example.net>\r\nTo: {user}\r\nSubject: {subject}\r\n'
            f'Date: Thu, 26 Nov 2026 12:00:00 +0000\r\n\r\nHello {subject}.\r\n').encode()


one = login()
ok(one.create('Work/Plans'))
names = b'\n'.join(ok(one.list()))
assert b' INBOX' in names and b' Work/Plans' in names, names
ok(one.select('INBOX'))
for subject in ('apple', 'pear', 'plum'):
    ok(one.append('INBOX', r'(\Seen)' if subject == 'pear' else None, None, letter(subject)))
assert ok(one.search(None, 'UNSEEN')) == [b'1 3']
assert ok(one.search(None, 'SUBJECT', '"plum"')) == [b'3']
assert ok(one.uid('SEARCH', None, 'BODY', '"Hello pear"')) == [b'2']
data = ok(one.fetch('1:3', '(UID FLAGS RFC822.SIZE BODY.PEEK[])'))
bodies = [part[1] for part in data if isinstance(part, tuple)]
assert bodies == [letter(s) for s in ('apple', 'pear', 'plum')], bodies
part = ok(one.fetch('2', '(BODY.PEEK[TEXT]<6.4>)'))[0]
assert part[1] == b'pear', part

# Another session is told, also while it waits.
two = login()
ok(two.select('INBOX'))
tag = two._new_tag()
two.send(tag + b' IDLE\r\n')
assert two.readline().startswith(b'+ ')
ok(one.append('INBOX', None, None, letter('fig')))
assert two.readline() == b'* 4 EXISTS\r\n'
ok(one.store('1', '+FLAGS', r'(\Deleted $Forwarded)'))
told = two.readline()
while b'FETCH' not in told:
    told = two.readline()
assert b'$Forwarded' in told, told
ok(one.expunge())
assert two.readline() == b'* 1 EXPUNGE\r\n'
two.send(b'DONE\r\n')
while not (line := two.readline()).startswith(tag):
    assert line.startswith(b'* '), line
assert line.startswith(tag + b' OK'), line

ok(one.copy('1:2', 'Work/Plans'))
assert ok(one.select('Work/Plans')) == [b'2']
ok(one.uid('MOVE', '2', 'INBOX'))
ok(one.noop())
assert ok(one.search(None, 'ALL')) == [b'1']
ok(one.close())
ok(one.rename('Work/Plans', 'Done'))
assert ok(one.status('Done', '(MESSAGES UNSEEN)')) == [b'Done (MESSAGES 1 UNSEEN 0)']
ok(one.delete('Done'))
one.logout()
two.logout()
