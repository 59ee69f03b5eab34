"""Bech32 (BIP 173): bytes as text with a checksum, the form in which age writes its keys.

Raises: `ValueError` for text that is none, or has another prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM = 6


def encode(prefix: str, data: bytes) -> str:
    """`data` as text in lower case."""
    values = list(_regrouped(data, 8, 5, pad=True))
    sums = _polymod([*_expanded(prefix), *values, *[0] * _CHECKSUM]) ^ 1
    return prefix + "1" + "".join(ALPHABET[value] for value in (*values, *(sums >> 5 * (5 - place) & 31 for place in range(_CHECKSUM))))


def decode(prefix: str, text: str) -> bytes:
    """The bytes of a text in lower case that has this prefix."""
    found, _, rest = text.rpartition("1")
    values = [ALPHABET.index(letter) for letter in rest]
    if found != prefix or len(values) < _CHECKSUM or _polymod([*_expanded(prefix), *values]) != 1:
        raise ValueError("no such text in Bech32")
    return bytes(_regrouped(values[:-_CHECKSUM], 5, 8, pad=False))


def _expanded(prefix: str) -> list[int]:
    return [*(ord(letter) >> 5 for letter in prefix), 0, *(ord(letter) & 31 for letter in prefix)]


def _polymod(values: Iterable[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, factor in enumerate(_GENERATOR):
            check ^= factor if top >> place & 1 else 0
    return check


def _regrouped(values: Iterable[int], before: int, after: int, *, pad: bool) -> Iterator[int]:
    """Numbers of `before` bits as numbers of `after` bits."""
    held, bits = 0, 0
    for value in values:
        held, bits = held << before | value, bits + before
        while bits >= after:
            bits -= after
            yield held >> bits & (1 << after) - 1
    if pad and bits:
        yield held << after - bits & (1 << after) - 1
