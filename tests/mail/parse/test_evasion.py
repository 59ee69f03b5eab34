"""The evasion suite: every hidden payload is in some part, and no ordinary mail is held."""

from __future__ import annotations

import importlib
import re
import sys
import zlib

import pytest

from tests.mail.parse.build import EICAR, reading

FAMILIES = ("cte", "content_type", "boundary", "structure", "base64_body", "qp_body", "legacy", "odd_bytes")


def cases(shared, family):
    sys.path.insert(0, str(shared))
    try:
        return importlib.import_module(f"evasion.families.{family}").cases()
    finally:
        sys.path.remove(str(shared))


def holds(data: bytes) -> bool:
    """Is the payload here, as it stands, deflated in a ZIP, or in a gzip stream?"""
    if EICAR in data:
        return True
    starts = [match.start() + 30 + match[1][0] for match in re.finditer(rb"PK\x03\x04[\s\S]{22}([\s\S])\x00\x00\x00", data)]
    streams = [(zlib.decompressobj(-15), data[start:]) for start in starts]
    streams += [(zlib.decompressobj(31), data)] if data.startswith(b"\x1f\x8b") else []
    for unpacker, packed in streams:
        try:
            if holds(unpacker.decompress(packed, 1 << 20)):
                return True
        except zlib.error:
            continue
    return False


@pytest.mark.parametrize("family", FAMILIES)
def test_every_hidden_payload_is_in_a_part(shared, family):
    missed = [
        case.name
        for case in cases(shared, family)
        if case.expected != "clean" and not any(holds(bytes(part.data)) for part in reading(case.raw).parts)
    ]

    assert missed == []


def test_every_fragment_is_held(shared):
    assert [case.name for case in cases(shared, "fragments") if not reading(case.raw).findings] == []


def test_no_ordinary_mail_is_held(shared):
    assert [(case.name, found) for case in cases(shared, "benign") if (found := reading(case.raw).findings)] == []


def test_every_program_name_is_among_the_names(shared):
    program = re.compile(r"\.(vbs|scr|js|hta|lnk|ps1|cmd|wsf|cpl|jar|msi|settingcontent-ms|\{[0-9a-f-]+\})$", re.IGNORECASE)
    wanted = [case for case in cases(shared, "filenames") if "-zip-" not in case.name and "mz-as" not in case.name]

    assert [case.name for case in wanted if not any(program.search(name) for part in reading(case.raw).parts for name in part.names)] == []
