"""The milter server over real sockets, against scripted MTAs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import stat
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import uvloop
from tests.support.milter_client import MilterClient, Outcome, connect, macros, negotiation, packet, session

from gatepost.mail.model import Answer, Envelope, HeaderEdit, Reply
from gatepost.mail.receive.milter_connection import MilterSettings
from gatepost.mail.receive.milter_listen import ListenError, listen
from gatepost.mail.receive.milter_server import MilterServer
from gatepost.mail.receive.milter_session import MilterLimits
from gatepost.mail.receive.spool import Spool

MAIL = b"Subject: one\r\n two\r\n\r\nbody\r\n"
OK = Reply(250, "2.0.0", "Ok")
Judge = Callable[[Envelope, bytes], Awaitable[Answer]]


async def deliver(envelope: Envelope, mail: bytes) -> Answer:
    return Answer(OK, envelope.recipients, (HeaderEdit("X-Scan", "clean"),))


class Scripted:
    """A handler that keeps what it saw and answers as told."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.seen: list[tuple[Envelope, bytes]] = []
        self.started = threading.Event()
        self.cancelled = threading.Event()
        self.release = asyncio.Event()

    async def recipient(self, envelope: Envelope, recipient: str) -> Reply | None:
        return None

    async def message(self, envelope: Envelope, spool: Spool) -> Answer:
        self.seen.append((envelope, bytes(spool.view())))
        self.started.set()
        try:
            return await self.judge(*self.seen[-1])
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class Running:
    """A server in a thread of its own."""

    def __init__(self, path: Path, judge: Judge, settings: MilterSettings, loop: asyncio.AbstractEventLoop) -> None:
        self.path = str(path)
        self.handler = Scripted(judge)
        self.loop = loop
        self.server = MilterServer(self.handler, settings)
        self.thread = threading.Thread(target=loop.run_forever, daemon=True)
        self.thread.start()
        self.call(self.server.serve(listen(f"unix:{path}")))

    def call(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        asyncio.run_coroutine_threadsafe(run(), self.loop).result(20)

    def stop(self) -> None:
        self.call(self.server.close())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)
        self.loop.close()

    def client(self) -> MilterClient:
        client = MilterClient(self.path)
        client.negotiate()
        client.greet()
        return client


Start = Callable[..., Running]


