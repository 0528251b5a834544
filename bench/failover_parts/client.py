"""As much of the MySQL protocol as a client needs: log in, a statement, its answer."""

import hashlib
import socket
import struct

# LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH
CAPABILITIES = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x80000


class Refused(Exception):
    """The server's own answer: an error. `code` is its number."""

    def __init__(self, packet):
        self.code = packet[1] | packet[2] << 8
        super().__init__(f"{self.code}: {packet[9:].decode(errors='replace')}")


class Broken(Exception):
    """No answer."""


class Client:
    def __init__(self, host, port, user, password, database, patience=30):
        try:
            self.stream = socket.create_connection((host, port), patience)
            self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.login(user, password, database)
        except OSError as e:
            raise Broken(str(e)) from e

    def login(self, user, password, database):
        greeting = self.read()
        end = greeting.index(b"\0", 1) + 1
        salt = greeting[end + 4:end + 12] + greeting[end + 31:end + 43]
        first = hashlib.sha1(password.encode()).digest()
        mask = hashlib.sha1(salt + hashlib.sha1(first).digest()).digest()
        answer = bytes(a ^ b for a, b in zip(first, mask))
        payload = (struct.pack("<IIB23x", CAPABILITIES, 1 << 24, 45) + user.encode() + b"\0\x14" + answer
                   + database.encode() + b"\0mysql_native_password\0")
        self.write(1, payload)
        self.read()

    def run(self, text):
        """How many rows it changed, or the rows it found."""
        try:
            self.write(0, b"\3" + text.encode())
            packet = self.read()
            if packet[0] == 0:
                return number(packet, 1)[0]
            for _ in range(number(packet, 0)[0] + 1):
                self.read()
            rows = []
            while True:
                packet = self.read()
                if packet[0] == 0xfe and len(packet) < 9:
                    return rows
                rows.append(cells(packet))
        except OSError as e:
            raise Broken(str(e)) from e

    def read(self):
        head = self.receive(4)
        packet = self.receive(head[0] | head[1] << 8 | head[2] << 16)
        if packet[0] == 0xff:
            raise Refused(packet)
        return packet

    def receive(self, count):
        data = b""
        while len(data) < count:
            part = self.stream.recv(count - len(data))
            if not part:
                raise OSError("the connection was closed")
            data += part
        return data

    def write(self, sequence, payload):
        self.stream.sendall(struct.pack("<I", len(payload))[:3] + bytes([sequence]) + payload)

    def close(self):
        self.stream.close()


def number(packet, at):
    first = packet[at]
    if first < 0xfb:
        return first, at + 1
    size = {0xfc: 2, 0xfd: 3, 0xfe: 8}[first]
    return int.from_bytes(packet[at + 1:at + 1 + size], "little"), at + 1 + size


def cells(packet):
    row, at = [], 0
    while at < len(packet):
        if packet[at] == 0xfb:
            row.append(None)
            at += 1
            continue
        size, at = number(packet, at)
        row.append(packet[at:at + size].decode())
        at += size
    return row
