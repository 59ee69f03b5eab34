"""New files tried before they count: laid out under a folder at their full paths, and looked at by the programs that will read them.

Not its job: putting files in their real places (`gatepost.deploy`), what the files say.
Raises: `OSError` when the folder cannot be written.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from gatepost.system.artifact import STAGED, Activation, Artifact
from gatepost.system.files import make_directory, write_atomic

SECONDS = 60.0
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/"}


def stage(artifacts: Iterable[Artifact], folder: Path) -> None:
    """Lay every file out under `folder`, readable by its programs."""
    for one in artifacts:
        path = staged(one.path, folder)
        make_directory(path.parent, 0o755)
        write_atomic(path, one.content, one.mode)


def staged(path: Path, folder: Path) -> Path:
    """Where a file lies under the folder."""
    return folder / path.relative_to("/")


def check(activation: Activation, folder: Path) -> list[str]:
    """What the programs say against the files under `folder`; nothing when they take them."""
    return [said for command in activation.checks if (said := run(tuple(word.replace(STAGED, str(folder)) for word in command)))]


def run(command: tuple[str, ...], *, strict: bool = True) -> str:
    """What a program said when it failed, or (when `strict`) warned; "" when all is well."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
            env=ENVIRONMENT | _kept(),
        )
    except FileNotFoundError:
        return f"the program {command[0]} is not installed"
    except OSError as error:
        return f"the program {command[0]} cannot be started: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{command[0]} did not end within {SECONDS:.0f} s"
    if done.returncode == 0 and not (strict and done.stderr.strip()):
        return ""
    return done.stderr.strip() or done.stdout.strip() or f"{command[0]} ended with status {done.returncode}"


def _kept() -> dict[str, str]:
    """Settings by which an administrator points programs at other libraries."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
