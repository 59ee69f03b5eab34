"""The SMTP server on real sockets: its answer at end of data is 250 only when the next hop has said 250."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.nexthop import CHUNKING, FaultyHop
from tests.support.smtp_client import MESSAGE, Client
from tests.support.smtp_rig import LOOPBACK, OK, Judge, rig, run

from gatepost.mail.model import Answer, Envelope, HeaderEdit, Reply
from gatepost.mail.receive.smtp_protocol import Features
from gatepost.mail.receive.smtp_server import ServerLimits


def test_a_mail_reaches_the_next_hop_byte_for_byte() -> None:
    async def test() -> None:
        async with rig() as r, Client(r.port) as client:
            assert await client.send("d@e.f", "g@h.i") == ["250 2.1.5 ok", "250 2.1.5 ok", "250 2.0.0 got it"]
            assert [(taken.recipients, taken.content) for taken in r.sink.taken] == [(["d@e.f", "g@h.i"], MESSAGE)]
            assert r.judge.seen[0][1] == MESSAGE
            assert r.outcomes == [dict.fromkeys(("d@e.f", "g@h.i"), Reply(250, "2.0.0", "got it"))]

    run(test)


def test_a_next_hop_that_takes_chunks_gets_the_mail_in_one_without_being_asked_first() -> None:
    async def test() -> None:
        async with rig(sink=FaultyHop(offers=CHUNKING)) as r, Client(r.port) as client:
            assert (await client.send("d@e.f"))[-1] == "250 2.0.0 got it"
            assert (await client.mail("g@h.i"))[-1] == "250 2.0.0 got it"
            assert [taken.content for taken in r.sink.taken] == [MESSAGE, MESSAGE]
            assert f"BDAT {len(MESSAGE)} LAST" in r.sink.commands
            assert "DATA" not in r.sink.commands

    run(test)


@pytest.mark.parametrize("lmtp", [False, True])
@pytest.mark.parametrize("fault", ["451 4.3.0 later", "550 5.1.1 no", "421 4.3.2 closing", "drop", "hang", "garbage"])
def test_a_next_hop_that_fails_after_a_chunk_has_no_mail_and_we_do_not_say_250(fault: str, *, lmtp: bool) -> None:
    async def test() -> None:
        sink = FaultyHop(offers=CHUNKING, lmtp=lmtp, faults={"dot d@e.f" if lmtp else "dot": fault})
        async with rig(sink=sink) as r, Client(r.port) as client:
            answer = (await client.send("d@e.f"))[-1]
            assert answer[0] == ("5" if fault.startswith("550") else "4")
            assert r.sink.taken == []
            r.sink.faults.clear()
            assert (await client.mail("d@e.f"))[-1].startswith("250")
            assert len(r.sink.taken) == 1

    run(test)


def test_edited_mail_is_announced_with_its_size_as_it_leaves() -> None:
    """A wrong size would leave the rest of the mail to be read as commands."""

    def verdict(envelope: Envelope) -> Answer:
        return Answer(OK, envelope.recipients, (HeaderEdit("X-New", "one"), HeaderEdit("Subject")))

    async def test() -> None:
        async with rig(Judge(verdict), sink=FaultyHop(offers=CHUNKING)) as r, Client(r.port) as client:
            await client.send("d@e.f")
            assert r.sink.taken[0].content.startswith(b"X-New: one\r\n")
            assert f"BDAT {len(r.sink.taken[0].content)} LAST" in r.sink.commands

    run(test)


def test_a_cleaned_mail_with_bare_line_ends_does_not_leave_in_a_chunk_either() -> None:
    def verdict(envelope: Envelope) -> Answer:
        return Answer(OK, envelope.recipients, body=b"Subject: x\r\n\r\na\nb\r\n")

    async def test() -> None:
        async with rig(Judge(verdict), sink=FaultyHop(offers=CHUNKING)) as r, Client(r.port) as client:
            assert (await client.send("d@e.f"))[-1].startswith("554 5.6.0")
            assert r.sink.taken == []

    run(test)


FAULTS = ["451 4.3.0 later", "550 5.1.1 no", "421 4.3.2 closing", "drop", "hang", "garbage", "599-x"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", ["greeting", "EHLO", "MAIL", "RCPT", "DATA", "dot"])
@pytest.mark.parametrize("lmtp", [False, True])
def test_whatever_the_next_hop_does_our_answer_is_250_only_when_it_said_250(step: str, fault: str, *, lmtp: bool) -> None:
    """A next hop that fails at any step in any way: the client hears 4xx, or the hop's own 5xx, and the hop has no mail."""

    async def test() -> None:
        place = "dot d@e.f" if lmtp and step == "dot" else step
        async with rig(sink=FaultyHop(lmtp=lmtp, faults={place: fault})) as r, Client(r.port) as client:
            answers = await client.send("d@e.f")
            assert answers
            assert answers[-1][0] in "45"
            assert not answers[-1].startswith("421")
            assert answers[-1].startswith("550") is (fault.startswith("550") and step not in {"greeting", "EHLO"})
            assert r.sink.taken == []
            r.sink.faults.clear()
            assert (await client.mail("d@e.f"))[-1].startswith("250"), "the next mail goes through once the hop has healed"
            assert len(r.sink.taken) == 1

    run(test)


