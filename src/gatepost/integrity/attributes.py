"""The attributes that can be watched, in one table with every spelling that administrators know.

What it does: turns words such as `ReadOnly+acl-ctime`, Tripwire's `+pinug-ac` and AIDE's `p+i+n+sha256` into one mask and back.
Not its job: comparing (`compare`).
Raises: `AttributeWordError` for a word that nobody knows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Final


class AttributeWordError(ValueError):
    """A word that is no attribute and no group; the message names it and what it might mean."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing that can be watched: its bit, our word, Tripwire's letters, AIDE's words, and what it means."""

    bit: int
    word: str
    tripwire: str
    aide: tuple[str, ...]
    meaning: str


def _table() -> tuple[Attribute, ...]:
    rows = [
        ("type", "t", ("ftype",), "kind of object: file, directory, link, device"),
        ("mode", "p", ("p",), "permission bits, setuid, setgid, sticky"),
        ("uid", "u", ("u",), "owner"),
        ("gid", "g", ("g",), "group"),
        ("size", "s", ("s",), "size in bytes"),
        ("blocks", "b", ("b",), "space taken, in blocks of 512 bytes"),
        ("mtime", "m", ("m",), "time of the last change of content"),
        ("ctime", "c", ("c",), "time of the last change of content or attributes"),
        ("atime", "a", ("a",), "time of the last reading"),
        ("inode", "i", ("i",), "inode number"),
        ("links", "n", ("n",), "number of hard links"),
        ("volume", "d", (), "number of the device that holds the object"),
        ("device", "r", (), "number of the device that the object is"),
        ("link", "", ("l",), "target of a symbolic link"),
        ("flags", "", ("e2fsattrs",), "flags of chattr (immutable, append only ...)"),
        ("xattrs", "", ("xattrs",), "extended attributes other than those below"),
        ("acl", "", ("acl",), "access control lists"),
        ("capabilities", "", ("caps",), "file capabilities"),
        ("selinux", "", ("selinux",), "SELinux label"),
        ("content", "CMSH", ("sha256", "sha512", "sha1", "md5", "rmd160", "haval", "tiger", "crc32", "crc32b", "gost", "whirlpool",
                             "stribog256", "stribog512", "sha512_256", "sha3_256", "sha3_512", "H"), "digest of the content"),
        ("mount", "", (), "what is mounted on the object"),
        ("growing", "l", ("S", "growing"), "content may only be added at the end; rotation by logrotate is understood"),
        ("may-appear", "", ("ANF",), "new objects are no finding"),
        ("may-vanish", "", ("ARF",), "removed objects are no finding"),
    ]  # fmt: skip
    return tuple(Attribute(1 << n, *row) for n, row in enumerate(rows))


ATTRIBUTES: Final = _table()
_BY_WORD: Final = {a.word: a.bit for a in ATTRIBUTES}
_BY_LETTER: Final = {letter: a.bit for a in ATTRIBUTES for letter in a.tripwire}
_BY_AIDE: Final = {word: a.bit for a in ATTRIBUTES for word in a.aide}


def mask(*words: str) -> int:
    """The mask of several of our own words."""
    return reduce(or_, (_BY_WORD[word] for word in words), 0)


TYPE: Final = mask("type")
MODE: Final = mask("mode")
UID: Final = mask("uid")
GID: Final = mask("gid")
SIZE: Final = mask("size")
BLOCKS: Final = mask("blocks")
MTIME: Final = mask("mtime")
CTIME: Final = mask("ctime")
ATIME: Final = mask("atime")
INODE: Final = mask("inode")
LINKS: Final = mask("links")
VOLUME: Final = mask("volume")
DEVICE: Final = mask("device")
LINK: Final = mask("link")
FLAGS: Final = mask("flags")
XATTRS: Final = mask("xattrs")
ACL: Final = mask("acl")
CAPABILITIES: Final = mask("capabilities")
SELINUX: Final = mask("selinux")
CONTENT: Final = mask("content")
MOUNT: Final = mask("mount")
GROWING: Final = mask("growing")
MAY_APPEAR: Final = mask("may-appear")
MAY_VANISH: Final = mask("may-vanish")

_RIGHTS: Final = TYPE | MODE | UID | GID | LINK | FLAGS | XATTRS | ACL | CAPABILITIES | SELINUX | MOUNT | DEVICE
GROUPS: Final = {
    "ReadOnly": _RIGHTS | SIZE | MTIME | CTIME | INODE | LINKS | CONTENT,
    "Config": _RIGHTS | SIZE | LINKS | CONTENT,
    "Dynamic": _RIGHTS,
    "Growing": _RIGHTS | GROWING,
    "Device": TYPE | MODE | UID | GID | DEVICE | ACL | XATTRS | MOUNT,
    "IgnoreAll": TYPE,
    "IgnoreNone": reduce(or_, (a.bit for a in ATTRIBUTES)) & ~(ATIME | GROWING | MAY_APPEAR | MAY_VANISH),
}
"""Our groups, by Tripwire's names. `Config` is ReadOnly for files that are rewritten with the same content."""


def parse(text: str) -> int:
    """The mask of an expression such as `ReadOnly+blocks-mtime`."""
    result = 0
    for sign, word in _signed(text):
        bits = GROUPS.get(word) or _BY_WORD.get(word)
        if bits is None:
            raise AttributeWordError(f'"{word}" is no attribute and no group; known are {", ".join([*GROUPS, *_BY_WORD])}')
        result = result & ~bits if sign == "-" else result | bits
    return result


def words(bits: int) -> list[str]:
    """Our words for a mask, in the order of the table."""
    return [a.word for a in ATTRIBUTES if bits & a.bit]


def expression(bits: int) -> str:
    """The shortest expression that `parse` reads back as `bits`: a group and what differs from it, or a plain list."""
    plain = "+".join(words(bits))
    candidates = [plain] if plain else []
    for name, group in GROUPS.items():
        more = "".join(f"+{w}" for w in words(bits & ~group))
        less = "".join(f"-{w}" for w in words(group & ~bits))
        candidates.append(name + more + less)
    return min(candidates, key=len)


def letter_bits(letter: str) -> int:
    """The mask of one letter of Tripwire's property masks."""
    if letter not in _BY_LETTER:
        raise AttributeWordError(f'"{letter}" is no Tripwire property; known are {"".join(sorted(_BY_LETTER))}')
    return _BY_LETTER[letter]


def aide_bits(word: str) -> int | None:
    """The mask of one of AIDE's attribute words, None when it is none."""
    return _BY_AIDE.get(word)


def _signed(text: str) -> list[tuple[str, str]]:
    parts = re.findall(r"\s*([+-]?)\s*([A-Za-z]+(?:-(?:appear|vanish))?)", text)
    if "".join(sign + word for sign, word in parts) != re.sub(r"\s+", "", text) or not parts:
        raise AttributeWordError(f'"{text}" is not an expression of attributes such as ReadOnly+blocks-mtime')
    return parts
