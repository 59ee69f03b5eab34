"""The developers' evasion suite, detection set and corpus through real scan workers with a real clamd: all stopped that must be, nothing else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from gatepost.mail.decide.policy import Context, decide
from gatepost.mail.model import Direction, Disposition, Kind, Verdict
from gatepost.services.batch import scan_all
from gatepost.site.mail import Engine
from gatepost.site.model import Site
from tests.support.clamd import running_clamd

GOLDEN = Path(__file__).with_name("held.golden")
FAMILIES = (
    "archives", "base64", "benign", pytest.param("bombs", marks=pytest.mark.slow), "boundary", "content-type", "cte", "documents", "encrypted", "filenames", "fragments", "legacy",
    "odd-bytes", "quoted-printable", "structure", "zip",
)  # fmt: skip
PROGRAM = Path("/usr/share/clamav-testfiles/clam.exe")
REAL = ("spamassassin-",)
FIXTURES_HELD = 0.02

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The default site with ClamAV, which knows the test file, the marker and ClamAV's harmless test program."""
    home = tmp_path_factory.mktemp("clamd")
    (home / "db").mkdir()
    if PROGRAM.exists():
        (home / "db" / "program.ndb").write_text(f"Test.Program:0:*:{PROGRAM.read_bytes()[0x40:0x80].hex()}\n")
    with running_clamd(home=home) as clamd:
        plain = Site.model_validate({"site": {"name": "test"}, "mail": {"domains": ["example.org"], "next_hop": "127.0.0.1"}})
        engine = Engine.model_validate({"socket": clamd.address})
        yield plain.model_copy(update={"engines": plain.engines | {"clamav": engine}})


def verdicts(site: Site, paths: Iterable[Path]) -> dict[Path, Verdict]:
    """What the workers say of each file."""
    found: dict[Path, Verdict] = {}
    scan_all(site, ((str(path), path.read_bytes()) for path in paths), lambda name, _size, verdict: found.update({Path(name): verdict}))
    return found


def passes(site: Site, verdict: Verdict) -> bool:
    return decide(verdict.findings, Context("", Direction.INBOUND), site.policy).disposition is Disposition.DELIVER


@pytest.fixture(scope="module")
def suite(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evasion")
    _run([sys.executable, "-m", "evasion.generate", str(folder)], shared)
    return folder


@pytest.fixture(scope="module")
def peers(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peers")
    _run([sys.executable, str(shared / "peers" / "mkcorpus.py"), str(folder)], folder)
    return folder


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})


@pytest.mark.parametrize("family", FAMILIES)
def test_every_case_of_the_suite_ends_as_it_must(family: str, suite: Path, site: Site) -> None:
    expected = {
        suite / case["file"]: case["expected"] for case in json.loads((suite / "manifest.json").read_text()) if case["family"] == family
    }
    assert expected

    found = verdicts(site, expected)

    assert sorted(path.name for path, end in expected.items() if passes(site, found[path]) != (end == "clean")) == []


@pytest.mark.slow
def test_every_infected_mail_of_the_detection_set_is_stopped(peers: Path, site: Site) -> None:
    found = verdicts(site, sorted((peers / "detect").iterdir()))

    assert len(found) >= 100
    assert sorted(path.name for path, verdict in found.items() if passes(site, verdict)) == []


@pytest.mark.slow
def test_their_harmless_twins_pass_but_for_the_piece_of_a_mail(peers: Path, site: Site) -> None:
    found = verdicts(site, sorted((peers / "clean").iterdir()))

    assert [path.name for path, verdict in found.items() if not passes(site, verdict)] == ["clean-enc-partial-1-of-2.eml"]


def corpus(shared: Path, *, real: bool) -> list[Path]:
    root = shared / "corpus"
    files = (path for path in root.rglob("*") if path.is_file() and path.name != "SOURCES.md")
    return sorted(path for path in files if path.relative_to(root).parts[0].startswith(REAL) == real)


def test_no_real_mail_is_held(shared: Path, site: Site) -> None:
    found = verdicts(site, corpus(shared, real=True))

    assert len(found) >= 1000
    assert {str(path.relative_to(shared)): verdict.findings for path, verdict in found.items() if not passes(site, verdict)} == {}


def test_hardly_any_fixture_of_other_parsers_is_held_and_each_for_a_reason_on_the_list(shared: Path, site: Site) -> None:
    found = verdicts(site, corpus(shared, real=False))
    held = {path.relative_to(shared / "corpus"): verdict for path, verdict in found.items() if not passes(site, verdict)}
    lines = [f"{path}: {', '.join(sorted({f'{finding.kind} {finding.name}' for finding in held[path].findings}))}" for path in sorted(held)]

    assert len(held) < FIXTURES_HELD * len(found)
    assert not any(finding.kind is Kind.VIRUS for path, verdict in held.items() if "eicar" not in str(path) for finding in verdict.findings)
    assert lines == GOLDEN.read_text(encoding="utf-8").splitlines()
