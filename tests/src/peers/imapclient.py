# Reads, changes and waits for mail with IMAPClient. Says nothing if all is well.
import datetime, json, ssl, sys

from imapclient import DELETED, FLAGGED, SEEN, IMAPClient

host, port, authority, user, password = json.loads(sys.argv[1])
context = ssl.create_default_context(cafile=authority)
context.check_hostname = False


def login():
    client = IMAPClient(host, port=port, ssl=True, ssl_context=context, timeout=20)
    client.login(user, password)
    return client


def letter(subject, text='Hello'):
    return (f'From: "Bob B\u00e4r" <bob@example.net>\r\nTo: {user}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n'
            f'Date: Thu, 26 Nov 2026 12:00:00 +0100\r\n\r\n{text} {subject}.\r\n').encode()


one = login()
for capability in ('IDLE', 'UIDPLUS', 'MOVE', 'CONDSTORE', 'QUOTA', 'SORT', 'THREAD=REFERENCES', 'NAMESPACE', 'ID', 'ENABLE'):
    assert one.has_capability(capability), one.capabilities()
assert one.namespace().personal == (('', '/'),)
assert 'IEMS' in str(one.id_({'name': 'story'}))
# Names in every language.
for name in ('Entw\u00fcrfe', '\u65e5\u672c\u8a9e/\u53f0\u5317', 'R&D'):
    one.create_folder(name)
    one.subscribe_folder(name)
names = [name for _, _, name in one.list_folders()]
assert {'INBOX', 'Entw\u00fcrfe', '\u65e5\u672c\u8a9e/\u53f0\u5317', 'R&D'} <= set(names), names
assert len(one.list_sub_folders()) >= 3
one.rename_folder('Entw\u00fcrfe', 'Mappe')
assert not one.folder_exists('Entw\u00fcrfe') and one.folder_exists('Mappe')

moment = datetime.datetime(2026, 1, 2, 3, 4, 5)
one.append('Mappe', letter('pear'), [SEEN, '$Forwarded'], moment)
one.append('Mappe', letter('apple'))
one.append('Mappe', letter('plum', 'Gr\u00fcezi'))
state = one.folder_status('Mappe', ['MESSAGES', 'UNSEEN', 'UIDNEXT', 'UIDVALIDITY', 'HIGHESTMODSEQ'])
assert (state[b'MESSAGES'], state[b'UNSEEN'], state[b'UIDNEXT']) == (3, 2, 4), state
opened = one.select_folder('Mappe')
assert opened[b'EXISTS'] == 3 and opened[b'UIDVALIDITY'] == state[b'UIDVALIDITY'], opened

data = one.fetch([1, 2, 3], ['ENVELOPE', 'BODYSTRUCTURE', 'FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'MODSEQ'])
assert [data[uid][b'ENVELOPE'].subject for uid in (1, 2, 3)] == [b'pear', b'apple', b'plum']
first = data[1]
assert first[b'INTERNALDATE'] == moment and set(first[b'FLAGS']) >= {SEEN, b'$Forwarded'}, first
assert first[b'ENVELOPE'].from_[0].mailbox == b'bob' and first[b'ENVELOPE'].date.day == 26
assert not first[b'BODYSTRUCTURE'].is_multipart and first[b'RFC822.SIZE'] == len(letter('pear'))
assert one.fetch(3, ['BODY.PEEK[TEXT]'])[3][b'BODY[TEXT]'] == 'Gr\u00fcezi plum.\r\n'.encode()

assert one.search(['UNSEEN']) == [2, 3]
assert one.search(['BODY', 'Gr\u00dcEZI'], charset='UTF-8') == [3]
assert one.search(['OR', ['SUBJECT', 'pear'], ['SUBJECT', 'plum']]) == [1, 3]
assert one.search(['SINCE', datetime.date(2026, 1, 3)]) == [2, 3]
assert one.sort('SUBJECT') == [2, 1, 3]
assert one.thread('REFERENCES') == ((1,), (2,), (3,))

# Two sessions, one order of events.
two = login()
two.select_folder('Mappe')
two.idle()
assert set(one.add_flags(2, [FLAGGED, 'work'])[2]) >= {FLAGGED, b'work'}
assert one.get_flags(2)[2]
one.copy([1, 2], 'R&D')
one.move([3], 'R&D')
told = []
while not any(event[1] == b'EXPUNGE' for event in told if len(event) > 1):
    news = two.idle_check(timeout=10)
    assert news, told
    told += news
assert any(event[1] == b'FETCH' for event in told if len(event) > 1), told
two.idle_done()
assert two.search() == [1, 2]
changed = two.search(['MODSEQ', str(data[3][b'MODSEQ'][0] + 1)])
assert changed == [2], changed

one.delete_messages([1])
one.uid_expunge([1])
assert one.search() == [2]
two.noop()
assert two.search() == [2]
two.close_folder()
assert two.select_folder('R&D', readonly=True)[b'EXISTS'] == 3
two.logout()
one.close_folder()
one.delete_folder('Mappe')
quota = one.get_quota_root('INBOX')
assert quota[0].mailbox == 'INBOX', quota
one.logout()
