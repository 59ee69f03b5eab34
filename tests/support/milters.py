"""Milters of others in the relay's row, as real daemons: OpenDKIM with its generated configuration, and SpamAssassin's milter."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatepost.relay import dkim_key
from gatepost.relay.intent import intent
from gatepost.relay.opendkim import opendkim
from gatepost.site.base import parse_endpoint
from gatepost.site.model import Site
from tests.support.ports import answers, wait_for


def make_key(path: Path) -> str:
    """Make a DKIM key that OpenDKIM may read; gives the value of its DNS record."""
    if shutil.which("opendkim") is None:
        pytest.skip("needs Debian's package opendkim")
    private = dkim_key.make()
    path.write_bytes(private)
    user = pwd.getpwnam("opendkim")
    os.chown(path, user.pw_uid, user.pw_gid)
    path.chmod(0o600)
    return dkim_key.public(private)


def dns(records: dict[str, str]) -> Callable[..., bytes | None]:
    """Answers dkimpy's questions for keys."""
    return lambda name, timeout=0: records[name.decode().rstrip(".")].encode() if name.decode().rstrip(".") in records else None


@contextmanager
def running_opendkim(site: Site, folder: Path) -> Iterator[None]:
    """OpenDKIM of this site; only its process number is kept elsewhere."""
    for one in opendkim(intent(site), folder):
        one.path.parent.mkdir(parents=True, exist_ok=True)
        text = one.content.decode()
        one.path.write_text(re.sub(r"PidFile .*", f"PidFile {folder}/pid", text))
    shutil.chown(folder, "opendkim")
    port = parse_endpoint(site.relay.dkim.socket).port
    with _daemon("opendkim", "-f", "-x", str(folder / "opendkim.conf"), ready=lambda: answers(port), log=folder / "log"):
        yield


@contextmanager
def running_spamass_milter(socket: Path, spamd: str) -> Iterator[None]:
    """SpamAssassin's milter in front of a running spamd."""
    asks = ("-U", spamd.removeprefix("unix:"))
    with _daemon("spamass-milter", "-p", str(socket), "--", *asks, ready=socket.exists, log=socket.with_suffix(".log")):
        socket.chmod(0o666)
        yield


@contextmanager
def _daemon(program: str, *arguments: str, ready: Callable[[], bool], log: Path) -> Iterator[None]:
    if shutil.which(program) is None:
        pytest.skip(f"needs Debian's package {program}")
    with log.open("wb") as out:
        process = subprocess.Popen([program, *arguments], stdout=out, stderr=out)
    try:
        wait_for(lambda: ready() or process.poll() is not None, f"{program} to listen")
        assert process.poll() is None, log.read_text()
        yield
    finally:
        process.kill()  # asked kindly, both wait ten seconds for connections
        process.wait()