def test_a_next_hop_that_is_not_there_is_a_temporary_failure() -> None:
    async def test() -> None:
        async with rig() as r, Client(r.port) as client:
            r.sink._server.close()
            await r.sink._server.wait_closed()
            assert (await client.send("d@e.f"))[-1].startswith("451 4.4.1")

    run(test)


def test_the_next_hop_refuses_a_recipient_when_our_client_names_it() -> None:
    """Its refusal is ours, the others get the mail."""

    async def test() -> None:
        async with rig(sink=FaultyHop(faults={"RCPT x@e.f": "550 5.1.1 no such user"})) as r, Client(r.port) as client:
            assert await client.send("x@e.f", "d@e.f") == ["550 5.1.1 no such user", "250 2.1.5 ok", "250 2.0.0 got it"]
            assert r.sink.taken[0].recipients == ["d@e.f"]

    run(test)


def test_a_recipient_that_the_handler_refuses_is_never_named_to_the_next_hop() -> None:
    async def test() -> None:
        async with rig(Judge(unknown=("x@e.f",))) as r, Client(r.port) as client:
            assert (await client.send("x@e.f", "d@e.f"))[0] == "550 5.1.1 unknown here"
            assert not any("x@e.f" in command for command in r.sink.commands)

    run(test)


@pytest.mark.parametrize("reply", [Reply(550, "5.7.1", "a virus"), Reply(451, "4.7.1", "not scanned")])
def test_without_a_good_verdict_the_next_hop_sees_no_octet(reply: Reply) -> None:
    async def test() -> None:
        async with rig(Judge(lambda _: Answer(reply))) as r, Client(r.port) as client:
            assert (await client.send("d@e.f"))[-1] == f"{reply.code} {reply.status} {reply.text}"
            assert "DATA" not in r.sink.commands

    run(test)


def test_a_quarantined_mail_is_answered_by_the_handler_and_goes_nowhere() -> None:
    async def test() -> None:
        async with rig(Judge(lambda _: Answer(OK, ()))) as r, Client(r.port) as client:
            assert (await client.send("d@e.f"))[-1] == "250 2.0.0 taken"
            assert r.sink.taken == []

    run(test)


def test_a_mail_for_some_goes_to_those_only() -> None:
    """The transaction is begun again for the recipients that the verdict leaves."""

    async def test() -> None:
        async with rig(Judge(lambda _: Answer(OK, ("g@h.i",)))) as r, Client(r.port) as client:
            assert (await client.send("d@e.f", "g@h.i"))[-1] == "250 2.0.0 got it"
            assert [taken.recipients for taken in r.sink.taken] == [["g@h.i"]]

    run(test)


