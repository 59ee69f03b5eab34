"""Runs inside a namespace: as "world" sends raw frames and sees which come out; as "local" sees what reaches the firewall's own sockets."""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

MARK = b"GPB1"
SIDES = 3
QUIET = 0.02


def checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def transport(number, family, proto, src, dst, sport, dport, flags):
    mark = MARK + struct.pack("!I", number)
    if proto == 6:
        body = struct.pack("!HHIIBBHHH", sport, dport, 1000, 0, 5 << 4, flags, 8192, 0, 0) + mark
        at = 16
    elif proto == 17:
        body = struct.pack("!HHHH", sport, dport, 8 + len(mark), 0) + mark
        at = 6
    elif proto in (1, 58):
        # The type is in dport and the code in sport; the identifier tells connections apart.
        body = struct.pack("!BBHHH", dport, sport, 0, number & 0xFFFF, number >> 16) + mark
        at = 2
    else:
        return struct.pack("!HHI", 0, 0, 0) + mark
    wide = 4 if family == 4 else 16
    pseudo = src.to_bytes(wide, "big") + dst.to_bytes(wide, "big")
    pseudo += struct.pack("!BBH", 0, proto, len(body)) if family == 4 else struct.pack("!I3xB", len(body), proto)
    value = checksum((b"" if proto == 1 else pseudo) + body)
    return body[:at] + struct.pack("!H", value or 0xFFFF) + body[at + 2 :]


def frame(side, family, proto, src, dst, body):
    head = bytes([2, 0, 0, 0, side, 1, 2, 0, 0, 0, side, 2])
    if family == 4:
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0, 64, proto, 0) + src.to_bytes(4, "big") + dst.to_bytes(4, "big")
        return head + b"\x08\x00" + ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + body
    ip = struct.pack("!IHBB", 6 << 28, len(body), proto, 64) + src.to_bytes(16, "big") + dst.to_bytes(16, "big")
    return head + b"\x86\xdd" + ip + body


def parsed(packet, family):
    """The number of a packet of ours and its header; None for anything else."""
    if family == 4:
        size, proto = (packet[0] & 15) * 4, packet[9]
        src, dst = int.from_bytes(packet[12:16], "big"), int.from_bytes(packet[16:20], "big")
    else:
        size, proto = 40, packet[6]
        src, dst = int.from_bytes(packet[8:24], "big"), int.from_bytes(packet[24:40], "big")
    body = packet[size:]
    at = body.find(MARK)
    if at < 0 or len(body) < at + 8 or (proto in (1, 58) and at > 8):
        return None
    ports = struct.unpack("!HH", body[:4]) if proto in (6, 17) else (0, 0)
    return struct.unpack("!I", body[at + 4 : at + 8])[0], src, dst, *ports


def world():
    sockets = []
    for side in range(SIDES):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        raw.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
        raw.bind((f"w{side}", 0))
        sockets.append(raw)
    base = 0
    for line in sys.stdin:
        rows, found = json.loads(line), []
        for index, (side, family, proto, src, dst, sport, dport, flags) in enumerate(rows):
            sockets[side].send(frame(side, family, proto, src, dst, transport(base + index, family, proto, src, dst, sport, dport, flags)))
            if index % 50 == 49:
                drain(sockets, found, 0)
        drain(sockets, found, QUIET)
        print(json.dumps([[item[0] - base, *item[1:]] for item in found if base <= item[0] < base + len(rows)]), flush=True)
        base += len(rows)


def drain(sockets, found, quiet):
    while True:
        ready, _, _ = select.select(sockets, [], [], quiet)
        if not ready:
            return
        for raw in ready:
            data, address = raw.recvfrom(4096)
            if address[2] == 4 or address[1] not in (0x0800, 0x86DD):
                continue
            item = parsed(data[14:], 4 if address[1] == 0x0800 else 6)
            if item:
                found.append([item[0], f"eth{address[0][1:]}", *item[1:]])


def local():
    """What reaches sockets of the firewall; numbers are made relative by the order of the batches."""
    sockets = {}
    for family, kinds in ((socket.AF_INET, (1, 6, 17, 47)), (socket.AF_INET6, (58, 6, 17, 47))):
        for proto in kinds:
            raw = socket.socket(family, socket.SOCK_RAW, proto)
            raw.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
            raw.setblocking(False)
            sockets[raw] = (family, proto)
    for line in sys.stdin:
        base = int(line)
        time.sleep(QUIET)
        numbers = {}
        for raw, (family, proto) in sockets.items():
            while True:
                try:
                    data = raw.recv(4096)
                except BlockingIOError:
                    break
                at = data.find(MARK)
                if at >= 0:
                    body = data[(data[0] & 15) * 4 :] if family == socket.AF_INET else data
                    ports = struct.unpack("!HH", body[:4]) if proto in (6, 17) else (0, 0)
                    numbers[struct.unpack("!I", data[at + 4 : at + 8])[0]] = ports
        print(json.dumps([[number - base, "local", 0, 0, *ports] for number, ports in numbers.items() if number >= base]), flush=True)


{"world": world, "local": local}[sys.argv[1]]()
