"""`python -m tests.fuzz [--seconds N] [--seed N] [TARGET...]`: fuzz each target, long if you like.

A target is a module `fuzz_*.py` here: its docstring states the invariant, `target(data)` raises when it does not hold, `SEEDS` (if it has
them) are good inputs. Mails of `../shared` are further seeds where that folder is present. A failing input is written to a file and named.
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib
import random
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

from tests.fuzz.mutate import LIMIT, inputs

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared"
HANG = 30
"""Seconds after which one input counts as a hang."""


def names() -> list[str]:
    """All targets."""
    return sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))


def load(name: str) -> ModuleType:
    return importlib.import_module(f"tests.fuzz.fuzz_{name}")


def seeds(module: ModuleType, number: int) -> list[bytes]:
    """The target's own seeds, and some real mails."""
    own = [bytes(seed) for seed in getattr(module, "SEEDS", ())]
    files = sorted(path for path in (SHARED / "corpus").rglob("*") if path.is_file() and path.stat().st_size < LIMIT)
    return own + [path.read_bytes() for path in random.Random(number).sample(files, min(50, len(files)))]


def fuzz(name: str, seconds: float, number: int) -> int:
    """Run one target for so many seconds of processor time; return how many inputs it took. Raises what the target raises."""
    module = load(name)
    end = time.process_time() + seconds
    count = 0
    for data in inputs(seeds(module, number), number):
        faulthandler.dump_traceback_later(HANG, exit=True)
        try:
            module.target(data)
        except BaseException:
            failing = Path(tempfile.gettempdir()) / f"fuzz-{name}-{number}.bin"
            failing.write_bytes(data)
            sys.stderr.write(f"{name}: the input is in {failing}\n")
            raise
        finally:
            faulthandler.cancel_dump_traceback_later()
        count += 1
        if time.process_time() > end:
            break
    return count


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    parser.add_argument("target", nargs="*", help=", ".join(names()))
    options = parser.parse_args()
    for name in options.target or names():
        count = fuzz(name, options.seconds, options.seed)
        print(f"{name}: {count} inputs, seed {options.seed}, no failure: {(load(name).__doc__ or '').splitlines()[0]}")


if __name__ == "__main__":
    main()
