"""ClamAV's library in process: no socket, no second reading of mail. Twice as fast as clamd on small mail.

What it does: loads the signatures once, before the workers are forked, so that they share them; gives the library the raw mail
and each different content in it, straight from memory.
Not its job: fetching signatures; a new set needs new workers.
Raises: `EngineError` when library or signatures are missing, and for every scan that does not end in "clean" or "found".

How mail is given. The library's own mail reader is three quarters of its cost on small mail. Every part that we read is given without
it, mails in mails too, since their parts are given as well. On a plain mail (one reading, no oddity) it is off altogether, and
the mail is given without the middle of its large attachments (`parse.outline`); on any other it reads the raw mail, as one more reader.
What a plain mail loses thereby is the library's comparison of link texts with link targets (phishing heuristics), which lives in its mail reader;
`mail_reader = "always"` keeps that. Signatures for mail files match with the reader off too.

A decoder's bug strikes in our process, which is why workers are jailed. The library is GPL-2.0-only; Gatepost loads it when asked to.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from ctypes.util import find_library
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from gatepost.mail.engines import clamnames
from gatepost.mail.engines.options import Options
from gatepost.mail.inspect.content import Piece, everything, outlined, too_large, within
from gatepost.mail.inspect.engine import EngineError, EngineInfo, EngineTimeoutError
from gatepost.mail.model import Envelope, Finding, Message

DEFAULT_DATABASE = "/var/lib/clamav"
MAX_SIZE = 400_000_000
MAX_SECONDS = 30.0
SCRATCH = "/dev/shm"  # noqa: S108 - the library makes private directories in it; on a disk it would wait for the disk

# From clamav.h of ClamAV 1.0 to 1.4. `_check_numbers` proves at start that the library in use counts its settings like this.
_INIT_DEFAULT = 0
_DB_STANDARD = 0x2 | 0x8 | 0x2000  # phishing signatures, their URLs, bytecode
_CLEAN, _VIRUS = 0, 1
_MAX_SCAN_SIZE, _MAX_FILE_SIZE, _MAX_FILES, _DB_VERSION, _DB_TIME = 0, 1, 3, 8, 9
_TEMPORARY_DIRECTORY = 13
_DISABLE_CACHE, _MAX_PARTITIONS, _MAX_SCAN_TIME = 25, 28, 31
_KNOWN_DEFAULTS = {_MAX_FILES: 10_000, _DISABLE_CACHE: 0, _MAX_PARTITIONS: 50, _MAX_SCAN_TIME: 120_000}
_GENERAL_HEURISTICS = 0x4
_PARSE_ALL, _PARSE_MAIL = 0xFFFFFFFF, 0x40
_ALERT_EXCEEDS_MAX, _ALERT_ENCRYPTED = 0x4, 0x40 | 0x80


class _ScanOptions(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("general", "parse", "heuristic", "mail", "dev"))


class _Setup(NamedTuple):
    """What makes one loaded engine different from another."""

    database: str
    max_size: int
    max_milliseconds: int


class Libclamav:
    """The engine `libclamav`.

    Options: `database` (directory of signatures), `mail_reader` ("auto" or "always"), `max_size`, `max_seconds`, `scratch` (a directory in memory, where the library puts what it unpacks).
    """

    local = True

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        given = Options(name, options)
        self.name = name
        setup, scratch, always = _read(given)
        self._max_size = setup.max_size
        self._loaded = _load(setup)
        self._loaded.use_scratch(scratch)
        self._always = always
        alerts = _ALERT_EXCEEDS_MAX | _ALERT_ENCRYPTED
        self._with_reader = _ScanOptions(_GENERAL_HEURISTICS, _PARSE_ALL, alerts, 0, 0)
        self._without_reader = _ScanOptions(_GENERAL_HEURISTICS, _PARSE_ALL & ~_PARSE_MAIL, alerts, 0, 0)

    @staticmethod
    def preload(options: Mapping[str, object]) -> None:
        """Load the signatures once for all workers that are forked afterwards."""
        _load(_read(Options("libclamav", options))[0])

    def info(self) -> EngineInfo:
        """Give the library's version, and version and time of the loaded signatures."""
        return self._loaded.info

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Look at the mail."""
        del envelope
        return self.look(self.select(message), deadline)

    def select(self, message: Message) -> list[Piece]:
        """Choose the raw mail, or its outline, and each different content in it."""
        return [Piece("", message.raw, as_mail=True), *everything(message)[1:]] if self._always else outlined(message)

    def look(self, pieces: Sequence[Piece], deadline: float) -> tuple[Finding, ...]:
        """Look at `pieces`, with the library's mail reader at those that ask for it."""
        fit, large = within(pieces, self._max_size)
        findings = [too_large(piece, self.name, self._max_size) for piece in large]
        for piece in fit:
            if time.monotonic() >= deadline:
                raise EngineTimeoutError("no time is left")
            signature = self._loaded.scan(piece.data, self._with_reader if piece.as_mail else self._without_reader)
            if signature is not None:
                findings.append(clamnames.finding(signature, piece.path, self.name))
        return tuple(findings)


