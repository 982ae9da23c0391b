# An IMAP client that says what it is told and hands back what it hears, literals included. For tests/src/peers/imap.rs.
import json
import smtplib
import socket
import sys
import zlib

IMAP, SMTP = json.loads(sys.argv[1])


class Client:
    def __init__(self, user=None):
        self.socket = socket.create_connection(tuple(IMAP), timeout=30)
        self.buffer, self.packed, self.count = b'', None, 0
        assert self.response().startswith('* OK')
        if user:
            self.ok(f'LOGIN {user}@example.test secret')

    def more(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise EOFError
        self.buffer += self.packed[1].decompress(piece) if self.packed else piece

    def take(self, count):
        while len(self.buffer) < count:
            self.more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken

    def line(self):
        while b'\r\n' not in self.buffer:
            self.more()
        return self.take(self.buffer.index(b'\r\n') + 2)

    def response(self):
        whole = b''
        while True:
            line = self.line()
            whole += line
            if not line.endswith(b'}\r\n'):
                return whole[:-2].decode('utf-8', 'surrogateescape')
            whole += self.take(int(line[line.rindex(b'{') + 1:-3]))

    def send(self, octets):
        if self.packed:
            octets = self.packed[0].compress(octets) + self.packed[0].flush(zlib.Z_SYNC_FLUSH)
        self.socket.sendall(octets)

    def ask(self, command):
        self.count += 1
        tag = f't{self.count}'
        octets = command if isinstance(command, bytes) else command.encode()
        self.send(tag.encode() + b' ' + octets + b'\r\n')
        said = []
        while True:
            response = self.response()
            if response.startswith(tag + ' '):
                return said, response[len(tag) + 1:]
            said.append(response)

    def ok(self, command):
        said, end = self.ask(command)
        assert end.startswith('OK '), (command, said, end)
        return said

    def no(self, command, begins='NO '):
        said, end = self.ask(command)
        assert end.startswith(begins), (command, said, end)
        return said

    def append(self, mailbox, text, options=''):
        octets = text if isinstance(text, bytes) else text.encode()
        return self.ok(f'APPEND {mailbox} {options}{{{len(octets)}+}}\r\n'.encode() + octets)

    def compress(self):
        self.ok('COMPRESS DEFLATE')
        self.packed = (zlib.compressobj(wbits=-15), zlib.decompressobj(wbits=-15))

    # What comes unasked, until something holds.
    def until(self, holds):
        said = []
        while True:
            said.append(self.response())
            if holds(said[-1]):
                return said


def mail(to, text):
    with smtplib.SMTP(*SMTP, timeout=30) as smtp:
        smtp.sendmail('c@example.com', [to], text)


def letter(subject, text='Hello\r\n'):
    return f'From: c@example.com\r\nSubject: {subject}\r\n\r\n{text}'
