"""Macros go out of a document with everything that names them, or nothing is touched."""

from __future__ import annotations

import io
import time
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.documents import package, with_macros

from gatepost.mail.act.macros import Stripped, strip_macros
from gatepost.mail.model import Budget, BudgetError, Limits

MACRO = b"the project, whatever it does"


def budget(**limits: int) -> Budget:
    return Budget(Limits(**limits), time.process_time, time.monotonic)


def strip(document: bytes) -> Stripped | None:
    return strip_macros(document, budget())


def members(document: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(document)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    ("kind", "plain", "folder"), [("docm", "docx", "word"), ("xlsm", "xlsx", "xl"), ("pptm", "pptx", "ppt")], ids=["docm", "xlsm", "pptm"]
)
def test_what_is_left_is_a_document_of_the_kind_without_macros(kind: str, plain: str, folder: str) -> None:
    stripped = strip(with_macros(kind, MACRO))
    assert stripped
    left = members(stripped.content)

    assert stripped.kind.extension == plain
    assert not [name for name in left if "vba" in name.lower()]
    assert b"vba" not in b"".join(left.values()).lower()
    assert b"macroEnabled" not in left["[Content_Types].xml"]
    assert stripped.kind.plain.encode() in left["[Content_Types].xml"]
    assert left[f"{folder}/styles.xml"] == b"<styles/>"
    assert b"styles.xml" in b"".join(content for name, content in left.items() if name.endswith(".rels"))


def test_a_project_under_another_name_is_found_by_what_points_to_it() -> None:
    """Office follows the relationship, not the name."""
    given_ = members(with_macros("docm", MACRO))
    renamed = {name.replace("vbaProject.bin", "pictures.bin"): content for name, content in given_.items()}
    renamed["word/_rels/document.xml.rels"] = renamed["word/_rels/document.xml.rels"].replace(b"vbaProject.bin", b"pictures.bin")

    stripped = strip(package(renamed))

    assert stripped
    assert MACRO not in members(stripped.content).values()


@pytest.mark.parametrize(
    "extra",
    [
        {"xl/macrosheets/sheet1.xml": b"<macrosheet/>"},
        {"word/printer.bin": b"a part whose only type was that of macros"},
        {"[Content_Types].xml": b"<Types>cut short"},
        {"word/_rels/document.xml.rels": b'<!DOCTYPE x [<!ENTITY y "vba">]><Relationships/>'},
        {"WORD/VBAPROJECT.BIN": b"twice, for who does not tell case"},
    ],
    ids=["Excel 4 macros", "part without a type", "broken types", "entities", "same name twice"],
)
def test_a_package_with_anything_odd_is_left_to_be_replaced_whole(extra: dict[str, bytes]) -> None:
    assert strip(with_macros("docm", MACRO, extra)) is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"MZ" + bytes(100), package({"a.txt": b"no document"})])
def test_what_is_no_document_with_macros_is_left_alone(content: bytes) -> None:
    assert strip(content) is None


def test_a_document_that_unpacks_to_more_than_the_budget_is_not_unpacked() -> None:
    with pytest.raises(BudgetError):
        strip_macros(with_macros("docm", MACRO, {"word/large.xml": bytes(1 << 20)}), budget(bytes=1 << 19))


@given(st.data())
def test_no_broken_document_raises(data: st.DataObject) -> None:
    """Whatever bytes are changed, the answer is a package that can be read, or None."""
    document = bytearray(with_macros("docm", MACRO))
    for at in data.draw(st.lists(st.integers(0, len(document) - 1), max_size=4)):
        document[at] ^= data.draw(st.integers(1, 255))
    stripped = strip(bytes(document))
    if stripped:
        assert not [name for name in members(stripped.content) if "vbaproject" in name.lower()]