class _Loaded:
    """The library with one compiled set of signatures."""

    def __init__(self, setup: _Setup) -> None:
        self._library = _library()
        self._engine = self._library.cl_engine_new()
        if not self._engine:
            raise EngineError("libclamav cannot make an engine; is there memory left?")
        _check_numbers(self._library, self._engine)
        self._configure(setup)
        self._fill(setup.database)
        self.info = self._describe(_listed(Path(setup.database)))

    def scan(self, data: bytes | memoryview, options: _ScanOptions) -> str | None:
        """Scan one content: the name of a signature, or None for clean. Raises EngineError."""
        content = bytes(data)
        name = ctypes.c_char_p()
        scanned = ctypes.c_ulong()
        view = self._library.cl_fmap_open_memory(content, len(content))
        if not view:
            raise EngineError("libclamav cannot map a part; is there memory left?")
        try:
            status = self._library.cl_scanmap_callback(
                view, None, ctypes.byref(name), ctypes.byref(scanned), self._engine, ctypes.byref(options), None
            )
        finally:
            self._library.cl_fmap_close(view)
        if status == _CLEAN:
            return None
        if status == _VIRUS and name.value:
            return name.value.decode("utf-8", "replace")
        raise EngineError(f"libclamav could not scan: {self._said(status)}")

    def _configure(self, setup: _Setup) -> None:
        settings = {
            _MAX_SCAN_SIZE: setup.max_size,
            _MAX_FILE_SIZE: setup.max_size,
            _MAX_SCAN_TIME: setup.max_milliseconds,
            _DISABLE_CACHE: 1,  # its cache has no bound in time and hides what a test wants to see; ours is `inspect.cache`
        }
        for field, value in settings.items():
            self._must(self._library.cl_engine_set_num(self._engine, field, value), "cannot be configured")

    def use_scratch(self, directory: str) -> None:
        """Have the library put what it unpacks into `directory`; a worker has one of its own, the signatures are shared."""
        status = self._library.cl_engine_set_str(self._engine, _TEMPORARY_DIRECTORY, directory.encode())
        self._must(status, f"cannot use the scratch directory {directory}")

    def _fill(self, database: str) -> None:
        if not Path(database).exists():
            raise EngineError(f"libclamav: there is no signature directory {database}; set the option 'database' or run freshclam")
        count = ctypes.c_uint()
        status = self._library.cl_load(database.encode(), self._engine, ctypes.byref(count), _DB_STANDARD)
        self._must(status, f"cannot load the signatures in {database}")
        if not count.value:
            raise EngineError(f"libclamav: {database} holds no signatures; run freshclam")
        self._must(self._library.cl_engine_compile(self._engine), "cannot compile the signatures")

    def _describe(self, listed: str) -> EngineInfo:
        version = (self._library.cl_retver() or b"").decode("utf-8", "replace")
        mark = self._library.cl_engine_get_num(self._engine, _DB_VERSION, None)
        at = self._library.cl_engine_get_num(self._engine, _DB_TIME, None)
        return EngineInfo(f"libclamav {version}", str(mark) if mark > 0 else listed, float(max(at, 0)))

    def _must(self, status: int, what: str) -> None:
        if status != _CLEAN:
            raise EngineError(f"libclamav {what}: {self._said(status)}")

    def _said(self, status: int) -> str:
        return (self._library.cl_strerror(status) or b"").decode("utf-8", "replace") or f"status {status}"


