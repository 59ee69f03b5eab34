"""Makes systemd run what the unit files say, whether they have just been written or put back. `python -m gatepost.deploy.settle`.

What it does: reads the units anew, stops those of ours whose file is gone or newer than their start, and starts what this host shall run.
Done twice it changes nothing.
Not its job: the files.
Raises: nothing; what systemctl says stands on standard error, and the exit status is 1.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

STARTED = ("gatepost.target", "gatepost-firewall-base.service", "gatepost-firewall-watch.service", "timers.target")
"""What is started where its file is there; the rest follows from it."""

LEFT = frozenset({"gatepost-recover.service", "gatepost-firewall-base.service", "gatepost-firewall.service"})
"""For the boot alone: their work is done, and doing it again would undo or interrupt."""

BEGUN = frozenset({"active", "activating", "reloading"})


@dataclass(frozen=True, slots=True)
class Running:
    """A unit that systemd has started: whether its file is gone, or newer than its start."""

    name: str
    gone: bool
    stale: bool


def settle() -> str:
    """What systemctl said that was wrong, "" when all is well or systemd does not run here."""
    if not Path("/run/systemd/system").is_dir():
        return ""
    said = [_do("daemon-reload")]
    running = [one for one in _running() if one.name not in LEFT]
    stale = [one.name for one in running if one.stale and not one.gone]
    if stopped := [one.name for one in running if one.gone or one.stale]:
        said.append(_do("stop", *stopped))
    wanted = [name for name in STARTED if _show(name).get("LoadState") == "loaded"]
    said.append(_do("start", *stale, *wanted))
    said += [f"{name} failed: see journalctl -u {name}" for name in _failed()]
    return "\n".join(one for one in said if one)


def _failed() -> list[str]:
    """Our units that do not run as they should; what is left of units whose file is gone is forgotten."""
    found = {
        line.split()[0]: line.split()[1] for line in _asked("list-units", "--failed", "--plain", "--no-legend", "gatepost*").splitlines()
    }
    if gone := [name for name, load in found.items() if load == "not-found"]:
        _do("reset-failed", *gone)
    return [name for name in found if name not in gone]


def _running() -> list[Running]:
    listed = _asked("list-units", "--all", "--plain", "--no-legend", "gatepost*")
    shown = {line.split()[0]: _show(line.split()[0]) for line in listed.splitlines() if line.strip()}
    return [
        Running(name, found["LoadState"] == "not-found", _stale(found)) for name, found in shown.items() if found["ActiveState"] in BEGUN
    ]


def _stale(found: dict[str, str]) -> bool:
    """Whether the file was written after the start; both in seconds since the boot."""
    path = Path(found["FragmentPath"] or "/nowhere")
    if not path.exists():
        return False
    written = path.stat().st_mtime - (time.time() - time.monotonic())
    return written > int(found["ActiveEnterTimestampMonotonic"]) / 1e6


def _show(name: str) -> dict[str, str]:
    lines = _asked("show", name, "--property=LoadState,ActiveState,FragmentPath,ActiveEnterTimestampMonotonic").splitlines()
    return {"LoadState": "", "ActiveState": "", "FragmentPath": "", "ActiveEnterTimestampMonotonic": "0"} | dict(
        line.split("=", 1) for line in lines if "=" in line
    )


def _asked(*words: str) -> str:
    return subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False).stdout


def _do(*words: str) -> str:
    done = subprocess.run(["systemctl", *words], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode else ""


if __name__ == "__main__":
    told = settle()
    if told:
        sys.stderr.write(f"{told}\n")
    sys.exit(bool(told))
