"""Macros in Office documents: those that start by themselves and do what documents need not do.

What it does: reads VBA and Excel 4 macros (XLM) with oletools and judges them by its keywords.
Not its job: opening documents inside archives (`unpack`), removing macros.
Raises: `EngineError` when oletools is not installed or a document with macros cannot be read.

A macro that starts by itself and has a suspicious keyword is SUSPECT, as is any Excel 4 macro; `ban` turns macros into BANNED.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from types import ModuleType

from gatepost.mail.engines.options import Options
from gatepost.mail.inspect.engine import EngineError, EngineInfo
from gatepost.mail.model import Envelope, Finding, Kind, Message, Part
from gatepost.system.foreign import attempt

_TYPES = frozenset("ole doc xls ppt docm xlsm xlsb pptm docx xlsx pptx ooxml slk vba-project msg".split())  # noqa: SIM905
_SHOWN = 6
_REMEDY = "the Python package oletools is not installed; install gatepost[office]"


class Macros:
    """The engine `macros`. Options: `ban`, which macros are BANNED: "none", "auto" (those that start by themselves) or "all"."""

    local = True

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        given = Options(name, options)
        self.name = name
        self._ban = given.choice("ban", ("none", "auto", "all"))
        given.done()
        self._olevba = _library(name)

    @staticmethod
    def preload(options: Mapping[str, object]) -> None:
        """Import the library once for all workers that are forked afterwards."""
        Macros("macros", options)

    def info(self) -> EngineInfo:
        """Give the library's version: its keywords are part of it."""
        return EngineInfo(f"oletools {version('oletools')}")

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Look at every Office document."""
        del envelope, deadline
        found = (self._judge(part) for part in message.parts if part.type in _TYPES)
        return tuple(finding for finding in found if finding)

    def _judge(self, part: Part) -> Finding | None:
        results = attempt(self._analyse, bytes(part.data))
        if isinstance(results, self._olevba.FileOpenError):
            return None  # no Office document after all: the other engines look at its bytes
        if isinstance(results, Exception):
            why = f"its macros cannot be read: {type(results).__name__}: {results}"
            return Finding(Kind.UNCHECKED, "macros-unreadable", part.path, self.name, why[:200])
        if results is None:
            return None
        words = {kind: [word for found, word, _ in results if found == kind] for kind in ("AutoExec", "Suspicious")}
        return self._finding(part.path, words["AutoExec"], words["Suspicious"])

    def _analyse(self, data: bytes) -> list[tuple[str, str, str]] | None:
        """Give olevba's results, or None for a document without macros."""
        parser = self._olevba.VBA_Parser("part", data=data, disable_pcode=True)
        try:
            return list(parser.analyze_macros()) if parser.detect_macros() else None
        finally:
            parser.close()

    def _finding(self, path: str, starts: list[str], suspicious: list[str]) -> Finding | None:
        excel4 = "XLM macro" in suspicious
        automatic = bool(starts) or excel4
        detail = f"starts by {', '.join(starts[:_SHOWN]) or 'a click'}; does {', '.join(suspicious[:_SHOWN]) or 'nothing suspicious'}"
        if self._ban == "all" or (self._ban == "auto" and automatic):
            return Finding(Kind.BANNED, "macro", path, self.name, detail)
        if excel4:
            return Finding(Kind.SUSPECT, "macro-excel4", path, self.name, detail)
        if starts and suspicious:
            return Finding(Kind.SUSPECT, "macro-auto-start", path, self.name, detail)
        return None


def _library(engine: str) -> ModuleType:
    if find_spec("oletools") is None:
        raise EngineError(f"engine {engine}: {_REMEDY}")
    library = import_module("oletools.olevba")
    logging.getLogger("olevba").setLevel(logging.CRITICAL)
    return library