def _listed(database: Path) -> str:
    """A mark for signatures without a version of ClamAV's own, such as one's own: it changes when a file does."""
    files = sorted(database.iterdir()) if database.is_dir() else [database]
    seen = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files if path.is_file()]
    return "own-" + hashlib.sha256(repr(seen).encode()).hexdigest()[:12]


@lru_cache(maxsize=4)
def _load(setup: _Setup) -> _Loaded:
    """Load a set of signatures, or give the one that was loaded before forking."""
    return _Loaded(setup)


def _read(given: Options) -> tuple[_Setup, str, bool]:
    """What is loaded, the scratch directory (a scan worker's own, or memory), and whether the mail reader is always on."""
    setup = _Setup(
        given.text("database", DEFAULT_DATABASE),
        given.size("max_size", MAX_SIZE),
        int(given.number("max_seconds", MAX_SECONDS, 0.1) * 1000),
    )
    memory = SCRATCH if os.access(SCRATCH, os.W_OK) else tempfile.gettempdir()
    scratch = given.text("scratch", os.environ.get("TMPDIR", memory))
    if not os.access(scratch, os.W_OK | os.X_OK):
        raise given.error("scratch", f"is a directory that may not be written: {scratch}")
    always = given.choice("mail_reader", ("auto", "always")) == "always"
    given.done()
    return setup, scratch, always


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    name = find_library("clamav")
    if name is None:
        raise EngineError("libclamav is not installed; install the Debian package libclamav12 or use the engine clamav")
    library = ctypes.CDLL(name)
    pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    signatures: dict[str, tuple[type | None, tuple[type, ...]]] = {
        "cl_init": (number, (ctypes.c_uint,)),
        "cl_retver": (text, ()),
        "cl_strerror": (text, (number,)),
        "cl_engine_new": (pointer, ()),
        "cl_engine_set_num": (number, (pointer, number, ctypes.c_longlong)),
        "cl_engine_set_str": (number, (pointer, number, text)),
        "cl_engine_get_num": (ctypes.c_longlong, (pointer, number, pointer)),
        "cl_engine_compile": (number, (pointer,)),
        "cl_load": (number, (text, pointer, pointer, ctypes.c_uint)),
        "cl_fmap_open_memory": (pointer, (text, ctypes.c_size_t)),
        "cl_fmap_close": (None, (pointer,)),
        "cl_scanmap_callback": (number, (pointer, text, pointer, pointer, pointer, pointer, pointer)),
    }
    for function, (result, arguments) in signatures.items():
        getattr(library, function).restype = result
        getattr(library, function).argtypes = arguments
    if library.cl_init(_INIT_DEFAULT) != _CLEAN:
        raise EngineError("libclamav cannot be initialised")
    return library


def _check_numbers(library: ctypes.CDLL, engine: int) -> None:
    """Refuse a library that counts its settings otherwise than we do, since a limit would then be another setting's value."""
    for field, value in _KNOWN_DEFAULTS.items():
        if library.cl_engine_get_num(engine, field, None) != value:
            raise EngineError("this version of libclamav is not known to Gatepost; use the engine clamav instead")
