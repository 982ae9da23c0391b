// Reads, changes and waits for mail with ImapFlow: IMAP4rev2, QRESYNC, UTF8=ACCEPT, COMPRESS. Says nothing if all is well.
const assert = require('assert/strict');
const { readFileSync } = require('fs');
const { ImapFlow } = require('imapflow');

const [host, port, authority, user, password] = JSON.parse(process.argv[1]);
const DRAFTS = 'Entw\u00fcrfe/\u53f0\u5317';

async function login(more) {
  const tls = { ca: readFileSync(authority), checkServerIdentity: () => undefined };
  const auth = { user, pass: password };
  const client = new ImapFlow({ host, port, secure: true, auth, tls, logger: false, ...more });
  await client.connect();
  return client;
}

function letter(subject, text = 'Hello', more = '') {
  return Buffer.from(`From: "Bob B\u00e4r" <bob@example.net>\r\nTo: ${user}\r\nSubject: ${subject}\r\nMessage-ID: <${subject}@x>\r\n${more}` +
    'Date: Thu, 26 Nov 2026 12:00:00 +0100\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n' +
    `--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${text} ${subject}\r\n` +
    "--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename*=utf-8''%C3%A4.bin\r\n" +
    'Content-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\n--b--\r\n');
}

async function read(stream) {
  const all = [];
  for await (const piece of stream) all.push(piece);
  return Buffer.concat(all);
}

async function collect(client, range, query, options) {
  const all = [];
  for await (const message of client.fetch(range, query, options)) all.push(message);
  return all;
}

async function until(what, holds) {
  for (const end = Date.now() + 20000; !holds(); ) {
    assert(Date.now() < end, `still waiting for ${what}`);
    await new Promise(after => setTimeout(after, 20));
  }
}

async function day() {
  const one = await login({ qresync: true });
  for (const extension of ['CONDSTORE', 'IMAP4REV2', 'QRESYNC', 'UTF8=ACCEPT']) {
    assert(one.enabled.has(extension), [...one.enabled].join());
  }
  assert.equal(one.serverInfo.name, 'IEMS');

  for (const name of [DRAFTS, 'Work', 'R&D']) await one.mailboxCreate(name);
  await one.mailboxSubscribe('Work');
  const listed = await one.list({ statusQuery: { messages: true, uidNext: true } });
  const names = listed.map(mailbox => mailbox.path);
  assert.deepEqual(names.sort(), ['Entw\u00fcrfe', DRAFTS, 'INBOX', 'R&D', 'Work'].sort());
  assert(listed.every(mailbox => mailbox.status.messages === 0 && mailbox.status.uidNext === 1));

  const moment = new Date('2026-01-02T03:04:05Z');
  const first = await one.append(DRAFTS, letter('pear'), ['\\Seen', '$Forwarded'], moment);
  assert.equal(first.uid, 1);
  const answer = letter('apple', 'Gr\u00fcezi', 'References: <pear@x>\r\n');
  await one.append(DRAFTS, answer);
  await one.append(DRAFTS, letter('plum'));
  const state = await one.status(DRAFTS, { messages: true, unseen: true, uidNext: true });
  assert.deepEqual([state.messages, state.unseen, state.uidNext], [3, 2, 4]);

  await one.mailboxOpen(DRAFTS);
  assert.equal(one.mailbox.exists, 3);
  const query = { uid: true, flags: true, envelope: true, bodyStructure: true, internalDate: true, size: true, threadId: true, bodyParts: ['1'] };
  const [pear, apple, plum] = await collect(one, '1:*', query);
  assert.deepEqual([pear, apple, plum].map(message => message.envelope.subject), ['pear', 'apple', 'plum']);
  assert.equal(pear.envelope.from[0].name, 'Bob B\u00e4r');
  assert.equal(+pear.internalDate, +moment);
  assert.deepEqual([...pear.flags].sort(), ['$Forwarded', '\\Seen']);
  assert.equal(apple.size, answer.length);
  assert.equal(apple.bodyStructure.childNodes[1].dispositionParameters.filename, '\u00e4.bin');
  assert.equal(apple.bodyParts.get('1').toString(), 'Gr\u00fcezi apple');
  assert(pear.emailId && pear.emailId !== apple.emailId);
  assert(pear.threadId === apple.threadId && pear.threadId !== plum.threadId);
  assert.equal(Buffer.compare(await read((await one.download('2')).content), answer), 0);
  assert.deepEqual(await read((await one.download('2', '2')).content), Buffer.from([0, 1, 2, 3, 4, 5]));

  assert.deepEqual(await one.search({ body: 'GR\u00dcEZI' }), [2]);
  assert.deepEqual(await one.search({ or: [{ subject: 'pear' }, { subject: 'plum' }] }), [1, 3]);
  assert.deepEqual(await one.search({ seen: false }, { uid: true }), [2, 3]);
  assert.deepEqual(await one.search({ since: new Date('2026-01-03') }), [2, 3]);
  assert.deepEqual(await one.search({ emailId: plum.emailId }), [3]);
  assert.deepEqual(await one.search({ modseq: apple.modseq + 1n }), [3]);

  // Two sessions, one story.
  const two = await login();
  await two.mailboxOpen(DRAFTS);
  const told = { exists: [], expunge: [], flags: [] };
  two.on('exists', event => told.exists.push(event.count));
  two.on('expunge', event => told.expunge.push(event.seq));
  two.on('flags', event => told.flags.push([event.seq, ...event.flags].join(' ')));
  const idle = two.idle();
  await until('IDLE', () => two.idling);
  assert(await one.messageFlagsAdd('2', ['\\Flagged', 'work']));
  assert.deepEqual([...(await one.messageCopy('1:2', 'Work')).uidMap], [[1, 1], [2, 2]]);
  assert.deepEqual([...(await one.messageMove('3', 'R&D')).uidMap], [[3, 1]]);
  await one.append(DRAFTS, letter('late'));
  await until('news', () => told.flags.length && told.expunge.length && told.exists.length);
  assert.deepEqual(told, { exists: [3], expunge: [3], flags: ['2 \\Flagged work'] });
  await two.noop();
  await idle;
  const known = one.mailbox.highestModseq;

  // What another one changed while this one was away.
  await one.mailboxClose();
  await two.messageDelete('1');
  await two.messageFlagsSet('1', ['\\Answered']);
  assert.equal((await one.mailboxOpen(DRAFTS)).exists, 2);
  const changed = await collect(one, '1:*', { uid: true, flags: true }, { changedSince: known });
  assert.deepEqual([...changed.find(message => message.uid === 2).flags], ['\\Answered']);

  assert.equal((await one.getQuota('INBOX')).storage.limit, 1024 * 1024 * 1024);
  await one.mailboxClose();
  await two.mailboxClose();
  await one.mailboxRename('Work', 'Arbeit/Neu');
  await one.mailboxDelete(DRAFTS);
  const left = (await one.list()).map(mailbox => mailbox.path);
  assert.deepEqual(left.sort(), ['Arbeit', 'Arbeit/Neu', 'Entw\u00fcrfe', 'INBOX', 'R&D'].sort());
  await one.logout();
  await two.logout();
}

day().catch(error => {
  console.error(error);
  process.exit(1);
});