def test_edits_of_the_header_are_made_on_the_way_out() -> None:
    edits = (HeaderEdit("X-Gatepost-Scan", "clean\r\nX-Evil: no"), HeaderEdit("Subject"))

    async def test() -> None:
        async with rig(Judge(lambda envelope: Answer(OK, envelope.recipients, edits))) as r, Client(r.port) as client:
            await client.send("d@e.f")
            assert r.sink.taken[0].content == b"X-Gatepost-Scan: clean\r\n\tX-Evil: no\r\nFrom: a@b.c\r\n\r\nbody\r\n.dot\r\n"

    run(test)


@pytest.mark.parametrize("body", [b"Subject: x\r\n\r\nhi\n.\nMAIL FROM:<>\r\n", b"x\rx", b"x\0"])
def test_a_cleaned_mail_with_bare_line_ends_does_not_leave(body: bytes) -> None:
    """Smuggling is impossible outwards too, whoever made the content."""

    async def test() -> None:
        async with rig(Judge(lambda envelope: Answer(OK, envelope.recipients, (), body))) as r, Client(r.port) as client:
            assert (await client.send("d@e.f"))[-1].startswith("554 5.6.0")
            assert r.sink.taken == []

    run(test)


def test_a_handler_that_fails_is_a_temporary_failure_and_the_next_mail_is_judged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Envelope) -> Answer:
        raise ZeroDivisionError

    async def test() -> None:
        async with rig(Judge(fail)) as r, Client(r.port) as client:
            assert (await client.send("d@e.f"))[-1].startswith("451 4.3.0")
            assert r.sink.taken == []
            r.judge.verdict = lambda envelope: Answer(OK, envelope.recipients)
            assert (await client.mail("d@e.f"))[-1].startswith("250")
        assert "ZeroDivisionError" in caplog.text

    run(test)


def test_a_mail_whose_client_has_left_is_not_handed_on() -> None:
    """It would be a certain duplicate: the client will send it again."""

    async def test() -> None:
        gate = asyncio.Event()
        async with rig(Judge(gate=gate)) as r:
            async with Client(r.port) as client:
                sending = asyncio.ensure_future(client.send("d@e.f"))
                while not r.judge.seen:
                    await asyncio.sleep(0.01)
                sending.cancel()
                client.writer.transport.abort()
            while r.server.sessions:
                await asyncio.sleep(0.01)
            gate.set()
            while not r.outcomes:
                await asyncio.sleep(0.01)
            assert r.sink.taken == []
            assert r.outcomes[0]["d@e.f"].code == 451

    run(test)


def test_connections_to_the_next_hop_are_kept_and_a_dead_one_is_noticed() -> None:
    async def test() -> None:
        async with rig() as r, Client(r.port) as client:
            await client.send("d@e.f")
            await client.mail("d@e.f")
            assert r.sink.connections == 1
            r.sink.drop_all()
            assert (await client.mail("d@e.f"))[-1].startswith("250")
            assert r.sink.connections == 2
            assert len(r.sink.taken) == 3

    run(test)


def test_a_next_hop_that_goes_away_while_the_mail_is_judged_is_asked_anew() -> None:
    """No octet of the mail had been sent, so this makes no duplicate."""

    async def test() -> None:
        gate = asyncio.Event()
        async with rig(Judge(gate=gate)) as r, Client(r.port) as client:
            sending = asyncio.ensure_future(client.send("d@e.f", "g@h.i"))
            while not r.judge.seen:
                await asyncio.sleep(0.01)
            r.sink.drop_all()
            r.sink.faults["RCPT g@h.i"] = "450 4.2.1 full"
            await asyncio.sleep(0.05)
            gate.set()
            assert (await sending)[-1].startswith("451"), "one recipient is refused now, so nobody gets it and the client comes again"
            assert r.sink.taken == []
            r.sink.faults.clear()
            assert (await client.mail("d@e.f", "g@h.i"))[-1].startswith("250")

    run(test)


def test_lmtp_answers_of_the_next_hop_become_one_and_a_retry_brings_nobody_a_second_copy() -> None:
    async def test() -> None:
        async with rig(sink=FaultyHop(lmtp=True, faults={"dot g@h.i": "452 4.2.2 full"})) as r, Client(r.port) as client:
            assert (await client.send("d@e.f", "g@h.i"))[-1] == "451 4.3.0 g@h.i: full (delivered to d@e.f)"
            r.sink.faults.clear()
            assert (await client.mail("d@e.f", "g@h.i"))[-1].startswith("250")
            assert [taken.recipients for taken in r.sink.taken] == [["d@e.f"], ["g@h.i"]]
            assert (await client.mail("d@e.f"))[-1].startswith("250"), "once all have it, the same mail is a new one"
            assert len(r.sink.taken) == 3

    run(test)


