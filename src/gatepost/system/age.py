"""Files encrypted in the format of age, version 1 (age-encryption.org/v1), so that a backup can be opened without Gatepost: `age -d`.

What it does: writes and reads such files as streams, for a passphrase (scrypt) or for key pairs (X25519), in chunks of 64 KiB of which
none can be changed, left out or moved without notice; makes key pairs.
Not its job: what is inside.
Raises: `AgeError` with a sentence for whoever holds the file; `OSError`.
"""

from __future__ import annotations

import base64
import hmac
import io
import os
from collections.abc import Sequence
from hashlib import sha256
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gatepost.system import bech32

VERSION = b"age-encryption.org/v1"
CHUNK, TAG, NONCE, KEY = 65_536, 16, 16, 16
WORK, MOST_WORK = 18, 22
"""Powers of two of scrypt's work: what we take, about a second, and what we do for a file at most."""
COLUMNS, LONGEST = 64, 65_536
"""Characters of a line in the header, and bytes that a header may have."""
PUBLIC, SECRET = "age", "age-secret-key-"


class AgeError(Exception):
    """The file cannot be opened with what was given, or is damaged."""


def new_identity() -> tuple[str, str]:
    """A key pair: the secret half, kept away from the machine, and the recipient, which encrypts only."""
    key = X25519PrivateKey.generate()
    return bech32.encode(SECRET, key.private_bytes_raw()).upper(), recipient_of(key)


def recipient_of(key: X25519PrivateKey) -> str:
    """The public half as text."""
    return bech32.encode(PUBLIC, key.public_key().public_bytes_raw())


def read_identity(text: str) -> X25519PrivateKey:
    """The secret half, out of a file with comments as age-keygen(1) writes it."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if len(lines) != 1:
        raise AgeError("a key file must have exactly one line that begins with AGE-SECRET-KEY-1")
    return X25519PrivateKey.from_private_bytes(_decoded(SECRET, lines[0].lower()))


def _decoded(prefix: str, text: str) -> bytes:
    try:
        return bech32.decode(prefix, text)
    except ValueError:
        raise AgeError(f"{text[:24]}... is not a key; a recipient begins with age1, a secret key with AGE-SECRET-KEY-1") from None


class Writer(io.RawIOBase):
    """A stream that encrypts into `target`; closing it writes the end, without which the file cannot be read."""

    def __init__(self, target: BinaryIO, recipients: Sequence[str] = (), passphrase: str = "") -> None:
        super().__init__()
        key, nonce = os.urandom(KEY), os.urandom(NONCE)
        stanzas = [_to_passphrase(key, passphrase)] if passphrase else [_to_recipient(key, one) for one in recipients]
        header = VERSION + b"\n" + b"".join(stanzas) + b"---"
        target.write(header + b" " + _text(_mac(key, header)) + b"\n" + nonce)
        self._target = target
        self._cipher = ChaCha20Poly1305(_derived(key, nonce, b"payload"))
        self._buffer = bytearray()
        self._number = 0

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Encrypt; the last chunk waits for the end, which must be known when it is sealed."""
        self._buffer += data
        while len(self._buffer) > CHUNK:
            self._seal(bytes(self._buffer[:CHUNK]), last=False)
            del self._buffer[:CHUNK]
        return len(data)

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._target.write(self._cipher.encrypt(_nonce(self._number, last=last), chunk, None))
        self._number += 1

    def close(self) -> None:
        """Write the end."""
        if not self.closed:
            self._seal(bytes(self._buffer), last=True)
        super().close()


