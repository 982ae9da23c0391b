# Reads, changes, shares and waits for mail with net/imap. Says nothing if all is well.
require 'date'
require 'json'
require 'net/imap'
require 'timeout'

HOST, PORT, AUTHORITY, USER, OTHER, PASSWORD = JSON.parse(ARGV[0])

def same(is, should)
  is == should or raise "#{is.inspect}, and not #{should.inspect}"
end

def login(user = USER)
  imap = Net::IMAP.new(HOST, port: PORT, ssl: { ca_file: AUTHORITY, verify_hostname: false })
  imap.authenticate('PLAIN', user, PASSWORD)
  imap
end

def letter(subject, text = 'Hello', more = '')
  "From: \"Bob B\u00e4r\" <bob@example.net>\r\nTo: #{USER}\r\nSubject: #{subject}\r\nMessage-ID: <#{subject}@x>\r\n#{more}" \
    "Date: Thu, 26 Nov 2026 12:00:00 +0100\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n#{text} #{subject}.\r\n"
end

def wire(name) = Net::IMAP.encode_utf7(name)

one = login
able = one.capability
%w[IDLE UIDPLUS MOVE SORT THREAD=REFERENCES QUOTA ACL NAMESPACE UNSELECT].each { |name| same(able.include?(name), true) }
same(one.namespace.personal[0].delim, '/')

drafts = wire("Entw\u00fcrfe")
[drafts, wire("\u65e5\u672c\u8a9e/\u53f0\u5317"), wire('R&D')].each { |name| one.create(name) }
one.subscribe(drafts)
names = one.list('', '*').map { |mailbox| Net::IMAP.decode_utf7(mailbox.name) }
same(names.sort, ['INBOX', "Entw\u00fcrfe", "\u65e5\u672c\u8a9e", "\u65e5\u672c\u8a9e/\u53f0\u5317", 'R&D'].sort)
same(one.lsub('', '*').map(&:name).include?(drafts), true)
one.rename(drafts, 'Mappe')

moment = Time.utc(2026, 1, 2, 3, 4, 5)
one.append('Mappe', letter('pear'), [:Seen, '$Forwarded'], moment)
one.append('Mappe', letter('apple', "Gr\u00fcezi", "References: <pear@x>\r\n"))
one.append('Mappe', letter('plum'))
state = one.status('Mappe', %w[MESSAGES UNSEEN UIDNEXT])
same(state, { 'MESSAGES' => 3, 'UNSEEN' => 2, 'UIDNEXT' => 4 })

one.select('Mappe')
all = one.fetch(1..3, %w[ENVELOPE BODYSTRUCTURE FLAGS INTERNALDATE RFC822.SIZE UID]).map(&:attr)
same(all.map { |message| message['ENVELOPE'].subject }, %w[pear apple plum])
same(all.map { |message| message['UID'] }, [1, 2, 3])
first = all[0]
same(first['ENVELOPE'].from[0].mailbox, 'bob')
same(DateTime.parse(first['INTERNALDATE']).to_time, moment)
same(first['RFC822.SIZE'], letter('pear').bytesize)
same(first['BODYSTRUCTURE'].subtype, 'PLAIN')
same((first['FLAGS'] - [:Recent]).map(&:to_s).sort, %w[$Forwarded Seen])
text = one.fetch(2, 'BODY.PEEK[TEXT]')[0].attr['BODY[TEXT]']
same(text.dup.force_encoding('UTF-8'), "Gr\u00fcezi apple.\r\n")

same(one.uid_search(['UNSEEN']), [2, 3])
same(one.search(['BODY', "GR\u00dcEZI".b], 'UTF-8'), [2])
same(one.search(%w[OR SUBJECT pear SUBJECT plum]), [1, 3])
same(one.sort(['SUBJECT'], ['ALL'], 'UTF-8'), [2, 1, 3])
same(one.uid_sort(%w[REVERSE SUBJECT], ['ALL'], 'UTF-8'), [3, 1, 2])
threads = one.thread('REFERENCES', 'ALL', 'UTF-8')
same(threads.map { |thread| [thread.seqno, thread.children.map(&:seqno)] }, [[1, [2]], [3, []]])

# Two sessions, one order of events.
two = login
two.select('Mappe')
news = Queue.new
waiting = Queue.new
idle = Thread.new do
  two.idle(30) do |reply|
    waiting << true if reply.is_a?(Net::IMAP::ContinuationRequest)
    next unless reply.is_a?(Net::IMAP::UntaggedResponse)

    news << reply.name
    two.idle_done if reply.name == 'EXPUNGE'
  end
end
Timeout.timeout(20) { waiting.pop }
flags = one.uid_store(2, '+FLAGS', [:Flagged, 'work'])[0].attr['FLAGS']
same(([:Flagged, 'work'] - flags), [])
one.append('Mappe', letter('fig'))
one.uid_copy([1, 2], wire('R&D'))
one.uid_move([3], wire('R&D'))
Timeout.timeout(20) { idle.join }
heard = Array.new(news.size) { news.pop }
same(%w[FETCH EXISTS EXPUNGE] - heard, [])
one.uid_store(1, '+FLAGS.SILENT', [:Deleted])
same(one.expunge.last, 1)
two.noop
same(two.uid_search(['ALL']), [2, 4])

roots = one.getquotaroot('INBOX').grep(Net::IMAP::MailboxQuota)
same(roots.map { |quota| quota.quota.to_i }, [1024 * 1024])
one.setacl('Mappe', OTHER, 'lrs')
same(one.getacl('Mappe').find { |item| item.user == OTHER }.rights.chars.sort.join, 'lrs')
guest = login(OTHER)
shared = guest.list('', '*').map(&:name).find { |name| name.end_with?('/Mappe') }
guest.examine(shared)
same(guest.uid_search(['ALL']), [2, 4])
guest.logout
one.setacl('Mappe', OTHER, nil)
two.close
one.close
one.delete('Mappe')
[one, two].each(&:logout)
