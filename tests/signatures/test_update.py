"""A set of signatures is taken over whole and proved, or not at all; the one in use is always a whole one."""

from __future__ import annotations

import base64
import hashlib
import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import ValidationError

from gatepost.services.trials import trial
from gatepost.signatures.manifest import RefusedError
from gatepost.signatures.store import KEPT, Store, Stored
from gatepost.signatures.update import age, update
from gatepost.site.model import Site
from gatepost.site.signatures import SignatureSet

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = base64.b64encode(KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
SITE = Site.model_validate({"site": {"name": "x"}, "mail": {"domains": ["widget.example"], "next_hop": "mail.widget.example:25"}})


def rules(version: int) -> bytes:
    return "".join(f'rule r{n} {{ strings: $a = "marker {version} {n}" condition: $a }}\n' for n in range(20)).encode()


def publish(folder: Path, version: int, files: dict[str, bytes] | None = None) -> dict[str, bytes]:
    """Put a signed set into a folder, as its maker does."""
    files = {"own.yar": rules(version)} if files is None else files
    folder.mkdir(exist_ok=True)
    lines = [f"# version {version}", "# made 1790000000", *(f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in files.items())]
    sums = ("\n".join(lines) + "\n").encode()
    for name, data in (files | {"SHA256SUMS": sums, "SHA256SUMS.sig": base64.b64encode(KEY.sign(sums))}).items():
        (folder / name).write_bytes(data)
    return files


@pytest.fixture
def source(tmp_path: Path) -> SignatureSet:
    publish(tmp_path / "source", 1)
    return SignatureSet(kind="yara", source=str(tmp_path / "source"), key=PUBLIC)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "state/own")


def no_trial(_folder: Path) -> str:
    return ""


def content(store: Store) -> bytes:
    return (store.current_path / "own.yar").read_bytes()


def test_a_good_set_is_taken_and_taken_once(store: Store, source: SignatureSet) -> None:
    taken = update(store, source, trial(SITE, "yara"))

    assert taken is not None
    assert (taken.version, taken.made) == (1, 1_790_000_000.0)
    assert content(store) == rules(1)
    assert update(store, source, no_trial) is None
    assert age(taken, 1_790_000_100.0) == 100


def test_a_file_cut_off_at_any_64th_byte_is_refused_and_the_old_set_stays(store: Store, source: SignatureSet) -> None:
    update(store, source, no_trial)
    whole = publish(Path(source.source), 2)["own.yar"]

    for end in range(0, len(whole), 64):
        (Path(source.source) / "own.yar").write_bytes(whole[:end])
        with pytest.raises(RefusedError, match="damaged or cut off"):
            update(store, source, no_trial)

    assert content(store) == rules(1)


@pytest.mark.parametrize("name", ["SHA256SUMS", "SHA256SUMS.sig"])
def test_a_manifest_cut_off_or_changed_anywhere_is_refused(name: str, store: Store, source: SignatureSet) -> None:
    path = Path(source.source) / name
    whole = path.read_bytes()

    for at in range(len(whole)):
        for spoilt in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            path.write_bytes(spoilt)
            with pytest.raises(RefusedError):
                update(store, source, no_trial)

    assert store.current() is None


def test_without_a_key_a_set_in_a_folder_is_still_whole_or_refused(store: Store, source: SignatureSet) -> None:
    unsigned = source.model_copy(update={"key": ""})
    (Path(source.source) / "own.yar").write_bytes(b"rule x { condition: true }")

    with pytest.raises(RefusedError, match="damaged or cut off"):
        update(store, unsigned, no_trial)


def test_an_older_set_is_refused(store: Store, source: SignatureSet) -> None:
    publish(Path(source.source), 5)
    update(store, source, no_trial)
    publish(Path(source.source), 4)

    with pytest.raises(RefusedError, match="version 4 is older than version 5"):
        update(store, source, no_trial)


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "names 0 files"),
        ({"own.yar": b""}, "the set is empty"),
        ({"own.yar": b"rule a { condition: false }"}, "has shrunk"),
        ({"../own.yar": b"x"}, "a line that cannot be"),
        ({"sub/own.yar": b"x"}, "a line that cannot be"),
    ],
)
def test_a_set_that_is_empty_or_has_shrunk_or_leaves_its_folder_is_refused(
    files: dict[str, bytes], why: str, store: Store, source: SignatureSet
) -> None:
    update(store, source, no_trial)
    (Path(source.source) / "sub").mkdir()
    publish(Path(source.source), 2, files)

    with pytest.raises(RefusedError, match=why):
        update(store, source, no_trial)
    assert content(store) == rules(1)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (b"rule everything { condition: true }", "too broad"),
        (b'rule letters { strings: $a = "Dear Bob" condition: $a }', "too broad, and calls harmless mail bad: letter "),
        (b"rule broken { condition: nonsense }", "it cannot be used: .*unknown identifier"),
    ],
)
def test_rules_that_are_too_broad_or_broken_fail_their_trial(rule: bytes, why: str, store: Store, source: SignatureSet) -> None:
    update(store, source, no_trial)
    publish(Path(source.source), 2, {"own.yar": rules(2) + rule})

    with pytest.raises(RefusedError, match=why):
        update(store, source, trial(SITE, "yara"))
    assert content(store) == rules(1)


