"""OpenDKIM's configuration from the site, the key and its DNS record."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatepost.relay import dkim_key
from gatepost.relay.intent import intent
from gatepost.relay.opendkim import opendkim
from gatepost.system.artifact import Artifact
from gatepost.system.staging import check, stage
from tests.relay.sites import FULL, demo
from tests.support.commandline import gatepost

GOLDEN = Path(__file__).parent / "golden"


def made() -> tuple[Artifact, ...]:
    return opendkim(intent(demo(FULL)))


def test_a_site_compiles_to_the_golden_files() -> None:
    texts = {one.path.name: one.content.decode() for one in made()}
    if os.environ.get("GATEPOST_WRITE_GOLDEN"):
        for name, text in texts.items():
            (GOLDEN / f"opendkim.{name}").write_text(text)

    assert texts == {path.name.removeprefix("opendkim."): path.read_text() for path in GOLDEN.glob("opendkim.*")}


def test_opendkim_takes_the_files_and_says_what_it_does_not_take(tmp_path: Path) -> None:
    if shutil.which("opendkim") is None:
        pytest.skip("needs Debian's package opendkim")
    files = made()
    stage(files, tmp_path)
    (activation,) = {one.activation for one in files}
    assert activation is not None
    assert check(activation, tmp_path) == []

    conf = tmp_path / "etc/opendkim.conf"
    conf.write_text(conf.read_text().replace("Mode s", "Mood s"))
    assert "unrecognized parameter" in check(activation, tmp_path)[0]


def test_a_site_without_a_selector_has_no_signer() -> None:
    assert opendkim(intent(demo())) == ()


def test_a_key_signs_what_its_record_verifies() -> None:
    private = dkim_key.make()
    record = dkim_key.record("gp1", "widget.example", dkim_key.public(private))
    strings = re.findall(r'"([^"]*)"', record)
    mail = b"From: bob@widget.example\r\nSubject: x\r\n\r\nhello\r\n"

    signed = dkim.sign(mail, b"gp1", b"widget.example", private) + mail

    assert dkim.verify(signed, dnsfunc=lambda name, timeout=0: "".join(strings).encode())
    assert record.startswith("gp1._domainkey.widget.example. IN TXT ( ")
    assert max(map(len, strings)) <= 255


@pytest.mark.parametrize("content", [b"", b"no key", b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"])
def test_what_is_no_key_is_refused(content: bytes) -> None:
    with pytest.raises(dkim_key.DkimKeyError, match="PEM"):
        dkim_key.public(content)


def test_a_key_of_another_kind_is_refused() -> None:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    with pytest.raises(dkim_key.DkimKeyError, match="RSA"):
        dkim_key.public(Ed25519PrivateKey.generate().private_bytes(*form))


def test_the_command_makes_the_key_once_and_prints_a_record_for_each_domain(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(SITE)
    arguments = ("relay", "dkim-key", "--site", str(site), "--output", str(tmp_path / "keys/gp1.private"))

    first = gatepost(*arguments)
    key = (tmp_path / "keys/gp1.private").read_bytes()
    again = gatepost(*arguments)

    assert first.status == again.status == 0
    assert [line.split(" IN ")[0] for line in first.output.splitlines()] == [
        "gp1._domainkey.widget.example.",
        "gp1._domainkey.widget.test.",
    ]
    assert first.output == again.output
    assert "made" in first.errors
    assert again.errors == ""
    assert (tmp_path / "keys/gp1.private").read_bytes() == key
    assert (tmp_path / "keys/gp1.private").stat().st_mode & 0o777 == 0o600


SITE = """
[site]
name = "W"
[mail]
domains = ["widget.example", "widget.test"]
next_hop = "192.168.3.45:25"
[relay.dkim]
selector = "gp1"
"""


def test_without_a_selector_the_command_says_what_to_write(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(SITE.partition("[relay.dkim]")[0])

    result = gatepost("relay", "dkim-key", "--site", str(site))

    assert result.status == 2
    assert "[relay.dkim]" in result.errors


def test_the_check_names_a_missing_key_and_the_command_that_makes_it(tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(SITE + f'key = "{tmp_path}/gp1.private"\n[mail.milter]\nlisten = "unix:/run/gatepost/milter.sock"\n')

    before = gatepost("relay", "check", "--site", str(site))
    gatepost("relay", "dkim-key", "--site", str(site))
    after = gatepost("relay", "check", "--site", str(site))

    assert before.status == 1
    assert f"{tmp_path}/gp1.private is missing" in before.output
    assert "gatepost relay dkim-key" in before.output
    assert "is missing" not in after.output
