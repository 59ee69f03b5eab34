"""Whoever tampers with reports, baseline, policy, ledger or canary is named; and a check never calls nothing "good"."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from gatepost.integrity import store
from gatepost.integrity.baseline import make_baseline, seal_pending
from gatepost.integrity.canary import content
from gatepost.integrity.chain import ChainError, sealed
from gatepost.integrity.check import CheckError
from gatepost.integrity.heartbeat import Heartbeat
from gatepost.integrity.ledger import Act, Record
from gatepost.integrity.report import Report, Status, opened_report, sealed_report, verify
from gatepost.integrity.sign import make_key
from gatepost.site.integrity import Integrity, Rule
from tests.integrity.conftest import Host


def _alarms(report: Report) -> set[str]:
    return {alarm.name for alarm in report.alarms}


def _keys(host: Host) -> tuple:
    return (host.watched.state.host_key().public,)


def _problems(host: Host, number: int, **more: object) -> str:
    return " ".join(verify(host.watched.state.report_path(number), _keys(host), **more).problems)  # type: ignore[arg-type]


def test_an_honest_host_is_well_and_its_report_genuine(host: Host) -> None:
    host.init()

    assert host.check().status is Status.WELL
    assert host.check(full=False).status is Status.WELL
    assert _problems(host, 1) == _problems(host, 2) == ""


# The report


@pytest.mark.parametrize("cut", [0, 1, 50, -1, -10, -120])
def test_a_truncated_report_is_refused(host: Host, cut: int) -> None:
    host.init()
    host.check()
    path = host.watched.state.report_path(1)
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(ChainError, match=r"cut short|edited"):
        verify(path, _keys(host))
    assert "chain" in _alarms(host.check())


def test_each_edited_byte_of_a_report_is_noticed(host: Host) -> None:
    host.init()
    host.check()
    path = host.watched.state.report_path(1)
    good = path.read_bytes()
    for place in range(0, len(good), 7):
        with pytest.raises(ChainError):
            opened_report(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :], _keys(host), "report")


def test_a_report_forged_with_another_key_is_refused(host: Host, tmp_path: Path) -> None:
    host.init()
    report = host.check()
    stranger = make_key(tmp_path / "stranger")

    with pytest.raises(ChainError, match="forged"):
        opened_report(sealed_report(report, stranger), _keys(host), "report")


def test_an_old_report_shown_again_is_named(host: Host) -> None:
    host.init()
    host.check()
    host.check()
    state = host.watched.state
    shutil.copy(state.report_path(1), state.report_path(2))

    assert "shown again" in _problems(host, 2)
    assert "chain" in _alarms(host.check())


def test_a_canary_that_was_sung_before_is_named_as_replayed(host: Host) -> None:
    host.init()
    first = host.check()
    state = host.watched.state
    second = msgspec.structs.replace(host.check(), canary=first.canary)
    state.report_path(2).write_bytes(sealed_report(second, state.host_key()))

    assert "replayed" in _problems(host, 2)


def test_a_report_with_another_canary_than_asked_for_is_named(host: Host) -> None:
    host.init()
    host.check(nonce="ab" * 16)

    assert _problems(host, 1, nonce="ab" * 16) == ""
    assert "not the value that was asked for" in _problems(host, 1, nonce="cd" * 16)


def test_a_missing_report_is_an_alarm(host: Host) -> None:
    host.init()
    report = host.check()
    later = report.finished + 30 * 3600

    assert "30 hours old" in _problems(host, 1, now=later, max_hours=26)
    host.watched.state.report_path(1).unlink()
    assert "chain" in _alarms(host.check())


# The canary


@pytest.mark.parametrize(("swindle", "song"), [("put back", "old"), ("other", "wrong"), ("hidden", "missing")])
def test_a_canary_that_does_not_sing_right_breaks_the_report(host: Host, monkeypatch: pytest.MonkeyPatch, swindle: str, song: str) -> None:
    from gatepost.integrity import check as module

    host.init()
    host.check()
    honest = module.plant

    def dishonest(watched: object, nonce: str) -> str:
        former = honest(watched, nonce)  # type: ignore[arg-type]
        data = {"put back": content(former), "other": b"something else\n", "hidden": b""}[swindle]
        if swindle == "hidden":
            # The object looks as the baseline has it: no change at all.
            host.watched.canary.unlink()
            shutil.copy2(host.folder / "first", host.watched.canary)
        else:
            host.watched.canary.write_bytes(data)
        return former

    shutil.copy2(host.watched.canary, host.folder / "first")
    monkeypatch.setattr(module, "plant", dishonest)
    report = host.check()

    assert report.canary is not None
    assert report.canary.song.value in {song, "old"}
    assert report.status is Status.BROKEN
    assert "canary" in _problems(host, report.sequence)


# The baseline


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda p: p.unlink(), "no baseline"),
        (lambda p: p.write_bytes(b""), "empty"),
        (lambda p: p.write_bytes(b"GPBASE1\n"), "cut short"),
        (lambda p: os.truncate(p, p.stat().st_size - 5), "cut short"),
        (lambda p: (p.unlink(), p.mkdir()), "cannot be read"),
        (lambda p: p.write_bytes(os.urandom(4096)), "cut short"),
    ],
)
def test_a_baseline_that_is_not_there_is_never_taken_as_good(host: Host, harm: Callable[[Path], object], words: str) -> None:
    host.init()
    harm(host.watched.state.baseline)
    report = host.check()

    assert report.status.exit_status == 2
    assert [a.name for a in report.alarms] == ["baseline"]
    assert words in report.alarms[0].text


def test_each_edited_byte_of_a_baseline_is_noticed(host: Host) -> None:
    host.init()
    path = host.watched.state.baseline
    good = path.read_bytes()
    for place in range(8, len(good), 5):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(store.BaselineError):
            list(store.Baseline(path, _keys(host)).entries())


def test_a_baseline_that_is_damaged_in_the_middle_leaves_no_good_report(host: Host) -> None:
    host.init()
    path = host.watched.state.baseline
    good = path.read_bytes()
    path.write_bytes(good[:20] + bytes([good[20] ^ 1]) + good[21:])

    assert _alarms(host.check()) == {"baseline"}


def test_a_swapped_baseline_is_named_though_it_is_signed(host: Host) -> None:
    host.init()
    state = host.watched.state
    shutil.copy(state.baseline, host.folder / "older")
    (host.tree / "evil").touch()
    host.init()
    shutil.copy(host.folder / "older", state.baseline)
    report = host.check()

    assert "swapped" in report.alarms[0].text
    assert report.status is Status.BROKEN


def test_a_baseline_signed_by_a_stranger_is_refused(host: Host, tmp_path: Path) -> None:
    host.init()
    state = host.watched.state
    state.pending.write_bytes(state.baseline.read_bytes())
    stranger = make_key(tmp_path / "stranger")
    store.seal(state.pending, stranger.sign(store.request(state.pending)))
    state.pending.rename(state.baseline)

    assert "not signed by a trusted key" in host.check().alarms[0].text


def test_another_run_that_holds_the_lock_is_an_error_not_a_result(host: Host) -> None:
    host.init()
    with host.watched.state.locked(), pytest.raises(CheckError, match="another integrity run"):
        host.check()


def test_the_signing_key_can_live_elsewhere(host: Host, tmp_path: Path) -> None:
    elsewhere = make_key(tmp_path / "stick" / "key", b"passphrase")
    host.section = host.section.model_copy(update={"signer": elsewhere.public.text})
    made = make_baseline(host.watched, "tester", "test", None, lambda _: None)

    assert not made.in_force
    assert host.check().status is Status.BROKEN
    with pytest.raises(store.BaselineError, match="not signed by a trusted key"):
        seal_pending(host.watched.state, host.watched.state.host_key(), "intruder", "trust me")
    seal_pending(host.watched.state, elsewhere, "tester", "test")
    assert _alarms(host.check()) == set()


# Policy, ledger, clock, watcher, disk


def test_an_edited_policy_is_named_and_the_signed_one_is_used(host: Host) -> None:
    host.init()
    (host.tree / "bin" / "tool").write_bytes(b"evil")
    host.section = Integrity(rules=(Rule(name="All", paths=("/",), skip=("/bin",)),), canary="/canary")
    report = host.check()

    assert _alarms(report) == {"policy"}
    assert "/bin/tool" in {finding.path for finding in report.findings}


def test_an_edited_ledger_is_named_and_nothing_in_it_counts(host: Host) -> None:
    host.init()
    (host.tree / "bin" / "tool").write_bytes(b"new")
    host.check()
    host.accept(everything=True)
    ledger = host.watched.state.folder / "ledger"
    ledger.write_bytes(ledger.read_bytes().replace(b'"who":"tester"', b'"who":"nobody"'))
    report = host.check()

    assert _alarms(report) == {"ledger"}
    assert "/bin/tool" in {finding.path for finding in report.findings}


def test_a_ledger_that_lost_its_last_lines_is_named(host: Host) -> None:
    host.init()
    (host.tree / "bin" / "tool").write_bytes(b"new")
    host.check()
    host.accept(everything=True)
    host.check()
    ledger = host.watched.state.folder / "ledger"
    ledger.write_bytes(ledger.read_bytes().splitlines(keepends=True)[0])

    assert _alarms(host.check()) == {"ledger"}


def test_a_line_of_a_stranger_in_the_ledger_is_named(host: Host, tmp_path: Path) -> None:
    host.init()
    stranger = make_key(tmp_path / "stranger")
    with (host.watched.state.folder / "ledger").open("ab") as ledger:
        ledger.write(sealed({"sequence": 2}, stranger))

    assert _alarms(host.check()) == {"ledger"}


def test_in_strict_mode_the_key_of_the_host_accepts_nothing(host: Host, tmp_path: Path) -> None:
    elsewhere = make_key(tmp_path / "key")
    host.section = host.section.model_copy(update={"signer": elsewhere.public.text, "strict": True})
    make_baseline(host.watched, "tester", "test", elsewhere, lambda _: None)
    state = host.watched.state
    assert _alarms(host.check()) == set()
    state.add(Record(0, 1.0, Act.ACCEPT, "intruder", "trust me"), state.host_key())

    assert _alarms(host.check()) == {"ledger"}


def test_a_clock_that_went_back_is_named(host: Host) -> None:
    host.init()
    report = host.check()

    assert _alarms(host.check(clock=lambda: report.started - 7200)) == {"clock"}


@pytest.mark.parametrize("beat", [None, b"", Heartbeat(at=1.0, pid=1)])
def test_a_watcher_that_was_killed_is_named(host: Host, beat: Heartbeat | bytes | None) -> None:
    host.section = host.section.model_copy(update={"live": True})
    host.init()
    if beat is not None:
        host.watched.state.heartbeat.write_bytes(beat if isinstance(beat, bytes) else msgspec.json.encode(beat))

    assert _alarms(host.check()) == {"watcher"}


@pytest.mark.parametrize("room", [0, 4, 16, 28, 40, 400])
def test_a_full_disk_is_an_error_or_an_alarm_and_never_a_good_report(as_root: None, host: Host, room: int) -> None:
    state = host.watched.state
    host.init()
    for number in range(300):
        (host.tree / f"new{number}").write_bytes(b"x" * number)
    small = host.folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], check=True)
    try:
        shutil.copytree(state.folder, small / "state")
        shutil.rmtree(state.folder)
        state.folder.symlink_to(small / "state")
        _fill(small, room * 1024)
        outcome = _outcome(host)
    finally:
        subprocess.run(["umount", "-l", small], check=True)

    assert outcome == (300 if room == 400 else "broken")


def _fill(folder: Path, room: int) -> None:
    space = os.statvfs(folder)
    with (folder / "filler").open("wb", buffering=0) as filler:
        filler.write(bytes(space.f_bavail * space.f_frsize - room))


def _outcome(host: Host) -> int | str:
    try:
        report = host.check()
    except CheckError as error:
        assert "No space left" in str(error)  # noqa: PT017 - one of two right outcomes
        return "broken"
    return "broken" if report.status is Status.BROKEN else len(report.findings)


def test_a_check_that_was_cut_off_goes_on_where_it_stopped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    from gatepost.integrity import scan

    host.init()
    (host.tree / "evil").touch()
    honest = scan.compare
    monkeypatch.setattr(scan, "compare", lambda *args: (honest(*args), (_ for _ in ()).throw(KeyboardInterrupt))[0])
    with pytest.raises(KeyboardInterrupt):
        host.check()
    monkeypatch.setattr(scan, "compare", honest)
    report = host.check()

    assert "went on with a check that was cut off" in report.notes[0]
    assert {finding.path for finding in report.findings} == {"/evil"}
    assert report.canary is not None
    assert report.canary.song.value == "alive"
