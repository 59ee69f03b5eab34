"""Children stay within their bounds, and nothing of them is left behind."""

from __future__ import annotations

import os
import time
from pathlib import Path

from gatepost.system.children import Bounds, run


def test_what_a_child_prints_and_how_it_ends_comes_back() -> None:
    result = run(["sh", "-c", "cat; echo bad >&2; exit 3"], Bounds(), stdin=b"hello" * 100_000)
    assert (result.status, result.stdout, result.stderr, result.failure) == (3, b"hello" * 100_000, b"bad\n", "")


def test_a_descriptor_is_handed_over_under_its_number() -> None:
    descriptor = os.memfd_create("test")
    os.write(descriptor, b"hello")
    try:
        assert run(["cat", f"/proc/self/fd/{descriptor}"], Bounds(), descriptors=(descriptor,)).stdout == b"hello"
    finally:
        os.close(descriptor)


def test_a_missing_program_is_a_failure_with_its_name() -> None:
    assert "no-such-program" in run(["no-such-program"], Bounds()).failure


def test_a_child_that_hangs_is_killed_with_its_children() -> None:
    result = run(["sh", "-c", "sleep 977 & sleep 977"], Bounds(wall=0.5))
    assert "no answer" in result.failure
    time.sleep(0.1)
    assert [folder for folder in Path("/proc").iterdir() if folder.name.isdigit() and _command(folder) == b"sleep\x00977\x00"] == []


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def test_a_child_that_prints_too_much_is_stopped() -> None:
    result = run(["sh", "-c", "yes"], Bounds(output=10_000))
    assert "more than 10000 bytes" in result.failure
    assert len(result.stdout) == 10_001


def test_a_child_that_computes_too_long_is_ended() -> None:
    assert run(["sh", "-c", "while :; do :; done"], Bounds(cpu=1, wall=20)).status != 0


def test_a_child_that_reads_nothing_does_not_block() -> None:
    assert run(["true"], Bounds(), stdin=bytes(1 << 20)).status == 0


def test_a_child_gets_no_variables_of_ours() -> None:
    assert b"GATEPOST" not in run(["env"], Bounds()).stdout
