//! What programs send: every line is taken.

use super::{decoder, events};
use crate::imap::codec::Event;

const THUNDERBIRD: &str = r#"
1 capability
2 authenticate PLAIN
3 ID ("name" "Thunderbird" "version" "128.5.0")
4 ENABLE UTF8=ACCEPT
5 list (subscribed) "" "*" return (special-use)
6 lsub "" "*"
7 list "" "INBOX"
8 select "INBOX" (CONDSTORE)
9 UID fetch 1:* (FLAGS)
10 UID fetch 1:* (UID FLAGS) (CHANGEDSINCE 4711)
11 UID fetch 5:9,12 (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To Received)])
12 UID fetch 5 (UID RFC822.SIZE BODY.PEEK[])
13 UID fetch 5 (UID RFC822.SIZE BODY[]<0.65536>)
14 uid store 5 +Flags (\Seen)
15 uid store 5:6 +FLAGS (\Deleted $label1 NonJunk)
16 uid copy 5 "Archives/2026"
17 uid move 5:7 "Trash"
18 STATUS "Sent" (UIDNEXT MESSAGES UNSEEN RECENT)
19 UID SEARCH UNDELETED BODY "x"
20 IDLE
21 namespace
22 getquotaroot "INBOX"
23 MYRIGHTS "INBOX"
24 close
25 unselect
26 create "Templates"
27 noop
28 logout
"#;

const APPLE: &str = r#"
1.12 ID ("name" "Mac OS X Mail" "version" "16.0 (3826.300.87.4.3)" "os" "Mac OS X" "os-version" "15.3 (24D60)" "vendor" "Apple Inc.")
2.12 AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=
3.12 LIST "" "*" RETURN (SPECIAL-USE)
4.12 SELECT INBOX (CONDSTORE)
5.12 FETCH 1:50 (FLAGS UID BODY.PEEK[HEADER.FIELDS (content-class)])
6.12 UID FETCH 1:7,9 (INTERNALDATE UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (date subject from to cc message-id in-reply-to references content-type x-priority x-uniform-type-identifier x-universally-unique-identifier list-id list-unsubscribe bimi-indicator bimi-location x-bimi-indicator-hash authentication-results dkim-signature)] MODSEQ)
7.12 UID FETCH 4 (BODYSTRUCTURE BODY.PEEK[HEADER])
8.12 UID FETCH 4 BODY.PEEK[1]<0.10240>
9.12 UID FETCH 1:* FLAGS (CHANGEDSINCE 101)
10.12 STATUS Drafts (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)
11.12 UID SEARCH SINCE 22-Aug-2026 NOT DELETED
12.12 UID STORE 3 +FLAGS.SILENT (\Seen $NotJunk JunkRecorded)
13.12 APPEND "Sent Messages" (\Seen $NotJunk NotJunk) "26-Nov-2026 10:00:00 +0100" {1+}
x
14.12 CHECK
15.12 GETQUOTAROOT "INBOX"
16.12 IDLE
"#;

const OUTLOOK: &str = r#"
ptlk CAPABILITY
7nbp LOGIN "ann@example.org" "secret"
a2ll LIST "" "INBOX"
63uq LSUB "" "*"
3k2v SELECT "INBOX"
8svd UID FETCH 1:* (UID FLAGS)
o3te UID FETCH 1 (BODY.PEEK[HEADER] BODYSTRUCTURE UID RFC822.SIZE INTERNALDATE FLAGS ENVELOPE)
fk2r UID FETCH 1 (UID BODY.PEEK[] )
5qt2 UID STORE 1 +FLAGS.SILENT (\Deleted)
we32 UID SEARCH 1:* SINCE 27-Oct-2026
g3o7 STATUS "INBOX" (UNSEEN)
lrn3 EXPUNGE
nmsn CREATE "Sent Items"
r0kf SUBSCRIBE "Sent Items"
"#;

const MUTT: &str = r#"
a0000 CAPABILITY
a0001 LOGIN "ann" "secret"
a0002 ENABLE UTF8=ACCEPT CONDSTORE QRESYNC
a0003 LIST "" ""
a0004 SELECT "INBOX" (QRESYNC (1 7 1:3))
a0005 FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM SENDER SUBJECT TO CC MESSAGE-ID REFERENCES CONTENT-TYPE CONTENT-DESCRIPTION IN-REPLY-TO REPLY-TO LINES LIST-POST LIST-SUBSCRIBE LIST-UNSUBSCRIBE X-LABEL X-ORIGINAL-TO)])
a0006 UID FETCH 3 BODY.PEEK[]
a0007 UID STORE 3 +FLAGS.SILENT (\Seen)
a0008 STATUS "INBOX" (UIDNEXT UIDVALIDITY UNSEEN RECENT MESSAGES)
a0009 UID SEARCH UNDELETED (OR SUBJECT "x" FROM "y")
a0010 LIST "" "%" RETURN (SUBSCRIBED)
a0011 CLOSE
"#;

const OTHERS: &str = r#"
isync01 NAMESPACE
isync02 LIST "" "*"
isync03 SELECT "INBOX"
isync04 FETCH 1:10 (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (X-TUID)])
isync05 UID FETCH 5 (FLAGS BODY.PEEK[] INTERNALDATE)
isync06 APPEND "INBOX" (\Seen) " 1-Nov-2026 10:00:00 +0000" {1+}
x
isync07 UID SEARCH HEADER X-TUID abcdefghijkl
isync08 UID STORE 5 -FLAGS.SILENT (\Seen \Flagged)
isync09 UID EXPUNGE 5:6
K91 SELECT "INBOX"
K92 UID SEARCH 1:50 NOT DELETED
K93 UID FETCH 17,16,15 (INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER.FIELDS (date subject from content-type to cc reply-to message-id references in-reply-to list-unsubscribe sender X-K9mail-Identity Chat-Version)] UID FLAGS)
K94 UID FETCH 17 (BODYSTRUCTURE)
K95 UID FETCH 17 (BODY.PEEK[1.MIME] BODY.PEEK[1]<0.131072>)
K96 UID MOVE 17 "Trash"
AAAB ID ("name" "imapclient" "support-url" NIL)
AAAC UID SEARCH CHARSET UTF-8 (TEXT "x" UNSEEN)
AAAD SORT (REVERSE ARRIVAL) UTF-8 ALL
AAAE THREAD REFERENCES UTF-8 UNDELETED
AAAF UID FETCH 1 (FLAGS RFC822)
AAAG SEARCH RETURN (SAVE COUNT) UNSEEN
AAAH FETCH $ (UID PREVIEW (LAZY))
AAAI SEARCH OR OR FROM a FROM b (NOT SUBJECT c 1:*)
AAAJ STORE 1 FLAGS ()
AAAK SETQUOTA "user" (STORAGE 512)
"#;

#[test]
fn lines_of_clients_are_commands() {
    for session in [THUNDERBIRD, APPLE, OUTLOOK, MUTT, OTHERS] {
        let octets = session.trim_start().replace('\n', "\r\n");
        let tags = session.lines().filter(|line| line.contains(' ')).count();
        let found = events(&mut decoder(), octets.as_bytes());
        let refused: Vec<_> = found.iter().filter(|event| matches!(event, Event::Refused(_))).collect();
        assert_eq!(refused, Vec::<&Event>::new());
        assert_eq!(found.iter().filter(|event| matches!(event, Event::Command(_))).count(), tags);
    }
}
