# A day in the life of Thunderbird, which runs without a screen and is driven by its own remote control (Marionette).
# Another mail program looks from outside at what it does. Says nothing if all is well.
import imaplib, json, os, socket, ssl, subprocess, sys, time

host, port, authority, user, password, folder = json.loads(sys.argv[1])
PROFILE = os.path.join(folder, 'profile')
with socket.socket() as probe:
    probe.bind((host, 0))
    CONTROL = probe.getsockname()[1]

PREFERENCES = {
    'mail.accountmanager.accounts': 'account1',
    'mail.accountmanager.defaultaccount': 'account1',
    'mail.account.account1.server': 'server1',
    'mail.account.account1.identities': 'id1',
    'mail.identity.id1.useremail': user,
    'mail.identity.id1.fullName': 'Ann',
    'mail.identity.id1.valid': True,
    'mail.server.server1.type': 'imap',
    'mail.server.server1.hostname': host,
    'mail.server.server1.port': port,
    'mail.server.server1.userName': user,
    'mail.server.server1.name': user,
    'mail.server.server1.socketType': 3,  # TLS from the start
    'mail.server.server1.authMethod': 3,  # the password as it is
    'mail.server.server1.login_at_startup': False,
    'mail.server.server1.check_new_mail': True,
    'marionette.port': CONTROL,
    # Nothing may be asked of the outside, and nobody is there to be shown anything.
    'network.proxy.type': 1,
    'network.proxy.socks': '127.0.0.1',
    'network.proxy.socks_port': 1,
    'network.proxy.no_proxies_on': host,
    'network.captive-portal-service.enabled': False,
    'network.connectivity-service.enabled': False,
    'datareporting.policy.dataSubmissionEnabled': False,
    'toolkit.telemetry.enabled': False,
    'app.update.enabled': False,
    'extensions.update.enabled': False,
    'mail.provider.suppress_dialog_on_startup': True,
    'mail.spotlight.firstRunDone': True,
    'mailnews.start_page.enabled': False,
    'mailnews.start_page_override.mstone': 'ignore',
}

# What every script may use.
PRELUDE = '''
const done = arguments[arguments.length - 1];
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const { setTimeout } = ChromeUtils.importESModule("resource://gre/modules/Timer.sys.mjs");
const server = MailServices.accounts.accounts[0].incomingServer;
const root = server.rootFolder;
const until = async (what, find) => {
  for (let turn = 0; turn < 400; turn++) {
    const found = await find();
    if (found) { return found; }
    await new Promise(go => setTimeout(go, 50));
  }
  throw new Error("waited in vain for " + what);
};
const told = begin => new Promise((good, bad) => begin({
  QueryInterface: ChromeUtils.generateQI(["nsIUrlListener"]),
  OnStartRunningUrl() {},
  OnStopRunningUrl(url, code) { code ? bad(new Error(url?.spec + " ended with " + code.toString(16))) : good(); },
}));
const named = name => root.getChildNamed(name)?.QueryInterface(Ci.nsIMsgImapMailFolder);
const update = folder => told(listener => folder.updateFolderWithListener(null, listener));
const find = (folder, subject) => [...folder.messages].find(header => header.mime2DecodedSubject == subject);
const inbox = root.getFolderWithFlags(Ci.nsMsgFolderFlags.Inbox)?.QueryInterface(Ci.nsIMsgImapMailFolder);
(async () => {
'''
CODA = '\n})().then(value => done({ value }), error => done({ error: String(error), at: error?.stack }));'


