"""The two encryptions of ZIP entries that a password opens.

What it does: PKWARE's traditional cipher (APPNOTE 6.1) and WinZip's AES (APPNOTE appendix E, AE-1 and AE-2), with their quick checks.
Not its job: guessing passwords (`passwords`).
Raises: what `tick` raises.
"""

from __future__ import annotations

import hashlib
import hmac
import zlib
from collections.abc import Callable, Iterable, Iterator

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

AES_FIELD = 0x9901
_HEADER = 12
_TICK = 1 << 16
_AES_SALT = {1: 8, 2: 12, 3: 16}
_ROUNDS = 1000
_MAC = 10
_BLOCK = 16
_CRC = tuple(zlib.crc32(bytes((n,)), 0xFFFFFFFF) ^ 0xFFFFFFFF for n in range(256))


def spelled(passwords: Iterable[str]) -> Iterator[bytes]:
    """Each password in UTF-8 and in the code pages in which older programs take it."""
    for password in passwords:
        yield from dict.fromkeys(password.encode(charset, "replace") for charset in ("utf-8", "cp1252", "cp437"))


def open_traditional(packed: memoryview, password: bytes, check: set[int], tick: Callable[[], None]) -> bytes | None:
    """Decrypt when the header's last byte is in `check`; one wrong password in 256 passes."""
    if len(packed) < _HEADER:
        return None
    keys = (0x12345678, 0x23456789, 0x34567890)
    for byte in password:
        keys = _update(keys, byte)
    header, keys = _decrypt(packed[:_HEADER], keys)
    if header[-1] not in check:
        return None
    out = []
    for at in range(_HEADER, len(packed), _TICK):
        tick()
        piece, keys = _decrypt(packed[at : at + _TICK], keys)
        out.append(piece)
    return b"".join(out)


def _update(keys: tuple[int, int, int], byte: int) -> tuple[int, int, int]:
    zero = _CRC[(keys[0] ^ byte) & 0xFF] ^ (keys[0] >> 8)
    one = ((keys[1] + (zero & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
    return zero, one, _CRC[(keys[2] ^ (one >> 24)) & 0xFF] ^ (keys[2] >> 8)


def _decrypt(packed: memoryview, keys: tuple[int, int, int]) -> tuple[bytes, tuple[int, int, int]]:
    """The loop of `_update` written out: it runs once a byte."""
    zero, one, two = keys
    table = _CRC
    out = bytearray(len(packed))
    for index, byte in enumerate(packed):
        temp = two | 2
        byte ^= ((temp * (temp ^ 1)) >> 8) & 0xFF  # noqa: PLW2901 - the cipher feeds the plain byte back
        out[index] = byte
        zero = table[(zero ^ byte) & 0xFF] ^ (zero >> 8)
        one = ((one + (zero & 0xFF)) * 134775813 + 1) & 0xFFFFFFFF
        two = table[(two ^ (one >> 24)) & 0xFF] ^ (two >> 8)
    return bytes(out), (zero, one, two)


def open_aes(packed: memoryview, password: bytes, strength: int) -> bytes | None:
    """Decrypt when both the two check bytes and the authentication code fit."""
    salt_size = _AES_SALT.get(strength, 0)
    if not salt_size or len(packed) < salt_size + 2 + _MAC:
        return None
    key_size = salt_size * 2
    keys = hashlib.pbkdf2_hmac("sha1", password, packed[:salt_size], _ROUNDS, key_size * 2 + 2)
    if keys[-2:] != packed[salt_size : salt_size + 2]:
        return None
    body = packed[salt_size + 2 : -_MAC]
    code = hmac.new(keys[key_size : key_size * 2], body, hashlib.sha1).digest()[:_MAC]
    return _aes_counter(body, keys[:key_size]) if hmac.compare_digest(code, packed[-_MAC:]) else None


def _aes_counter(body: memoryview, key: bytes) -> bytes:
    """AES in counter mode with a little-endian counter from 1, which no library offers."""
    blocks = -(-len(body) // _BLOCK)
    counters = b"".join(n.to_bytes(_BLOCK, "little") for n in range(1, blocks + 1))
    stream = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(counters)[: len(body)]  # noqa: S305 - the counter is made here
    return (int.from_bytes(body, "little") ^ int.from_bytes(stream, "little")).to_bytes(len(body), "little")
