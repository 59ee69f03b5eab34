"""What content-only engines are given."""

from __future__ import annotations

import mmap
import os

from gatepost.mail.inspect.content import Piece, distinct, everything, within
from gatepost.mail.model import Message, Part


def test_everything_is_the_raw_mail_and_each_different_content():
    """Repetitions and empty parts are left out, whatever kind of buffer they are; the first path stays."""
    raw = memoryview(b"raw body")
    parts = (Part("1", raw[4:]), Part("2", b"body"), Part("3", b""), Part("4", b"raw body"), Part("5", memoryview(b"other")))

    assert [piece.path for piece in everything(Message(raw, parts))] == ["", "1", "5"]


def test_a_map_of_a_spool_file_is_compared_by_content():
    """Slices of a mapped file, which is what workers have, are told apart like bytes."""
    descriptor = os.memfd_create("test")
    os.write(descriptor, b"same same more")
    view = memoryview(mmap.mmap(descriptor, 14, prot=mmap.PROT_READ))
    os.close(descriptor)

    assert [bytes(piece.data) for piece in distinct([Piece("1", view[:4]), Piece("2", view[5:9]), Piece("3", view[10:])])] == [
        b"same",
        b"more",
    ]


def test_the_limit_itself_still_fits():
    """A piece of exactly the limit is looked at."""
    fit, large = within([Piece("1", b"x" * 10), Piece("2", b"x" * 11)], 10)

    assert ([piece.path for piece in fit], [piece.path for piece in large]) == (["1"], ["2"])
