"""Evidence: it verifies with the right key only, and every change shows."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatepost.integrity.sign import make_key
from gatepost.report import bundle
from gatepost.report.bundle import MANIFEST, SIGNATURE, BundleError

FILES = {"site.toml": b"[site]\n", "reports/one.txt": b"all well\n"}


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return make_key(tmp_path_factory.mktemp("keys") / "a.key")


@pytest.fixture(scope="module")
def packed(signer) -> bytes:
    return bundle.packed("Widget", "2026-11", "2026-12-01", {"number": "7", "hash": "ab"}, FILES, signer)


def changed(content: bytes, **members: bytes | None) -> bytes:
    """The bundle with members replaced, added or (None) left out."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(target, "w") as new:
        found = {name: old.read(name) for name in old.namelist()} | members
        for name, data in found.items():
            if data is not None:
                new.writestr(name, data)
    return target.getvalue()


def test_a_bundle_verifies_with_its_key_and_names_the_journals_newest_link(packed, signer) -> None:
    found = bundle.verify(packed, signer.public)

    assert found.problems == ()
    assert found.manifest.journal == {"number": "7", "hash": "ab"}
    assert {one.name for one in found.manifest.files} == set(FILES)


def test_the_same_evidence_gives_the_same_bytes(packed, signer) -> None:
    assert packed == bundle.packed("Widget", "2026-11", "2026-12-01", {"number": "7", "hash": "ab"}, FILES, signer)


def test_another_key_does_not_verify_it(packed, tmp_path) -> None:
    other = make_key(tmp_path / "b.key").public

    assert "not of this key" in bundle.verify(packed, other).problems[0]


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"site.toml": b"[site]\n "}, "site.toml was changed"),
        ({"site.toml": None}, "site.toml is missing"),
        ({"more.txt": b""}, "more.txt was added"),
        ({SIGNATURE: b"00" * 64}, "signature"),
    ],
)
def test_every_change_shows(packed, signer, members, problem: str) -> None:
    assert any(problem in one for one in bundle.verify(changed(packed, **members), signer.public).problems)


def test_a_list_of_files_that_was_made_to_fit_is_not_signed(packed, signer) -> None:
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        forged = archive.read(MANIFEST).replace(b"Widget", b"Gadget")

    assert bundle.verify(changed(packed, **{MANIFEST: forged}), signer.public).problems


@pytest.mark.parametrize("members", [{MANIFEST: None}, {SIGNATURE: None}, {MANIFEST: b"{"}, {SIGNATURE: b"xyz"}])
def test_what_is_no_bundle_is_an_error(packed, signer, members) -> None:
    with pytest.raises(BundleError):
        bundle.verify(changed(packed, **members), signer.public)


@settings(max_examples=150)
@given(st.data())
def test_a_bundle_that_was_damaged_anywhere_never_passes_as_whole(packed, signer, data) -> None:
    place = data.draw(st.integers(0, len(packed) - 1))
    damaged = bytearray(packed)
    damaged[place] ^= data.draw(st.integers(1, 255))
    for content in (bytes(damaged), packed[:place]):
        try:
            found = bundle.verify(content, signer.public)
        except BundleError:
            continue
        assert found.problems or {one.name: one.sha256 for one in found.manifest.files} == {
            one.name: one.sha256 for one in bundle.verify(packed, signer.public).manifest.files
        }
