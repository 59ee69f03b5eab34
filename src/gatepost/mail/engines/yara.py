"""YARA-X in process: the engine that works with nothing else installed.

What it does: compiles our own rules and the user's once, keeps the compiled form on disk under the digest of its sources, and
scans the raw mail and each different content in it.
Not its job: fetching rules.
Raises: `EngineError` for rules that cannot be read or compiled and for scans that do not finish.

A rule says by its metadata `kind` what a match means (virus, banned, spam, suspect); without it a match is a virus. `description` becomes
the finding's text. Names of rules are given without their file.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from importlib.metadata import version
from pathlib import Path

import yara_x

from gatepost.mail.engines.options import Options
from gatepost.mail.inspect.content import Piece, everything
from gatepost.mail.inspect.engine import EngineError, EngineInfo, EngineTimeoutError
from gatepost.mail.model import Envelope, Finding, Kind, Message
from gatepost.system.foreign import attempt

_SUFFIXES = {".yar", ".yara"}
_MATCHES_PER_PATTERN = 1000


class Yara:
    """The engine `yara`. Options: `rules` (files or directories of the user's own), `own_rules` (ours as well, true), `cache` (a directory)."""

    local = True

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        given = Options(name, options)
        self.name = name
        sources = _sources(given.texts("rules"), own=given.flag("own_rules", default=True))
        cache = given.text("cache", "")
        given.done()
        self._digest = _digest(sources)
        self._rules = _compiled(sources, Path(cache) / f"{self._digest}.yrc" if cache else None)
        self._scanner = yara_x.Scanner(self._rules)
        self._scanner.fast_scan(True)  # noqa: FBT003 - the library takes no name for it
        self._scanner.max_matches_per_pattern(_MATCHES_PER_PATTERN)
        self._seconds = 0

    def info(self) -> EngineInfo:
        """Give the library's version and the digest of the rules."""
        return EngineInfo(f"YARA-X {version('yara-x')}", self._digest[:16])

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Look at the mail."""
        del envelope
        return self.look(self.select(message), deadline)

    def select(self, message: Message) -> list[Piece]:
        """Choose the raw mail and each different content in it."""
        return everything(message)

    def look(self, pieces: Sequence[Piece], deadline: float) -> tuple[Finding, ...]:
        """Scan `pieces`."""
        findings = []
        for piece in pieces:
            self._allow(deadline - time.monotonic())
            results = attempt(self._scanner.scan, bytes(piece.data))
            if isinstance(results, yara_x.TimeoutError):
                raise EngineTimeoutError(f"scanning part {piece.path or 'raw'} took too long")
            if isinstance(results, Exception):
                raise EngineError(f"scanning part {piece.path or 'raw'}: {results}")
            findings += [self._finding(rule, piece.path) for rule in results.matching_rules]
        return tuple(findings)

    def _allow(self, seconds: float) -> None:
        """Bound the next scan; the library takes whole seconds, and setting them costs more than a small scan."""
        if seconds <= 0:
            raise EngineTimeoutError("no time is left")
        whole = math.ceil(seconds)
        if whole != self._seconds:
            self._scanner.set_timeout(whole)
            self._seconds = whole

    def _finding(self, rule: yara_x.Rule, path: str) -> Finding:
        about = dict(rule.metadata)
        return Finding(_kind(about.get("kind")), rule.identifier, path, self.name, str(about.get("description", "")))


def _kind(said: object) -> Kind:
    return Kind(str(said)) if said in set(Kind) else Kind.VIRUS


def _sources(paths: Sequence[str], *, own: bool) -> list[tuple[str, bytes]]:
    """Read every rule file: its name and its text, in a fixed order."""
    sources = []
    if own:
        rules = resources.files("gatepost.mail.engines") / "rules"
        sources = [
            (item.name, item.read_bytes()) for item in sorted(rules.iterdir(), key=lambda item: item.name) if item.name.endswith(".yar")
        ]
    for path in map(Path, paths):
        sources += [(str(file), _read(file)) for file in _files(path)]
    if not sources:
        raise EngineError("there are no YARA rules: name files with the option 'rules', or leave 'own_rules' true")
    return sources


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix in _SUFFIXES)
    if not files:
        raise EngineError(f"{path} holds no files that end in .yar or .yara")
    return files


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise EngineError(
            f"cannot read the YARA rules {file}: {error.strerror}; correct the option 'rules', or give the user that runs Gatepost the right to read them"
        ) from error


def _digest(sources: Sequence[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256(version("yara-x").encode())
    for name, text in sources:
        digest.update(f"\0{Path(name).name}\0{len(text)}\0".encode())
        digest.update(text)
    return digest.hexdigest()


def _compiled(sources: Sequence[tuple[str, bytes]], cached: Path | None) -> yara_x.Rules:
    """Give compiled rules, from the cache when it holds exactly these."""
    if cached is not None and cached.is_file():
        rules = attempt(_load, cached)
        if not isinstance(rules, Exception):
            return rules
    rules = _compile(sources)
    if cached is not None:
        _store(rules, cached)
    return rules


def _load(cached: Path) -> yara_x.Rules:
    return yara_x.Rules.deserialize_from(io.BytesIO(cached.read_bytes()))


def _compile(sources: Sequence[tuple[str, bytes]]) -> yara_x.Rules:
    compiler = yara_x.Compiler()
    for name, text in sources:
        # A namespace for each file, so that two files may use one rule name.
        compiler.new_namespace(name)
        try:
            compiler.add_source(text.decode(), origin=name)
        except (yara_x.CompileError, UnicodeDecodeError) as error:
            raise EngineError(f"YARA rules {name}: {error}; correct the rule, or take the file out of the option 'rules'") from error
    return compiler.build()


def _store(rules: yara_x.Rules, cached: Path) -> None:
    """Keep compiled rules. Only who may write the cache may change what is loaded from it, so it must be ours."""
    buffer = io.BytesIO()
    rules.serialize_into(buffer)
    partial = cached.with_suffix(f".{os.getpid()}")
    try:
        cached.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.write_bytes(buffer.getvalue())
        partial.replace(cached)
    except OSError as error:
        raise EngineError(f"cannot keep compiled YARA rules in {cached.parent}: {error.strerror}; set the option 'cache'") from error