class Thunderbird:
    def __init__(self):
        os.makedirs(PROFILE)
        with open(os.path.join(PROFILE, 'user.js'), 'w') as file:
            for name, value in PREFERENCES.items():
                file.write(f'user_pref({json.dumps(name)}, {json.dumps(value)});\n')
        environment = dict(os.environ, HOME=folder, XDG_RUNTIME_DIR=folder, MOZ_HEADLESS='1', TZ='UTC')
        self.log = open(os.path.join(folder, 'thunderbird.log'), 'w')
        self.program = subprocess.Popen(
            ['thunderbird', '--headless', '--no-remote', '--profile', PROFILE, '--marionette',
             '--remote-allow-system-access'], env=environment, stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=subprocess.STDOUT)
        self.count, self.read = 0, b''
        self.control = self.connect()
        self.message()
        self.call('WebDriver:NewSession')
        self.call('Marionette:SetContext', value='chrome')
        self.call('WebDriver:SetTimeouts', script=60_000)

    def connect(self):
        for _ in range(1200):
            try:
                return socket.create_connection(('127.0.0.1', CONTROL), timeout=90)
            except OSError:
                assert self.program.poll() is None, 'Thunderbird ended'
                time.sleep(0.05)
        raise AssertionError('Thunderbird does not answer')

    def message(self):
        while True:
            length, colon, rest = self.read.partition(b':')
            if colon and len(rest) >= int(length):
                self.read = rest[int(length):]
                return json.loads(rest[:int(length)])
            octets = self.control.recv(65536)
            assert octets, 'Thunderbird hung up'
            self.read += octets

    def call(self, command, **arguments):
        self.count += 1
        text = json.dumps([0, self.count, command, arguments]).encode()
        self.control.sendall(b'%d:' % len(text) + text)
        _, _, error, result = self.message()
        assert error is None, error
        return result

    def run(self, script, *arguments):
        answer = self.call('WebDriver:ExecuteAsyncScript', script=PRELUDE + script + CODA, args=arguments,
                           sandbox='system', newSandbox=True)['value']
        assert 'error' not in answer, answer
        return answer.get('value')

    def end(self):
        if self.program.poll() is None:
            try:
                self.call('Marionette:Quit', flags=['eForceQuit'])
                self.program.wait(20)
            except Exception:
                self.program.kill()
                self.program.wait()


class Other:
    """Another mail program of the same user."""

    def __init__(self):
        context = ssl.create_default_context(cafile=authority)
        context.check_hostname = False
        self.imap = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=20)
        self.imap.login(user, password)

    def append(self, subject, flags=None):
        text = (f'From: Bob <bob@example.net>\r\nTo: {user}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n'
                f'Date: Thu, 26 Nov 2026 12:00:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n'
                f'\r\nHello {subject}.\r\n')
        assert self.imap.append('INBOX', flags, None, text.encode())[0] == 'OK'

    def flags(self, mailbox, subject):
        """The flags of a message; nothing if it is not there."""
        assert self.imap.select(mailbox)[0] == 'OK'
        numbers = self.imap.search(None, 'SUBJECT', f'"{subject}"')[1][0]
        if not numbers:
            return None
        return {flag.decode() for flag in imaplib.ParseFlags(self.imap.fetch(numbers, '(FLAGS)')[1][0])}

    def wait(self, what, look):
        for _ in range(400):
            if look():
                return
            time.sleep(0.05)
        raise AssertionError(f'{what} is not seen from outside')


