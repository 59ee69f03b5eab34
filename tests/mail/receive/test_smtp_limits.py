"""Limits over all connections: numbers, rates, patience, and stopping."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.smtp_client import Client
from tests.support.smtp_rig import LOOPBACK, Judge, rig, run

from gatepost.mail.receive.smtp_server import ServerLimits


def test_one_client_may_not_have_too_many_connections_and_trusted_ones_may() -> None:
    async def test() -> None:
        for trusted, second in (((), "421"), (LOOPBACK, "220")):
            async with rig(limits=ServerLimits(per_client=1), trusted=trusted) as r, Client(r.port) as one, Client(r.port) as two:
                assert (await one.answer()).startswith("220")
                assert (await two.answer()).startswith(second)

    run(test)


def test_connections_are_limited_in_number_and_rate_and_counted_off_when_they_end() -> None:
    async def test() -> None:
        async with rig(limits=ServerLimits(connections=1)) as r:
            for _ in range(3):
                async with Client(r.port) as client, Client(r.port) as other:
                    assert (await client.answer()).startswith("220")
                    assert (await other.answer()).startswith("421")
                while r.server.sessions:
                    await asyncio.sleep(0.01)
        async with rig(limits=ServerLimits(per_minute=2)) as r:
            codes = []
            for _ in range(3):
                async with Client(r.port) as client:
                    codes.append((await client.answer())[:3])
            assert codes == ["220", "220", "421"]

    run(test)


def test_a_client_that_says_nothing_or_drips_is_closed() -> None:
    """Single bytes of a command buy no time, nor does a mail slower than the slowest allowed."""

    async def test() -> None:
        async with (
            rig(limits=ServerLimits(idle=0.3, slowest=10_000)) as r,
            Client(r.port) as silent,
            Client(r.port) as dripping,
            Client(r.port) as slow,
        ):
            for client in (silent, dripping, slow):
                await client.answer()
            await slow.say("EHLO x", "MAIL FROM:<>", "RCPT TO:<d@e.f>", "DATA")
            for _ in range(30):
                dripping.write(b"N")
                slow.write(b"x\r\n")
                await asyncio.sleep(0.1)
                if not r.server.sessions:
                    break
            assert (await silent.answer()).startswith("421")
            assert r.server.sessions == 0
            assert r.sink.taken == []

    run(test)


def test_a_thousand_half_open_sessions_do_not_hurt_an_honest_one() -> None:
    async def test() -> None:
        async with rig(limits=ServerLimits(per_client=0)) as r:
            writers = [(await asyncio.open_connection("127.0.0.1", r.port))[1] for _ in range(1000)]
            for writer in writers:
                writer.write(b"EHL")
            async with Client(r.port) as client:
                assert (await client.send("d@e.f"))[-1].startswith("250")
            assert r.server.sessions >= 1000
            for writer in writers:
                writer.close()

    run(test)


def test_who_talks_before_the_greeting_is_refused() -> None:
    async def test() -> None:
        async with rig(limits=ServerLimits(greeting_delay=0.2)) as r, Client(r.port) as early, Client(r.port) as patient:
            early.write(b"EHLO x\r\n")
            assert (await early.answer()).startswith("554")
            assert (await patient.send("d@e.f"))[-1].startswith("250")

    run(test)


def test_stopping_lets_the_mail_under_way_end_and_takes_no_other() -> None:
    async def test() -> None:
        gate = asyncio.Event()
        async with rig(Judge(gate=gate)) as r, Client(r.port) as idle, Client(r.port) as client:
            await idle.answer()
            sending = asyncio.ensure_future(client.send("d@e.f"))
            while not r.judge.seen:
                await asyncio.sleep(0.01)
            stopping = asyncio.ensure_future(r.server.drain(10))
            assert (await idle.answer()).startswith("421")
            gate.set()
            assert (await sending)[-1].startswith("250")
            assert (await client.answer()).startswith("421")
            await stopping
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", r.port)

    run(test)
