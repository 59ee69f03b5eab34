"""The client of clamd: complete, exact, never taken in."""

from __future__ import annotations

import time

import pytest
from tests.support.clamd import Clamd, running_clamd
from tests.support.eicar import EICAR, MARKER
from tests.support.faultclamd import ANSWERS, SPECIAL, FaultClamd

from gatepost.mail.engines.clamav import Clamav, parse_reply, parse_version
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.inspect.schedule import Scheduler, Slot
from gatepost.mail.model import Budget, EngineState, Envelope, Kind, Limits, Message, Outline, Part

MAIL = b"From: a@example.org\r\nTo: b@example.com\r\n\r\n"
TRANSFERS = ("auto", "descriptor", "stream")


def engine(address: str, **options: object) -> Clamav:
    return Clamav("clamav", {"socket": address, **options})


def inspect(one: Clamav, message: Message, seconds: float = 30.0) -> tuple[set[Kind], EngineState]:
    budget = Budget(Limits(), time.process_time, time.monotonic)
    done = Scheduler([Slot(one, seconds=seconds)]).inspect(message, Envelope("", ("b@example.com",)), budget)
    return {finding.kind for finding in done.findings}, done.reports[0].state


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_real_clamd_tells_infected_from_clean(clamd: Clamd, transfer: str, envelope: Envelope, soon: float):
    """A mail with EICAR is a virus under the name of the signature, and its harmless twin is clean."""
    one = engine(clamd.address, transfer=transfer)
    (found,) = one.inspect(Message(MAIL + EICAR + b"\r\n", plain=True), envelope, soon)

    assert (found.kind, found.name, found.part) == (Kind.VIRUS, "Test.EICAR.UNOFFICIAL", "")
    assert one.inspect(Message(MAIL + EICAR[:-1] + b"\r\n", plain=True), envelope, soon) == ()


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_mail_of_any_size_arrives_whole(clamd: Clamd, transfer: str, envelope: Envelope, soon: float):
    """Sizes round the chunk of a socket lose nothing at the end."""
    one = engine(clamd.address, transfer=transfer)
    for size in (0, 65_500, 65_536, 200_000, 3_000_000):
        (found,) = one.inspect(Message(MAIL + b"a\n" * (size // 2) + MARKER), envelope, soon)
        assert found.kind is Kind.VIRUS


def test_only_the_part_shows_the_virus(clamd: Clamd, envelope: Envelope, soon: float):
    """A part that the raw mail does not show to clamd is given by itself, and the finding names it."""
    one = engine(clamd.address)
    hidden = Message(MAIL + b"nothing", (Part("1", b"nothing"), Part("2!a.xz!b", EICAR)), plain=True)
    (found,) = one.inspect(hidden, envelope, soon)

    assert found.part == "2!a.xz!b"


def test_plain_mail_is_given_once():
    """Of a plain mail the raw bytes suffice; members of containers, odd readings and deep parts are given besides."""
    one = engine("unix:/nowhere")
    parts = (Part("1", b"text"), Part("2", b"zip"), Part("2!a", b"member"), Part("3", b"odd", reading="x"), Part("4", b"deep", depth=20))

    assert [piece.path for piece in one.select(Message(MAIL, parts, plain=True))] == ["", "2!a", "3", "4"]
    assert [piece.path for piece in one.select(Message(MAIL, parts, plain=False))] == ["", "1", "2", "2!a", "3", "4"]


def test_of_an_outlined_mail_the_cut_parts_are_given(clamd: Clamd, envelope: Envelope, soon: float):
    """What the outline leaves out is looked at as a part, and as a part only."""
    parts = (Part("1", b"text"), Part("2", b"x" * 2000 + EICAR))
    message = Message(MAIL + b"x" * 3000, parts, plain=True, outline=Outline(MAIL, frozenset({"2"})))
    one = engine(clamd.address)

    assert [(piece.path, bytes(piece.data)) for piece in one.select(message)] == [("", MAIL), ("2", b"x" * 2000 + EICAR)]
    assert [found.part for found in one.inspect(message, envelope, soon)] == ["2"]


def test_what_is_too_large_is_unchecked_not_clean(clamd: Clamd, envelope: Envelope, soon: float):
    """A piece over max_size is never sent and never clean; a large plain mail is covered by its parts."""
    one = engine(clamd.address, max_size=1000)
    large = Part("2", b"x" * 2000 + EICAR)
    small = Part("1", EICAR)
    (unseen,) = one.inspect(Message(MAIL + b"y" * 2000), envelope, soon)
    found = one.inspect(Message(MAIL + b"y" * 2000, (small, large), plain=True), envelope, soon)

    assert unseen.kind is Kind.UNCHECKED
    assert [(finding.kind, finding.part) for finding in found] == [(Kind.UNCHECKED, "2"), (Kind.VIRUS, "1")]


def test_clamd_with_a_smaller_limit_is_a_failure_with_a_remedy(envelope: Envelope):
    """When clamd takes less than max_size says, nothing passes and the message says what to set."""
    with running_clamd("StreamMaxLength 100K\n") as small:
        one = engine(small.address, transfer="stream")
        with pytest.raises(EngineError, match="StreamMaxLength"):
            one.inspect(Message(MAIL + b"z" * 8_000_000), envelope, time.monotonic() + 30)


def test_limits_that_clamd_reports_are_unchecked(envelope: Envelope):
    """With AlertExceedsMax clamd says that it stopped, and that is UNCHECKED, not VIRUS."""
    with running_clamd("MaxFileSize 100K\nAlertExceedsMax yes\n") as strict:
        (found,) = engine(strict.address).inspect(Message(MAIL + b"z" * 200_000), envelope, time.monotonic() + 30)

    assert found.kind is Kind.UNCHECKED
    assert found.name.startswith("Heuristics.Limits.Exceeded")


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("mode", [*ANSWERS, *SPECIAL])
def test_no_misbehaviour_is_clean(faultclamd: FaultClamd, mode: str, transfer: str):
    """Whatever clamd does but an exact OK leaves UNCHECKED, in time."""
    faultclamd.mode = mode
    kinds, state = inspect(engine(faultclamd.address, transfer=transfer), Message(MAIL + MARKER), seconds=0.3)

    assert kinds == {Kind.UNCHECKED}
    assert state in {EngineState.FAILED, EngineState.TIMEOUT}


def test_the_stand_in_is_honest_when_told_to(faultclamd: FaultClamd):
    """Negative control: the same stand-in in its honest mode is believed, and in its lying mode deceives."""
    one = engine(faultclamd.address)

    assert inspect(one, Message(MAIL + MARKER)) == ({Kind.VIRUS}, EngineState.FOUND)
    assert inspect(one, Message(MAIL)) == (set(), EngineState.CLEAN)
    faultclamd.mode = "lie"
    assert inspect(one, Message(MAIL + MARKER)) == (set(), EngineState.CLEAN)


def test_a_missing_socket_is_unchecked():
    """With clamd not running nothing is clean."""
    assert inspect(engine("unix:/nonexistent/clamd.sock"), Message(MAIL)) == ({Kind.UNCHECKED}, EngineState.FAILED)


def test_auto_streams_once_descriptors_are_refused(faultclamd: FaultClamd):
    """When clamd cannot read a descriptor, the same mail is streamed at once."""
    one = engine(faultclamd.address)
    faultclamd.mode = "no-descriptors"

    assert inspect(one, Message(MAIL + MARKER)) == ({Kind.VIRUS}, EngineState.FOUND)
    assert faultclamd.asked == 2


def test_version_names_the_signatures_and_their_time(clamd: Clamd):
    """A full answer to VERSION gives mark and time; one without official signatures gives neither."""
    info = parse_version(b"ClamAV 1.4.6/27822/Sun Nov 22 09:25:01 2026\0")

    assert (info.version, info.signatures) == ("ClamAV 1.4.6", "27822")
    assert time.localtime(info.signatures_at)[:4] == (2026, 11, 22, 9)
    assert engine(clamd.address).info().version.startswith("ClamAV ")
    with pytest.raises(EngineError):
        parse_version(b"UNKNOWN COMMAND\0")


def test_extended_detection_info_is_cut_off_the_name(envelope: Envelope):
    """Debian's clamd.conf appends digest and size to names; the name stays the signature's."""
    with running_clamd("ExtendedDetectionInfo yes\n") as verbose:
        (found,) = engine(verbose.address).inspect(Message(MAIL + EICAR), envelope, time.monotonic() + 30)

    assert found.name == "Test.EICAR.UNOFFICIAL"


@pytest.mark.parametrize("cut", range(len(b"stream: OK\0")))
def test_a_cut_answer_is_no_answer(cut: int):
    """OK counts only with its last byte."""
    with pytest.raises(EngineError):
        parse_reply(b"stream: OK\0"[:cut])


def test_wrong_options_are_named():
    """A misspelt option, a wrong type and an impossible choice are errors that name the option."""
    for options, named in (
        ({"sokcet": "x"}, "socket"),
        ({"max_size": "big"}, "max_size"),
        ({"socket": "tcp:h:1", "transfer": "descriptor"}, "transfer"),
    ):
        with pytest.raises(EngineError, match=named):
            Clamav("clamav", options)
