"""The supervisor, with real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from gatepost.system.supervise import Child, Supervisor
folder = Path(sys.argv[1])

def steady():
    (folder / "steady").write_text(str(os.getpid()))
    signal.signal(signal.SIGTERM, lambda *_: ((folder / "drained").write_text("yes"), os._exit(0)))
    time.sleep(60)

def brief():
    with open(folder / "brief", "a") as log:
        log.write("x")
    sys.exit(3)

supervisor = Supervisor(lambda: (folder / "reloaded").write_text("yes"))
supervisor.add(Child("steady", steady))
supervisor.add(Child("brief", brief))
supervisor.serve(drain=5)
(folder / "ended").write_text("yes")
"""


def wait_for(condition: object, what: str, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():  # type: ignore[operator]
            return
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}")


def test_children_start_again_hangup_is_told_and_the_end_is_drained(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)])
    try:
        wait_for(lambda: (tmp_path / "brief").exists() and len((tmp_path / "brief").read_text()) >= 3, "three starts")
        wait_for((tmp_path / "steady").exists, "the steady child")
        first = int((tmp_path / "steady").read_text())
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: (tmp_path / "steady").read_text() not in ("", str(first)), "a new steady child")

        process.send_signal(signal.SIGHUP)
        wait_for((tmp_path / "reloaded").exists, "the reload")

        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        assert (tmp_path / "drained").exists()
        assert (tmp_path / "ended").exists()
    finally:
        process.kill()
        process.wait()


def test_children_die_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(tmp_path)])
    wait_for(lambda: (tmp_path / "steady").exists() and (tmp_path / "steady").read_text(), "the steady child")
    child = int((tmp_path / "steady").read_text())
    process.kill()
    process.wait()

    wait_for(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text(), "the end of the child")
