"""Writers of containers, field by field, so that tests can make each field lie. Nothing here reads anything."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace


def deflate(data: bytes) -> bytes:
    """Raw deflate (RFC 1951)."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@dataclass(frozen=True)
class ZipFile:
    """One file of a ZIP archive as one of its two headers describes it."""

    name: bytes
    packed: bytes
    size: int
    crc: int
    method: int = 8
    flags: int = 0
    packed_size: int | None = None
    extra: bytes = b""

    @classmethod
    def of(cls, name: bytes, data: bytes, method: int = 8) -> ZipFile:
        """An honest one."""
        return cls(name, deflate(data) if method == 8 else data, len(data), zlib.crc32(data), method)

    def but(self, **changes: object) -> ZipFile:
        """The same with lies."""
        return replace(self, **changes)

    def _fields(self) -> bytes:
        size = len(self.packed) if self.packed_size is None else self.packed_size
        return struct.pack("<HHHHHIIIHH", 20, self.flags, self.method, 0, 0x21, self.crc, size, self.size, len(self.name), len(self.extra))

    def local(self) -> bytes:
        """Its local header, name and data."""
        return b"PK\x03\x04" + self._fields() + self.name + self.extra + self.packed

    def central(self, offset: int) -> bytes:
        """Its record in the directory."""
        return b"PK\x01\x02\x14\x00" + self._fields() + struct.pack("<HHHII", 0, 0, 0, 0, offset) + self.name + self.extra


def end(count: int, size: int, offset: int, comment: bytes = b"") -> bytes:
    """An end record."""
    return b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, count, count, size, offset, len(comment)) + comment


def zip_of(*files: ZipFile | tuple[ZipFile, ZipFile | None], prefix: bytes = b"", comment: bytes = b"") -> bytes:
    """An archive; a pair is (what the local header says, what the directory says or None for nothing)."""
    body, directory, count = prefix, b"", 0
    for file in files:
        local, central = file if isinstance(file, tuple) else (file, file)
        if central is not None:
            directory += central.central(len(body))
            count += 1
        body += local.local()
    return body + directory + end(count, len(directory), len(body), comment)


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file (MS-CFB) of streams in the root or in one level of storages, without a mini stream: all streams are padded to 4096."""
    storages = sorted({path.partition("/")[0] for path in streams if "/" in path})
    nodes = ["Root Entry", *storages, *streams]
    sectors: list[bytes] = []
    chain: list[int] = []

    def store(data: bytes) -> int:
        first, count = len(sectors), max(1, -(-len(data) // 512))
        sectors.extend(data[n * 512 : n * 512 + 512].ljust(512, b"\0") for n in range(count))
        chain.extend([*range(first + 1, first + count), 0xFFFFFFFE])
        return first

    places = {path: (store(data.ljust(4096, b"\0")), max(4096, len(data))) for path, data in streams.items()}
    directory = b""
    for number, node in enumerate(nodes):
        parent = node.partition("/")[0] if "/" in node else ""
        siblings = [
            n
            for n, other in enumerate(nodes)
            if n > number and other != "Root Entry" and (other.partition("/")[0] if "/" in other else "") == parent
        ]
        children = [n for n, other in enumerate(nodes) if n and ("/" not in other if not number else other.startswith(node + "/"))]
        kind = 5 if not number else 1 if node in storages else 2
        leaf = (node.partition("/")[2] or node).encode("utf-16-le") + b"\0\0"
        start, size = places.get(node, (0xFFFFFFFE, 0))
        links = (0xFFFFFFFF, siblings[0] if siblings and number else 0xFFFFFFFF, children[0] if children and kind != 2 else 0xFFFFFFFF)
        directory += (
            leaf.ljust(64, b"\0") + struct.pack("<HBBIII", len(leaf), kind, 1, *links) + bytes(36) + struct.pack("<IQ", start, size)
        )
    directory_at = store(directory)
    table = len(sectors)
    chain.append(0xFFFFFFFD)
    sectors.append(struct.pack(f"<{len(chain)}I", *chain).ljust(512, b"\xff"))
    head = bytes.fromhex("d0cf11e0a1b11ae1") + bytes(16) + struct.pack("<HHHHH6x", 62, 3, 0xFFFE, 9, 6)
    head += struct.pack("<IIIIIIIIII", 0, 1, directory_at, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, table)
    return head.ljust(512, b"\xff") + b"".join(sectors)


def package(name: bytes, data: bytes) -> bytes:
    """The native data of an OLE 1.0 package."""
    path = b"C:\\" + name + b"\0"
    return b"\x02\0" + name + b"\0" + path + b"\0\0\3\0" + struct.pack("<I", len(path)) + path + struct.pack("<I", len(data)) + data


def ole1(class_name: bytes, native: bytes) -> bytes:
    """An embedded OLE 1.0 object (MS-OLEDS 2.2.5)."""
    return struct.pack("<III", 0x501, 2, len(class_name) + 1) + class_name + b"\0" + bytes(8) + struct.pack("<I", len(native)) + native


def tnef(name: bytes, data: bytes) -> bytes:
    """A winmail.dat with one attachment."""
    rows = [(2, 0x69002, bytes(14)), (2, 0x18010, name + b"\0"), (2, 0x6800F, data)]
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(
        struct.pack("<BII", level, code, len(body)) + body + struct.pack("<H", sum(body) & 0xFFFF) for level, code, body in rows
    )


def der(tag: int, body: bytes) -> bytes:
    """One DER element."""
    size = len(body)
    head = bytes((size,)) if size < 128 else b"\x84" + struct.pack(">I", size)
    return bytes((tag,)) + head + body


def cms(kind: str, content: bytes, *, pieces: int = 0) -> bytes:
    """A CMS message: "signed", "compressed" or "enveloped"; with `pieces` its octets are BER pieces of that size, of indefinite length."""
    types = {"signed": "2a864886f70d010702", "enveloped": "2a864886f70d010703", "compressed": "2a864886f70d0109100109"}
    body = zlib.compress(content) if kind == "compressed" else content
    octets = (
        b"\x24\x80" + b"".join(der(4, body[at : at + pieces]) for at in range(0, len(body), pieces)) + b"\0\0" if pieces else der(4, body)
    )
    inner = der(0x30, der(6, bytes.fromhex("2a864886f70d010701")) + der(0xA0, octets))
    return der(0x30, der(6, bytes.fromhex(types[kind])) + der(0xA0, der(0x30, der(2, b"\1") + der(0x31, b"") + inner)))


def pdf(stream: bytes, dictionary: bytes = b"/Type/EmbeddedFile", catalog: bytes = b"") -> bytes:
    """A PDF without a cross-reference table, with one stream, which is what a damaged one looks like."""
    return (
        b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R" + catalog + b">>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
        b"5 0 obj<<" + dictionary + b"/Length %d>>stream\n" % len(stream) + stream + b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    )
