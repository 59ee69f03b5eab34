"""Logs: one line an event on standard error, JSON where a machine reads it and plain where a person does.

What it does: sets up the standard library's logging once, at the start of a process.
Not its job: what happened to mails (`gatepost.journal`).
Raises: nothing.
"""

from __future__ import annotations

import json
import logging
import sys
import time


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "process": record.process,
            "room": record.name.removeprefix("gatepost."),
            "text": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def to_stderr(*, debug: bool = False) -> None:
    """Log to standard error: plain lines on a terminal, JSON lines otherwise."""
    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(plain if sys.stderr.isatty() else _AsJson())
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True)


def to_nowhere() -> None:
    """Log nothing: for commands whose results say everything that their user needs."""
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)
