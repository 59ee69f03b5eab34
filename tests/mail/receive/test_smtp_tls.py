"""TLS on both sides of the SMTP server."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from tests.support.certificate import self_signed, server_side
from tests.support.nexthop import FaultyHop
from tests.support.sink import Sink
from tests.support.smtp_client import Client
from tests.support.smtp_rig import Judge, rig, run

from gatepost.mail.act.connection import Hop, Tls
from gatepost.mail.act.hop import SmtpHop
from gatepost.mail.receive.smtp_protocol import Features
from gatepost.mail.receive.smtp_server import SmtpServer, tls_context


def test_swaks_delivers_in_clear_and_with_starttls_to_a_real_next_hop(tmp_path: Path) -> None:
    """A real client and a real server (aiosmtpd) on the two sides."""
    if shutil.which("swaks") is None:
        pytest.skip("needs swaks")

    async def test() -> None:
        sink = await asyncio.to_thread(Sink)
        server = SmtpServer(Judge(), Features("gw"), next_hop=SmtpHop(Hop("127.0.0.1", sink.port)), tls=tls_context(*self_signed(tmp_path)))
        port = await server.listen("127.0.0.1", 0)
        for extra in ([], ["-tls"], ["-tls", "--pipeline"]):
            command = ["swaks", "--server", f"127.0.0.1:{port}", "--from", "a@b.c", "--to", "d@e.f,g@h.i", "--body", "..\n.\nbody", *extra]
            done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout
        await server.drain(1)
        await asyncio.to_thread(sink.stop)
        assert [delivered.recipients for delivered in sink.delivered] == [("d@e.f", "g@h.i")] * 3
        assert all(b"\r\n\r\n..\r\n.\r\nbody\r\n" in delivered.content for delivered in sink.delivered)
        assert b"with ESMTPS;" in sink.delivered[1].content

    run(test)


def test_a_command_slipped_in_behind_starttls_is_not_obeyed(tmp_path: Path) -> None:
    async def test() -> None:
        async with rig(tls=server_side(tmp_path)) as r, Client(r.port) as client:
            await client.answer()
            await client.say("EHLO x")
            client.write(b"STARTTLS\r\nRSET\r\n")
            assert (await client.answer()).startswith("521")
            assert await client.answer() == ""

    run(test)


def test_a_handshake_that_fails_ends_only_that_connection(tmp_path: Path) -> None:
    async def test() -> None:
        async with rig(tls=server_side(tmp_path)) as r:
            async with Client(r.port) as client:
                await client.answer()
                await client.say("EHLO x", "STARTTLS")
                client.write(b"this is no handshake\r\n")
                with pytest.raises((ConnectionError, AssertionError)):
                    assert (await client.answer()).startswith("250")
            async with Client(r.port) as client:
                assert (await client.send("d@e.f"))[-1].startswith("250")

    run(test)


@pytest.mark.parametrize(
    ("policy", "offered", "trusted", "reached"),
    [
        (Tls.NONE, True, False, "clear"),
        (Tls.MAY, True, False, "tls"),
        (Tls.MAY, False, False, "clear"),
        (Tls.REQUIRE, True, True, "tls"),
        (Tls.REQUIRE, True, False, ""),
        (Tls.REQUIRE, False, True, ""),
    ],
)
def test_tls_to_the_next_hop_is_by_policy(tmp_path: Path, policy: Tls, reached: str, *, offered: bool, trusted: bool) -> None:
    """Required and verified TLS never falls back to clear text: the client hears 451."""
    certificate, _ = paths = self_signed(tmp_path)
    context = ssl.create_default_context(cafile=certificate if trusted else None)

    async def test() -> None:
        sink = FaultyHop(tls=tls_context(*paths) if offered else None)
        async with rig(sink=sink, context=context, tls_policy=policy) as r, Client(r.port) as client:
            answers = await client.send("d@e.f")
            assert answers[-1].startswith("250" if reached else "451 4.7.")
            assert ("STARTTLS" in r.sink.commands and bool(r.sink.taken)) is (reached == "tls")

    run(test)


def test_what_the_next_hop_says_in_clear_behind_its_starttls_answer_does_not_count(tmp_path: Path) -> None:
    """RFC 3207 6: an attacker in between could have said it."""

    async def test() -> None:
        sink = FaultyHop(tls=server_side(tmp_path), injected=b"250 evil\r\n")
        async with rig(sink=sink, tls_policy=Tls.REQUIRE) as r, Client(r.port) as client:
            assert (await client.send("d@e.f"))[-1].startswith("451 4.7.4")

    run(test)