class Reader(io.RawIOBase):
    """A stream that decrypts `source`; nothing is given back that was not proved."""

    def __init__(self, source: BinaryIO, identity: X25519PrivateKey | None = None, passphrase: str = "") -> None:
        super().__init__()
        header, stanzas, mac = _header(source)
        key = _opened(stanzas, identity, passphrase)
        if not hmac.compare_digest(_mac(key, header), mac):
            raise AgeError("the head of the file was changed")
        self._source = source
        self._cipher = ChaCha20Poly1305(_derived(key, _exactly(source, NONCE), b"payload"))
        self._next = source.read(CHUNK + TAG)
        if not self._next:
            raise AgeError("the file is cut off")
        self._plain = b""
        self._number = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Give decrypted bytes; 0 at a proved end."""
        if not self._plain and self._next:
            self._advance()
        size = min(len(buffer), len(self._plain))
        buffer[:size] = self._plain[:size]
        self._plain = self._plain[size:]
        return size

    def _advance(self) -> None:
        chunk, self._next = self._next, self._source.read(CHUNK + TAG) if len(self._next) == CHUNK + TAG else b""
        try:
            self._plain = self._cipher.decrypt(_nonce(self._number, last=not self._next), chunk, None)
        except InvalidTag:
            raise AgeError("the file is damaged or cut off") from None
        self._number += 1


def is_age(head: bytes) -> bool:
    """Whether a file that begins so is one of these."""
    return head.startswith(VERSION)


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _derived(key: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt, info).derive(key)


def _mac(key: bytes, header: bytes) -> bytes:
    return hmac.new(_derived(key, b"", b"header"), header, sha256).digest()


def _text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError:
        data = b""
    if _text(data) != text:  # spare bits that are not zero are damage too
        raise AgeError("the head of the file is damaged")
    return data


def _stanza(arguments: Sequence[bytes], body: bytes) -> bytes:
    text = _text(body)
    lines = [text[at : at + COLUMNS] for at in range(0, len(text) + 1, COLUMNS)]
    return b"-> " + b" ".join(arguments) + b"\n" + b"\n".join(lines) + b"\n"


def _to_recipient(key: bytes, recipient: str) -> bytes:
    theirs = _decoded(PUBLIC, recipient)
    ours = X25519PrivateKey.generate()
    share = ours.public_key().public_bytes_raw()
    shared = ours.exchange(X25519PublicKey.from_public_bytes(theirs))
    wrap = _derived(shared, share + theirs, VERSION + b"/X25519")
    return _stanza((b"X25519", _text(share)), ChaCha20Poly1305(wrap).encrypt(bytes(12), key, None))


def _to_passphrase(key: bytes, passphrase: str) -> bytes:
    salt = os.urandom(16)
    wrap = _stretched(passphrase, salt, WORK)
    return _stanza((b"scrypt", _text(salt), str(WORK).encode()), ChaCha20Poly1305(wrap).encrypt(bytes(12), key, None))


def _stretched(passphrase: str, salt: bytes, work: int) -> bytes:
    return Scrypt(VERSION + b"/scrypt" + salt, 32, 1 << work, 8, 1).derive(passphrase.encode())


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise AgeError("the file is cut off")
    return data


Stanzas = list[tuple[list[bytes], bytes]]


def _header(source: BinaryIO) -> tuple[bytes, Stanzas, bytes]:
    """The head of a file as its code covers it, its stanzas (arguments and body), and the code itself."""
    if source.readline(100) != VERSION + b"\n":
        raise AgeError("this is no file of age, version 1")
    header, stanzas = VERSION + b"\n", Stanzas()
    while len(header) < LONGEST:
        line = source.readline(LONGEST)
        if line.startswith(b"--- "):
            return header + b"---", [(arguments, _bytes(body)) for arguments, body in stanzas], _bytes(line[4:].rstrip(b"\n"))
        if not line.endswith(b"\n"):
            break
        header += line
        if line.startswith(b"-> "):
            stanzas.append((line[3:].split(), b""))
        elif stanzas:
            stanzas[-1] = stanzas[-1][0], stanzas[-1][1] + line.rstrip(b"\n")
    raise AgeError("the head of the file is damaged or cut off")


def _opened(stanzas: Stanzas, identity: X25519PrivateKey | None, passphrase: str) -> bytes:
    for arguments, body in stanzas:
        wrap = _wrap(arguments, identity, passphrase)
        if wrap is not None:
            try:
                return ChaCha20Poly1305(wrap).decrypt(bytes(12), body, None)
            except InvalidTag:
                continue
    kinds = {arguments[0] for arguments, _ in stanzas if arguments}
    needs = "its passphrase" if kinds == {b"scrypt"} else "the secret key of one of its recipients"
    raise AgeError(f"the file does not open with what was given; it needs {needs}")


def _wrap(arguments: list[bytes], identity: X25519PrivateKey | None, passphrase: str) -> bytes | None:
    match arguments:
        case [b"X25519", text] if identity is not None:
            share = _bytes(text)
            try:
                shared = identity.exchange(X25519PublicKey.from_public_bytes(share))
            except ValueError:
                raise AgeError("the head of the file is damaged") from None
            return _derived(shared, share + identity.public_key().public_bytes_raw(), VERSION + b"/X25519")
        case [b"scrypt", text, work] if passphrase and work.isdigit() and int(work) <= MOST_WORK:
            return _stretched(passphrase, _bytes(text), int(work))
    return None