def test_lmtp_on_both_sides_passes_each_answer_on() -> None:
    async def test() -> None:
        sink = FaultyHop(lmtp=True, faults={"dot g@h.i": "550 5.2.1 gone"})
        async with rig(sink=sink, features=Features("gw", lmtp=True)) as r, Client(r.port) as client:
            answers = await client.send("d@e.f", "g@h.i", hello="LHLO")
            assert [*answers, await client.answer()][-2:] == ["250 2.0.0 got it", "550 5.2.1 gone"]

    run(test)


@pytest.mark.parametrize(
    ("offers", "mail", "content", "answer"),
    [
        (("PIPELINING",), "<a@b.c>", b"Subject: x\r\n\r\n\xe4\r\n", "554 5.6.3"),
        (("8BITMIME",), "<a@b.c> SMTPUTF8", MESSAGE, "550 5.6.7"),
        (("SIZE 10",), "<a@b.c>", MESSAGE, "552 5.3.4"),
        ((), "<a@b.c> BODY=8BITMIME RET=HDRS ENVID=x", MESSAGE, "250"),
    ],
)
def test_what_the_next_hop_cannot_take_is_refused_and_what_it_does_not_offer_is_not_said(
    offers: tuple[str, ...], mail: str, content: bytes, answer: str
) -> None:
    async def test() -> None:
        async with rig(sink=FaultyHop(offers=offers)) as r, Client(r.port) as client:
            await client.answer()
            await client.say("EHLO x")
            final = [reply for reply in await client.mail("d@e.f", sender=mail, content=content) if not reply.startswith("250 2.1.5")][-1]
            assert final.startswith(answer)
            assert all(command in {"MAIL FROM:<a@b.c>", "RSET"} for command in r.sink.commands if command[:4] in {"MAIL", "RSET"})

    run(test)


def test_parameters_and_forwarded_attributes_go_along() -> None:
    """As a content filter: DSN parameters and XFORWARD reach the MTA's re-injection port as they came."""

    async def test() -> None:
        sink = FaultyHop(offers=("PIPELINING", "DSN", "8BITMIME", "SMTPUTF8", "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"))
        async with rig(sink=sink, trusted=LOOPBACK) as r, Client(r.port) as client:
            await client.answer()
            await client.say("EHLO x", "XFORWARD NAME=far.example ADDR=192.0.2.1 HELO=a+2Bb", "MAIL FROM:<ä@b.c> RET=HDRS SMTPUTF8")
            await client.say("RCPT TO:<d@e.f> NOTIFY=SUCCESS ORCPT=rfc822;d@e.f", "DATA")
            client.write(b".\r\n")
            assert (await client.answer()).startswith("250")
            assert r.sink.taken[0].forwarded == ["XFORWARD NAME=far.example ADDR=192.0.2.1 HELO=a+2Bb"]
            assert r.sink.taken[0].mail == "MAIL FROM:<ä@b.c> RET=HDRS SMTPUTF8"
            assert "RCPT TO:<d@e.f> NOTIFY=SUCCESS ORCPT=rfc822;d@e.f" in r.sink.commands

    run(test)


def test_a_trace_field_is_added_and_a_mail_that_goes_in_circles_is_refused() -> None:
    async def test() -> None:
        async with rig(limits=ServerLimits()) as r, Client(r.port) as client:
            await client.send("d@e.f")
            assert r.sink.taken[0].content.startswith(
                b"Received: from client.example (unknown [127.0.0.1])\r\n\tby gw.example (Gatepost) with ESMTP;\r\n\t"
            )
            assert (await client.mail("d@e.f", content=b"Received: x\r\n" * 101 + b"\r\n"))[-1].startswith("554 5.4.6")

    run(test)