def day(bird, other):
    folders = bird.run('''
        const [password, authority] = arguments;
        const der = authority.replace(/-----[^-]+-----|\\s/g, "");
        Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB).addCertFromBase64(der, "CT,,");
        server.password = password;
        server.performExpand(null);
        await until("the folders", () => named("Work") && named("Trash"));
        return root.descendants.map(folder => folder.URI.split("/").pop());
    ''', password, open(authority).read())
    assert {'INBOX', 'Work', 'Trash'} <= set(folders), folders

    headers = bird.run('''
        await update(inbox);
        return [...inbox.messages].map(header => [header.mime2DecodedSubject, header.isRead, header.isFlagged]);
    ''')
    assert headers == [['apple', False, False], ['pear', True, False], ['plum', False, True], ['fig', False, False]], headers

    text = bird.run('''
        const uri = inbox.getUriForMsg(find(inbox, "apple"));
        let text = "";
        await new Promise((good, bad) => MailServices.messageServiceFromURI(uri).streamMessage(uri, {
          QueryInterface: ChromeUtils.generateQI(["nsIStreamListener"]),
          onStartRequest() {},
          onDataAvailable(request, stream, offset, count) {
            const input = Cc["@mozilla.org/scriptableinputstream;1"].createInstance(Ci.nsIScriptableInputStream);
            input.init(stream);
            text += input.read(count);
          },
          onStopRequest(request, code) { code ? bad(new Error("streaming ended with " + code)) : good(); },
        }, null, null, false, "", false));
        inbox.markMessagesRead([find(inbox, "apple")], true);
        return text;
    ''')
    assert 'Hello apple.' in text, text
    other.wait('what was read', lambda: '\\Seen' in other.flags('INBOX', 'apple'))

    bird.run('''
        inbox.markMessagesFlagged([find(inbox, "pear")], true);
        inbox.addKeywordsToMessages([find(inbox, "pear")], "$label1");
    ''')
    other.wait('a star and a tag', lambda: other.flags('INBOX', 'pear') == {'\\Seen', '\\Flagged', '$label1'})

    bird.run('root.createSubfolder("Plans", null); await until("a new folder", () => named("Plans"));')
    other.wait('a new folder', lambda: b'Plans' in b' '.join(other.imap.list()[1]))
    bird.run('''
        const copy = (header, move) =>
          MailServices.copy.copyMessages(inbox, [header], named("Plans"), move, null, null, false);
        copy(find(inbox, "pear"), false);
        copy(find(inbox, "plum"), true);
    ''')
    other.wait('a copy', lambda: other.flags('Plans', 'pear') == {'\\Seen', '\\Flagged', '$label1'})
    other.wait('a move', lambda: other.flags('Plans', 'plum') == {'\\Flagged'})
    other.wait('its leaving', lambda: other.flags('INBOX', 'plum') is None)
    bird.run('''
        await until("a message to leave", () => !find(inbox, "plum"));
        named("Plans").updateFolder(null);
        await until("copies", () => find(named("Plans"), "pear") && find(named("Plans"), "plum"));
    ''')

    bird.run('inbox.deleteMessages([find(inbox, "fig")], null, false, true, null, false);')
    other.wait('what was thrown away', lambda: other.flags('Trash', 'fig') is not None)
    other.wait('its leaving', lambda: other.flags('INBOX', 'fig') is None)

    # What comes in is told at once, without being asked for: the folder that was opened last is watched.
    bird.run('inbox.updateFolder(null);')
    other.append('late')
    bird.run('await until("new mail", () => find(inbox, "late"));')
    assert other.imap.select('INBOX')[0] == 'OK'
    assert other.imap.store('1:*', '+FLAGS', r'(\Answered)')[0] == 'OK'
    bird.run('await until("an answer", () => find(inbox, "late").flags & Ci.nsMsgMessageFlags.Replied);')

    # The bodies are kept for when there is no network.
    kept = os.path.join(PROFILE, 'ImapMail', host, 'INBOX')
    bird.run('inbox.downloadAllForOffline(null, null);')

    def all_kept():
        with open(kept, 'rb') as file:
            text = file.read()
        return all(b'Hello ' + word in text for word in (b'apple', b'pear', b'late'))
    other.wait('what is kept', all_kept)

    draft = os.path.join(folder, 'draft.eml')
    with open(draft, 'w') as file:
        file.write('From: ann\r\nTo: bob@example.net\r\nSubject: a draft\r\nMessage-ID: <draft@x>\r\n\r\nNot yet.\r\n')
    bird.run('''
        const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
        file.initWithPath(arguments[0]);
        MailServices.copy.copyFileMessage(
          file, named("Plans"), null, false, Ci.nsMsgMessageFlags.Read, "", null, null);
    ''', draft)
    other.wait('a draft', lambda: other.flags('Plans', 'a draft') is not None)


other = Other()
assert other.imap.create('Work')[0] == 'OK' and other.imap.subscribe('Work')[0] == 'OK'
other.append('apple')
other.append('pear', r'(\Seen)')
other.append('plum', r'(\Flagged)')
other.append('fig')
bird = Thunderbird()
try:
    day(bird, other)
finally:
    bird.end()