@pytest.fixture(params=["asyncio", "uvloop"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    running: list[Running] = []

    def run(judge: Judge = deliver, settings: MilterSettings | None = None) -> Running:
        loop = uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop()
        running.append(Running(tmp_path / "milter.sock", judge, settings or MilterSettings(), loop))
        return running[-1]

    yield run
    for server in running:
        assert server.server.pool.spooled >= 0
        server.stop()
        assert server.server.pool.spooled == 0


def test_a_mail_is_judged_and_answered_with_its_changes(start: Start) -> None:
    server = start()
    with server.client() as client:
        outcome = client.deliver(MAIL)

    assert outcome == Outcome(b"c", b"", [(b"i", b"\0\0\0\0X-Scan\0 clean\0")])
    ((envelope, mail),) = server.handler.seen
    assert (envelope.sender, envelope.recipients, envelope.queue_id, envelope.client) == (
        "a@example.org",
        ("b@example.net",),
        "4ABC",
        "192.0.2.10",
    )
    assert envelope.received > 0
    assert mail == MAIL


def test_several_mails_go_over_one_connection(start: Start) -> None:
    server = start()
    with server.client() as client:
        for number in range(5):
            assert client.deliver(MAIL + b"%d\r\n" % number).final == b"c"

    assert [mail for _, mail in server.handler.seen] == [MAIL + b"%d\r\n" % number for number in range(5)]


@pytest.mark.parametrize(("version", "steps"), [(2, 0x7F), (3, 0x1FF), (4, 0x3FF), (6, 0), (6, 0x100400), (6, 0x1FFFFF)])
def test_every_generation_of_mta_gets_the_same_mail_through(start: Start, version: int, steps: int) -> None:
    server = start()
    mail = MAIL + b"line\r\n" * 30_000
    with MilterClient(server.path) as client:
        client.negotiate(version, 0x3F, steps)
        client.greet()
        assert client.deliver(mail).final == b"c"

    assert server.handler.seen[0][1] == mail


def test_one_byte_at_a_time_is_as_good(start: Start) -> None:
    server = start()
    with MilterClient(server.path) as client:
        for byte in session(MAIL):
            client.socket.sendall(bytes([byte]))
        assert client.receive()[0] == b"O"
        assert client.outcome().final == b"c"

    assert server.handler.seen[0][1] == MAIL


def test_a_handler_that_raises_leaves_a_temporary_failure_and_a_log_line(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    async def fail(envelope: Envelope, mail: bytes) -> Answer:
        raise RuntimeError("broken engine")

    with start(fail).client() as client:
        outcome = client.deliver(MAIL)
        assert (outcome.final, outcome.payload[:10]) == (b"y", b"451 4.3.0 ")
        assert client.deliver(MAIL).final == b"y"

    assert "mail 4ABC could not be judged" in caplog.text


def test_an_answer_that_cannot_be_given_is_a_temporary_failure(start: Start) -> None:
    async def guess(envelope: Envelope, mail: bytes) -> Answer:
        return Answer(OK, ("somebody@else.example",))

    with start(guess).client() as client:
        assert client.deliver(MAIL).payload.startswith(b"451 4.3.0 ")


def test_an_answer_that_is_none_is_a_temporary_failure(start: Start) -> None:
    async def forget(envelope: Envelope, mail: bytes) -> Answer:
        return None  # type: ignore[return-value]

    with start(forget).client() as client:
        assert client.deliver(MAIL).payload.startswith(b"451 4.3.0 ")


def test_a_cleaned_mail_replaces_body_and_content_fields(start: Start) -> None:
    async def clean(envelope: Envelope, mail: bytes) -> Answer:
        return Answer(OK, envelope.recipients, (), b"Content-Type: text/plain\r\n\r\n" + b"x" * 100_000)

    with start(clean).client() as client:
        outcome = client.deliver(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: image/png\r\n\r\n--b--\r\n")

    assert [code for code, _ in outcome.changes] == [b"m", b"h", b"b", b"b"]
    assert outcome.of(b"m") == [b"\0\0\0\1content-type\0\0"]
    assert b"".join(outcome.of(b"b")) == b"x" * 100_000


def test_the_mta_is_kept_patient_while_the_handler_works(start: Start) -> None:
    async def slow(envelope: Envelope, mail: bytes) -> Answer:
        await asyncio.sleep(0.2)
        return Answer(OK, envelope.recipients)

    with start(slow, MilterSettings(progress=0.01)).client() as client:
        outcome = client.deliver(MAIL)

    assert outcome.final == b"c"
    assert outcome.progress


def test_a_handler_without_end_is_given_up(start: Start) -> None:
    async def never(envelope: Envelope, mail: bytes) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    server = start(never, MilterSettings(progress=0.01, answer=0.05))
    with server.client() as client:
        assert client.deliver(MAIL).payload.startswith(b"451 4.3.0 ")
        assert server.handler.cancelled.wait(10)


@pytest.mark.parametrize("leave", ["abort", "quit", "close"])
def test_an_mta_that_leaves_early_cancels_the_handler(start: Start, leave: str) -> None:
    async def never(envelope: Envelope, mail: bytes) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    server = start(never)
    with server.client() as client:
        client.envelope()
        client.content(MAIL)
        client.send(packet(b"E"))
        assert server.handler.started.wait(10)
        if leave == "close":
            client.socket.close()
        else:
            client.send(packet(b"A" if leave == "abort" else b"Q"))
        assert server.handler.cancelled.wait(10)


def test_a_mail_that_was_aborted_is_not_part_of_the_next(start: Start) -> None:
    server = start()
    with server.client() as client:
        client.envelope()
        client.content(b"Subject: dropped\r\n\r\n" + b"x" * 100_000)
        client.send(packet(b"A"))
        assert client.deliver(MAIL).final == b"c"

    assert [mail for _, mail in server.handler.seen] == [MAIL]


def test_a_mail_over_the_limit_is_refused_without_asking_the_handler(start: Start) -> None:
    server = start(settings=MilterSettings(MilterLimits(message=100_000)))
    with server.client() as client:
        assert client.deliver(MAIL + b"x" * 300_000).payload.startswith(b"552 5.3.4 ")
        assert client.deliver(MAIL).final == b"c"

    assert len(server.handler.seen) == 1


def test_a_full_spool_is_a_temporary_failure_and_heals(start: Start) -> None:
    server = start(settings=MilterSettings(spooled=1_000))
    with server.client() as client:
        assert client.deliver(MAIL + b"x" * 2_000).payload.startswith(b"452 4.3.1 ")
        assert client.deliver(MAIL).final == b"c"


def test_one_connection_too_many_is_told_to_come_later_and_many_too_many_are_closed(start: Start) -> None:
    server = start(settings=MilterSettings(connections=4))
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(server.client())
        with MilterClient(server.path) as client:
            client.negotiate()
            client.send(connect())
            assert client.receive() == (b"t", b"")
            with MilterClient(server.path) as refused, pytest.raises(OSError):
                refused.negotiate()


@pytest.mark.parametrize(
    "data",
    [
        b"\0\0\0\0\0",
        b"\xff\xff\xff\xffO",
        packet(b"B", b"x"),
        negotiation(1),
        negotiation() + packet(b"M", b"no nul"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_peer_that_breaks_the_protocol_is_cut_off_and_the_next_served(start: Start, data: bytes) -> None:
    server = start()
    with MilterClient(server.path) as client:
        client.send(data)
        with contextlib.suppress(OSError):
            while client.receive()[0] == b"O":
                continue
            pytest.fail("the peer got an answer")
    with server.client() as client:
        assert client.deliver(MAIL).final == b"c"


def test_a_silent_mta_is_cut_off(start: Start) -> None:
    server = start(settings=MilterSettings(idle=0.1))
    with server.client() as client, pytest.raises(OSError):
        client.receive()


def test_drain_answers_the_mail_under_way_and_takes_no_other(start: Start) -> None:
    gate = threading.Event()

    async def wait(envelope: Envelope, mail: bytes) -> Answer:
        while not gate.is_set():
            await asyncio.sleep(0.01)
        return Answer(OK, envelope.recipients)

    server = start(wait)
    with server.client() as idle, server.client() as client:
        client.envelope()
        client.content(MAIL)
        client.send(packet(b"E"))
        assert server.handler.started.wait(10)
        drained = asyncio.run_coroutine_threadsafe(server.server.drain(10), server.loop)
        with pytest.raises(OSError):
            idle.receive()
        with pytest.raises(OSError):
            MilterClient(server.path)
        gate.set()
        assert client.outcome().final == b"c"
        with pytest.raises(OSError):
            client.receive()
        drained.result(10)


def test_drain_gives_up_in_the_end(start: Start) -> None:
    async def never(envelope: Envelope, mail: bytes) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    server = start(never)
    with server.client() as client:
        client.envelope()
        client.content(MAIL)
        client.send(packet(b"E"))
        assert server.handler.started.wait(10)
        server.call(server.server.drain(0.05))
        with pytest.raises(OSError):
            client.receive()
        assert server.handler.cancelled.wait(10)


def test_macros_without_end_do_not_pile_up(start: Start) -> None:
    server = start()
    with server.client() as client:
        for _ in range(200):
            client.send(macros(b"M", i=b"4ABC", junk=b"x" * 10_000))
        assert client.deliver(MAIL).final == b"c"


def test_unix_socket_has_the_mode_asked_for_and_replaces_a_dead_one(tmp_path: Path) -> None:
    path = tmp_path / "s"
    listen(f"unix:{path}").close()

    with listen(f"unix:{path}", mode=0o600) as listener:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with pytest.raises(ListenError, match=r"listens on .* already"):
            listen(f"unix:{path}")
        assert listener.family == socket.AF_UNIX


def test_unix_socket_does_not_replace_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mail"
    path.write_text("precious")

    with pytest.raises(ListenError, match="no socket"):
        listen(f"unix:{path}")

    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    "name", ["", "unix:", "unix:relative", "inet:", "inet:127.0.0.1", "inet:127.0.0.1:99999", "inet:127.0.0.1:x", "tcp:1", "inet::25"]
)
def test_a_name_that_is_no_socket_is_refused_with_a_remedy(name: str) -> None:
    with pytest.raises(ListenError, match="write unix:/path"):
        listen(name)


def test_a_taken_port_and_a_missing_folder_are_named(tmp_path: Path) -> None:
    with listen("inet:127.0.0.1:0") as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ListenError, match=f"cannot listen on inet:127.0.0.1:{port}"):
            listen(f"inet:127.0.0.1:{port}")
    with pytest.raises(ListenError, match="folder must exist"):
        listen(f"unix:{tmp_path}/none/s")
    with pytest.raises(ListenError, match="group must exist"):
        listen(f"unix:{tmp_path}/s", group="no-such-group-here")


def test_internet_sockets_of_both_families_can_be_had() -> None:
    with listen("inet:127.0.0.1:0") as four:
        assert four.family == socket.AF_INET
    if Path("/proc/net/if_inet6").exists():
        with listen("inet6:[::1]:0") as six:
            assert six.family == socket.AF_INET6
