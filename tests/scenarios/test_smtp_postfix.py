"""Behind and before a real Postfix: as its before-queue proxy and as its content filter."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

import pytest

from gatepost.mail.act.connection import Hop
from gatepost.mail.act.hop import SmtpHop
from gatepost.mail.model import Answer, Reply
from gatepost.mail.receive.smtp_protocol import Features
from gatepost.mail.receive.smtp_server import ServerLimits, SmtpServer
from tests.support.nexthop import FaultyHop
from tests.support.ports import free_port
from tests.support.postfix import Postfix
from tests.support.sink import Sink
from tests.support.smtp_client import Client
from tests.support.smtp_rig import LOOPBACK, Judge, run

REINJECTION = """
127.0.0.1:{port} inet n - n - - smtpd
 -o content_filter=
 -o smtpd_proxy_filter=
 -o smtpd_authorized_xforward_hosts=127.0.0.0/8
"""

pytestmark = pytest.mark.system


def test_as_the_before_queue_proxy_of_postfix_the_last_word_is_the_next_hops(home: Path) -> None:
    """The client of Postfix hears what our next hop said, whatever that was; XFORWARD says who the client is."""

    async def test() -> None:
        async with FaultyHop() as hop:
            judge = Judge()
            server = SmtpServer(
                judge, Features("gw"), ServerLimits(trace=False), next_hop=SmtpHop(Hop("127.0.0.1", hop.port)), trusted=LOOPBACK
            )
            port = await server.listen("127.0.0.1", 0)
            postfix = await asyncio.to_thread(Postfix(home / "postfix", hop.port, extra=f"smtpd_proxy_filter = 127.0.0.1:{port}").start)
            try:
                async with Client(postfix.port) as client:
                    assert (await client.send("d@widget.example"))[-1].startswith("250 2.0.0 got it")
                    hop.faults["dot"] = "451 4.3.0 later"
                    assert (await client.mail("d@widget.example"))[-1].startswith("451 4.3.0 later")
                    hop.faults = {"RCPT": "550 5.1.1 no such user"}
                    assert (await client.mail("d@widget.example"))[0].startswith("550 5.1.1 no such user")
                    hop.faults.clear()
                    judge.verdict = lambda _: Answer(Reply(550, "5.7.1", "a virus"))
                    assert (await client.mail("d@widget.example"))[-1].startswith("550 5.7.1 a virus")
                assert len(hop.taken) == 1
                assert judge.seen[0][0].client == "127.0.0.1"
                assert judge.seen[0][0].helo == "client.example"
            finally:
                await asyncio.to_thread(postfix.stop)
                await server.drain(1)

    run(test)


@pytest.mark.parametrize("lmtp", [False, True])
def test_as_the_content_filter_of_postfix_mail_comes_back_and_is_delivered_once(home: Path, *, lmtp: bool) -> None:
    """Postfix hands queued mail to us by SMTP or LMTP and takes it back on a port of its own; a mail put off comes again."""

    async def test() -> None:
        sink = await asyncio.to_thread(Sink)
        back = free_port()
        judge = Judge()
        server = SmtpServer(
            judge, Features("gw", lmtp=lmtp), next_hop=SmtpHop(Hop("127.0.0.1", back)), trusted=(ipaddress.ip_network("127.0.0.0/8"),)
        )
        port = await server.listen("127.0.0.1", 0)
        kind = "lmtp" if lmtp else "smtp"
        postfix = Postfix(
            home / "postfix",
            sink.port,
            extra=f"content_filter = {kind}:[127.0.0.1]:{port}\nsmtp_send_xforward_command = yes\nlmtp_send_xforward_command = yes",
            master_extra=REINJECTION.format(port=back) + "lmtp unix - - n - - lmtp",
        )
        await asyncio.to_thread(postfix.start)
        try:
            taken = judge.verdict
            judge.verdict = lambda _: Answer(Reply(451, "4.7.1", "not scanned"))
            async with Client(postfix.port) as client:
                assert (await client.send("d@widget.example", "g@widget.example"))[-1].startswith("250")
            while not judge.seen:
                await asyncio.sleep(0.05)
            assert sink.delivered == []
            judge.verdict = taken
            delivered = await asyncio.to_thread(sink.wait, 1)
            await asyncio.sleep(0.5)
            assert len(sink.delivered) == 1, postfix.log()
            assert sorted(delivered[0].recipients) == ["d@widget.example", "g@widget.example"]
            assert delivered[0].content.endswith(b"\r\n\r\nbody\r\n.dot\r\n")
            assert judge.seen[0][0].helo == "client.example"
            assert judge.seen[0][0].queue_id
        finally:
            await asyncio.to_thread(postfix.stop)
            await server.drain(1)
            await asyncio.to_thread(sink.stop)

    run(test)
