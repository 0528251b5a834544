"""Clients that log in and then wait: as little of the protocol as that takes."""

import hashlib
import socket
import struct

from .servers import USER

# PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH, CONNECT_WITH_DB, LONG_PASSWORD, TRANSACTIONS
CAPABILITIES = 0x200 | 0x8000 | 0x80000 | 0x8 | 0x1 | 0x2000


def read(stream):
    head = receive(stream, 4)
    return head[3], receive(stream, head[0] | head[1] << 8 | head[2] << 16)


def receive(stream, count):
    data = b""
    while len(data) < count:
        part = stream.recv(count - len(data))
        if not part:
            raise RuntimeError("the server has closed the connection")
        data += part
    return data


def write(stream, number, payload):
    stream.sendall(struct.pack("<I", len(payload))[:3] + bytes([number]) + payload)


def login(port):
    stream = socket.create_connection(("127.0.0.1", port), 20)
    _, greeting = read(stream)
    end = greeting.index(b"\0", 1) + 1
    salt = greeting[end + 4:end + 12] + greeting[end + 31:end + 43]
    first = hashlib.sha1(USER.encode()).digest()
    mask = hashlib.sha1(salt + hashlib.sha1(first).digest()).digest()
    answer = bytes(a ^ b for a, b in zip(first, mask))
    payload = (struct.pack("<IIB23x", CAPABILITIES, 1 << 24, 45) + USER.encode() + b"\0\x14" + answer
               + b"sbtest\0mysql_native_password\0")
    write(stream, 1, payload)
    _, verdict = read(stream)
    if verdict[0] != 0:
        raise RuntimeError(verdict[3:].decode(errors="replace"))
    return stream


def query(stream, text):
    """Until the second EOF, or OK, or an error."""
    write(stream, 0, b"\3" + text.encode())
    ends = 0
    while ends < 2:
        _, packet = read(stream)
        if packet[0] == 0xff:
            raise RuntimeError(packet[3:].decode(errors="replace"))
        if packet[0] == 0xfe:
            ends += 1
