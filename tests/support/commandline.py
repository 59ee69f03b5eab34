"""The real command line in a child that need not import everything again: environment, limits and output are its own."""

from __future__ import annotations

import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gatepost.cli.main import main


@dataclass(frozen=True)
class Result:
    """How a command ended: its status, standard output and standard error."""

    status: int
    output: str
    errors: str


def gatepost(*arguments: object, environment: Mapping[str, str] | None = None, descriptors: int = 0, seconds: int = 60) -> Result:
    """Run `gatepost` with these arguments; with `descriptors`, so many open files are allowed. Longer than `seconds` is a failure."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        pid = os.fork()
        if not pid:
            _be(lambda: _command(arguments, environment or {}, descriptors, seconds), output.fileno(), errors.fileno())
        _pid, status = os.waitpid(pid, 0)
        output.seek(0)
        errors.seek(0)
        return Result(os.waitstatus_to_exitcode(status), output.read().decode(), errors.read().decode())


def _command(arguments: tuple[object, ...], environment: Mapping[str, str], descriptors: int, seconds: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(seconds)
    os.environ.update(environment)
    if descriptors:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    sys.argv = ["gatepost", *map(str, arguments)]
    main()


def _be(run: Callable[[], None], output: int, errors: int) -> None:
    code = 70
    try:
        os.dup2(output, 1)
        os.dup2(errors, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
