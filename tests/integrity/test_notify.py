"""Reports reach people: all of them each night, and those of a rule the people whom the rule names."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Mapping

import pytest
from aiosmtpd.controller import Controller

from gatepost.integrity import notify
from gatepost.integrity.report import Report
from gatepost.site.integrity import Integrity, Rule
from tests.integrity.conftest import Host


class Sink:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append((envelope.rcpt_tos, envelope.content.decode()))  # type: ignore[attr-defined]
        return "250 OK"


@pytest.fixture
def report(host: Host) -> Report:
    rules = (
        Rule(name="Programs", paths=("/bin",), mail=("ops@example.org",), severity=100),
        Rule(name="Rest", paths=("/motd",), severity=10),
    )
    host.section = Integrity(rules=rules, canary="/bin/canary")
    host.init()
    (host.tree / "bin/tool").write_bytes(b"evil")
    (host.tree / "motd").write_bytes(b"hello")
    return host.check()


def test_findings_are_ordered_by_severity(report: Report) -> None:
    assert [(f.path, f.severity) for f in report.findings] == [("/bin/tool", 100), ("/motd", 10)]


def test_each_address_gets_what_its_rules_found(report: Report) -> None:
    everybody, ops = notify.mails(report, "d" * 64, "gatepost@example.org", ("boss@example.org",))

    assert everybody["To"] == "boss@example.org"
    assert "2 UNEXPLAINED CHANGES" in everybody["Subject"]
    assert "/motd" in everybody.get_body(("plain",)).get_content()
    assert ops["To"] == "ops@example.org"
    assert "/motd" not in ops.get_body(("plain",)).get_content()
    assert "d" * 64 in everybody["X-Gatepost-Report"]


def test_all_well_is_mailed_too(host: Host) -> None:
    host.init()
    (mail,) = notify.mails(host.check(), "", "", ("boss@example.org",))

    assert "[integrity ok] host: ALL WELL" in mail["Subject"]
    assert "canary    seen" in mail.get_body(("plain",)).get_content()


def test_mail_arrives(report: Report) -> None:
    sink = Sink()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = Controller(sink, hostname="127.0.0.1", port=port)
    controller.start()
    try:
        assert notify.send(notify.mails(report, "", "gatepost@example.org", ("boss@example.org",)), f"127.0.0.1:{port}") == 2
    finally:
        controller.stop()

    assert [to for to, _ in sink.mails] == [["boss@example.org"], ["ops@example.org"]]


def test_a_dead_mail_server_is_an_error(report: Report) -> None:
    with pytest.raises((OSError, smtplib.SMTPException)):
        notify.send(notify.mails(report, "", "", ("boss@example.org",)), "127.0.0.1:1")


def test_events_tell_the_report_and_each_finding(report: Report) -> None:
    told: list[tuple[str, str, Mapping[str, object]]] = []
    notify.events(report, lambda *event: told.append(event))

    assert [(kind, subject) for kind, subject, _ in told] == [
        ("integrity.report", "host"),
        ("integrity.finding", "/bin/tool"),
        ("integrity.finding", "/motd"),
    ]
    assert told[0][2]["canary"] == "alive"
