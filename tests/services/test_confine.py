"""Each denial of the jail, tried from inside the scan worker itself by an engine that does bad deeds and reports; programs that unpack still work there."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from tests.support.eicar import EICAR
from tests.support.evasive.craft import archived, attached

from gatepost.mail.inspect import registry
from gatepost.mail.inspect.engine import Engine, EngineInfo
from gatepost.mail.model import Direction, Envelope, Finding, Kind, Message, Verdict
from gatepost.mail.receive.spool import Spool
from gatepost.services import confine
from gatepost.services.scanners import Scanners
from gatepost.site.mail import Engine as EngineChoice
from gatepost.site.model import Site
from gatepost.system import children
from gatepost.system.jail import landlock_version

STRANGER = Envelope("", ())
SECRET = "secret"

pytestmark = pytest.mark.skipif(landlock_version() < 6, reason="this kernel's Landlock is older than the tests expect (ABI 6)")


def deeds(outside: Path) -> dict[str, Callable[[], object]]:
    return {
        "reads another mail": (outside / SECRET).read_text,
        "lists a folder": lambda: list(outside.iterdir()),
        "writes": lambda: (outside / "new").write_text("x"),
        "deletes": (outside / SECRET).unlink,
        "opens a network socket": lambda: socket.socket(socket.AF_INET),
        "opens an IPv6 socket": lambda: socket.socket(socket.AF_INET6),
        "reads the passwords": lambda: Path("/etc/passwd").read_text(),
        "signals its parent": lambda: os.kill(os.getppid(), 0),
        "looks into its parent": lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes(),
    }


class Villain:
    """An engine whose findings name the deeds that were possible."""

    local = True
    name = "villain"

    def __init__(self, outside: Path) -> None:
        self._outside = outside

    def info(self) -> EngineInfo:
        return EngineInfo("1")

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        return tuple(Finding(Kind.SUSPECT, name) for name, deed in deeds(self._outside).items() if possible(deed))


def possible(deed: Callable[[], object]) -> bool:
    try:
        deed()
    except OSError:
        return False
    return True


def scanned(site: Site, folder: Path, raw: bytes) -> Verdict:
    """What one confined worker says of one mail."""

    async def ask() -> Verdict:
        scanners = Scanners(folder / "scan.sock")
        scanners.listen()
        pid = os.fork()
        if not pid:
            try:
                confine.worker(site, folder / "scan.sock", folder / "scratch")
            finally:
                os._exit(0)
        try:
            with Spool() as spool:
                spool.write(raw)
                return await scanners.scan(STRANGER, spool, frozenset({Direction.INBOUND}))
        finally:
            scanners.close()
            os.waitpid(pid, 0)

    return asyncio.run(ask())


@pytest.fixture
def site() -> Site:
    return Site.model_validate({"site": {"name": "test"}, "mail": {"domains": ["example.org"], "next_hop": "127.0.0.1"}})


def test_an_engine_in_a_worker_can_do_no_harm(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / SECRET).write_text("x")
    assert [name for name, deed in deeds(outside).items() if name != "deletes" and not possible(deed)] == []
    make = registry.make

    def with_villain(kind: str, name: str = "", options: Mapping[str, object] | None = None) -> Engine:
        return Villain(outside) if kind == "villain" else make(kind, name, options)

    monkeypatch.setattr(registry, "make", with_villain)
    with_it = site.model_copy(update={"engines": site.engines | {"villain": EngineChoice.model_validate({})}})

    verdict = scanned(with_it, tmp_path, attached(b"hello"))

    assert verdict.findings == ()
    assert "villain" in {report.name for report in verdict.engines}
    assert (outside / SECRET).exists()


@pytest.mark.skipif(shutil.which("7z") is None, reason="needs 7z (Debian package 7zip or p7zip-full)")
def test_programs_that_unpack_work_in_the_jail(site: Site, tmp_path: Path) -> None:
    children.run(["true"], children.Bounds())  # what was found out before the fork must not count in the jail
    disk = archived("iso9660", ("data.bin", b"x" * 3000 + EICAR)) + bytes(512)
    partition = bytes(446) + bytes((0, 0, 2, 0, 0x0B, 0, 9, 0)) + (1).to_bytes(4, "little") + (len(disk) // 512).to_bytes(4, "little")

    verdict = scanned(site, tmp_path, attached(partition.ljust(510, b"\0") + b"\x55\xaa" + disk, "disk.img"))

    assert not [finding for finding in verdict.findings if finding.name.startswith("program-")]
    assert any("!" in part.path for part in verdict.parts)


def udf(folder: Path, file: Path) -> list[str]:
    """A disk whose file stands in the UDF tree alone."""
    return ["genisoimage", "-quiet", "-udf", "-hide", "data.bin", "-o", str(folder / "packed"), str(file)]


PACKERS: dict[str, Callable[[Path, Path], list[str]]] = {
    "arj": lambda folder, file: ["arj", "a", "-e", "-y", str(folder / "packed.arj"), str(file)],
    "lzop": lambda folder, file: ["lzop", "-q", "-o", str(folder / "packed"), str(file)],
    "genisoimage": udf,
}


@pytest.mark.skipif(shutil.which("7z") is None, reason="needs 7z (Debian package 7zip or p7zip-full)")
@pytest.mark.parametrize("program", PACKERS)
def test_what_only_programs_open_is_opened_in_the_jail(program: str, site: Site, tmp_path: Path) -> None:
    """ARJ and UDF by 7-Zip, LZO by lzop."""
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    file = tmp_path / "data.bin"
    file.write_bytes(os.urandom(3000) + EICAR)
    subprocess.run(PACKERS[program](tmp_path, file), check=True, capture_output=True)
    (packed,) = tmp_path.glob("packed*")

    verdict = scanned(site, tmp_path, attached(packed.read_bytes(), "a.bin"))

    assert Kind.VIRUS in {finding.kind for finding in verdict.findings}
    assert not [finding for finding in verdict.findings if finding.name.startswith("program-")]
    assert any("!" in part.path for part in verdict.parts)