def test_a_list_of_digests_with_that_of_a_blank_line_is_too_broad(tmp_path: Path, store: Store) -> None:
    bad = (hashlib.sha256(b"\r\n").hexdigest() + " Everything\n").encode()
    publish(tmp_path / "hashes", 1, {"bad.txt": hashlib.sha256(b"known bad").hexdigest().encode() + b" Bad\n"})
    hashes = SignatureSet(kind="hashes", source=str(tmp_path / "hashes"), key=PUBLIC)
    assert update(store, hashes, trial(SITE, "hashes")) is not None
    publish(tmp_path / "hashes", 2, {"bad.txt": bad})

    with pytest.raises(RefusedError, match="too broad, and calls harmless mail bad: letter-with-blank-line"):
        update(store, hashes, trial(SITE, "hashes"))


def test_three_old_sets_are_kept_and_a_withdrawn_one_does_not_come_again(store: Store, source: SignatureSet) -> None:
    for version in range(1, 7):
        publish(Path(source.source), version)
        update(store, source, no_trial)
    assert [one.version for one in store.sets()] == [6, 5, 4, 3]
    assert len(store.sets()) == KEPT + 1

    assert store.rollback().version == 5

    assert content(store) == rules(5)
    with pytest.raises(RefusedError, match="version 6 was withdrawn"):
        update(store, source, no_trial)
    publish(Path(source.source), 7)
    assert isinstance(update(store, source, no_trial), Stored)
    assert store.rollback().version == 5
    assert [store.rollback().version, store.rollback().version] == [4, 3]
    with pytest.raises(RefusedError, match="no older set"):
        store.rollback()


def test_killed_before_the_last_step_the_old_set_is_in_use_and_the_next_update_finishes(store: Store, source: SignatureSet) -> None:
    update(store, source, no_trial)
    old = store.current_path.readlink()
    publish(Path(source.source), 2)
    update(store, source, no_trial)
    store.current_path.unlink()
    store.current_path.symlink_to(old)  # what a power cut before the renaming of the link leaves
    (store.folder / "new-left").mkdir()

    assert content(store) == rules(1)
    taken = update(store, source, no_trial)

    assert taken is not None
    assert taken.version == 2
    assert content(store) == rules(2)
    assert list(store.folder.glob("new-*")) == []


def test_at_every_moment_of_an_update_whoever_looks_sees_a_whole_set(store: Store, source: SignatureSet) -> None:
    """A reader that opens the folder again and again while sets change."""
    update(store, source, no_trial)
    stop = threading.Event()
    seen: set[bytes] = set()

    def look() -> None:
        while not stop.is_set():
            seen.add(content(store))

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for version in range(2, 12):
            publish(Path(source.source), version)
            update(store, source, no_trial)
    finally:
        stop.set()
        reader.join()

    assert seen <= {rules(version) for version in range(1, 12)}
    assert content(store) == rules(11)


@pytest.fixture
def url(source: SignatureSet) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=source.source))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_set_comes_from_a_url_when_it_is_proved(url: str, store: Store, source: SignatureSet) -> None:
    pin = hashlib.sha256((Path(source.source) / "SHA256SUMS").read_bytes()).hexdigest()
    assert update(store, SignatureSet(kind="yara", source=url, key=PUBLIC, pin=pin), no_trial) is not None

    publish(Path(source.source), 2)
    with pytest.raises(RefusedError, match="not the one that the site file pins"):
        update(store, SignatureSet(kind="yara", source=url, pin=pin), no_trial)
    with pytest.raises(RefusedError, match="larger than the site file allows"):
        update(store, SignatureSet(kind="yara", source=url, key=PUBLIC, size=10), no_trial)
    with pytest.raises(RefusedError, match="cannot be fetched"):
        update(store, SignatureSet(kind="yara", source=url + "/nothing", key=PUBLIC), no_trial)


def test_a_url_without_key_or_pin_is_no_source() -> None:
    with pytest.raises(ValidationError, match="give the key that signs it, or a pin"):
        SignatureSet(kind="yara", source="https://rules.example/set")


def cvd(version: int, body: bytes) -> bytes:
    head = f"ClamAV-VDB:21 Sep 2026 07-10 +0000:{version}:1:90:{hashlib.md5(body).hexdigest()}:x:builder:1"
    return head.encode().ljust(512) + body


def test_clamav_databases_prove_themselves(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "clamav"
    folder.mkdir()
    databases = SignatureSet(kind="clamav", source=str(folder))
    with pytest.raises(RefusedError, match="neither SHA256SUMS nor a ClamAV database"):
        update(store, databases, no_trial)
    (folder / "daily.cvd").write_bytes(cvd(100, b"signatures" * 50))
    taken = update(store, databases, no_trial)
    assert taken is not None
    assert (taken.version, taken.made) == (100, 1_789_974_600.0)

    whole = cvd(101, b"signatures" * 51)
    for end in range(0, len(whole), 64):
        (folder / "daily.cvd").write_bytes(whole[:end])
        with pytest.raises(RefusedError, match="cut off"):
            update(store, databases, no_trial)
    (folder / "daily.cvd").write_bytes(cvd(99, b"signatures" * 50))
    with pytest.raises(RefusedError, match="older"):
        update(store, databases, no_trial)
