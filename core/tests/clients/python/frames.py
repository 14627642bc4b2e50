"""The frames of record.rs: carries records between the suite's pipes and a client. Never looks into a record."""

import struct
import sys
import threading

RECORD = struct.Struct(">iqq")
ACK = struct.Struct(">iq")
LENGTH = struct.Struct(">i")

source = sys.stdin.buffer
sink = sys.stdout.buffer


def _exactly(count):
    content = source.read(count)
    if len(content) != count:
        raise EOFError("a frame ended early")
    return content


def _read_bytes():
    (length,) = LENGTH.unpack(_exactly(4))
    return None if length < 0 else _exactly(length)


def _bytes(content):
    return LENGTH.pack(-1) if content is None else LENGTH.pack(len(content)) + content


def records():
    """Each as (partition or None, timestamp or None, key, value, [(name, value)])."""
    while first := source.read(RECORD.size):
        partition, _, timestamp = RECORD.unpack(first + _exactly(RECORD.size - len(first)))
        key = _read_bytes()
        value = _read_bytes()
        (count,) = LENGTH.unpack(_exactly(4))
        headers = [(_read_bytes().decode(), _read_bytes()) for _ in range(count)]
        yield (
            None if partition < 0 else partition,
            None if timestamp < 0 else timestamp,
            key,
            value,
            headers,
        )


def write_record(partition, offset, timestamp, key, value, headers):
    parts = [RECORD.pack(partition, offset, timestamp), _bytes(key), _bytes(value)]
    headers = headers or []
    parts.append(LENGTH.pack(len(headers)))
    for name, content in headers:
        parts += (_bytes(name.encode()), _bytes(content))
    sink.write(b"".join(parts))


def write_ack(partition, offset):
    sink.write(ACK.pack(partition, offset))


def answer(**answers):
    for name, value in answers.items():
        sink.write(f"{name}={value}\n".encode())


def say(what, partition, offset):
    print(f"{what}={partition}:{offset}", flush=True)


def say_owns(partitions):
    print("owns=" + ",".join(str(partition) for partition in sorted(partitions)), flush=True)


def told_to_leave():
    """An event that is set when standard input ends."""
    told = threading.Event()

    def wait():
        sys.stdin.buffer.read()
        told.set()

    threading.Thread(target=wait, daemon=True).start()
    return told
