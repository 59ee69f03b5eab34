"""Banned content: programs and scripts by any of their names and by what they truly are, also inside archives.

What it does: looks at every name that any reader could show, and at the true type of every part.
Not its job: opening archives, telling types (`unpack`).
Raises: `EngineError` for options that name nothing known.

What is banned without options is what few people mail on purpose and Windows or a Java runtime starts on a click. Not banned:
archives, documents (macros have an engine of their own), Unix shell and interpreter scripts, which need a deliberate start, and
Internet shortcuts that lead to the web and do no more than a link in the text would.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version

from gatepost.mail.engines.names import extensions, trick
from gatepost.mail.engines.options import Options
from gatepost.mail.inspect.engine import EngineInfo
from gatepost.mail.model import Envelope, Finding, Kind, Message, Part
from gatepost.mail.unpack.filetype import category
from gatepost.mail.unpack.magic import TYPES, Category
from gatepost.mail.unpack.opened import PDF_SCRIPT

_WINDOWS = "exe com scr pif cpl dll ocx sys drv msi msp mst msix appx msixbundle appxbundle gadget xll wll"
_SCRIPTS = "bat cmd vbs vbe js jse ws wsf wsc wsh sct hta ps1 ps1xml ps2 psc1 psc2 psm1 psd1 msh mshxml jsb"
_SHORTCUTS = (
    "lnk url scf inf reg application appref-ms settingcontent-ms library-ms search-ms searchconnector-ms website rdp iqy slk "
    "diagcab theme themepack"
)
_RUNTIMES = "jar jnlp class apk dex command action workflow"
_HELP_AND_CONSOLES = "chm hlp msc ade adp mde mda mdz vb vxd pcd shb shs grp job"
EXTENSIONS = frozenset(f"{_WINDOWS} {_SCRIPTS} {_SHORTCUTS} {_RUNTIMES} {_HELP_AND_CONSOLES}".split())
CATEGORIES = (Category.EXECUTABLE, Category.SCRIPT, Category.SHORTCUT)
_WEB_LINK = re.compile(
    rb"\xef?\xbb?\xbf?\s*\[(?:DEFAULT|InternetShortcut)\]\r?\n(?:[A-Za-z]+=(?:https?://[^\r\n\\]*|[0-9A-F]*)\r?\n|\[InternetShortcut\]\r?\n|\s)*",
    re.IGNORECASE,
)
_LINK_BYTES = 4096
_DELIBERATE = frozenset({"shell", "interpreter-script"})


class Banned:
    """The engine `banned`. Options: `extensions` (instead of ours), `types` (ids or categories, instead of ours), `allow` (either, taken away)."""

    local = True

    def __init__(self, name: str, options: Mapping[str, object]) -> None:
        given = Options(name, options)
        self.name = name
        allowed = frozenset(item.lower().lstrip(".") for item in given.texts("allow"))
        self._extensions = frozenset(item.lower().lstrip(".") for item in given.texts("extensions", tuple(EXTENSIONS))) - allowed
        chosen = given.texts("types")
        given.done()
        if unknown := sorted(set(chosen) - set(TYPES) - set(Category)):
            raise given.error("types", f"names no type or category: {', '.join(unknown)}")
        self._types = _expand(chosen or CATEGORIES) - (frozenset() if chosen else _DELIBERATE) - _expand(allowed)

    def info(self) -> EngineInfo:
        """Give our own version: the tables are part of it."""
        return EngineInfo(f"Gatepost {version('gatepost')}")

    def inspect(self, message: Message, envelope: Envelope, deadline: float) -> tuple[Finding, ...]:
        """Look at names and types; one finding for each part at most."""
        del envelope, deadline
        return tuple(finding for part in message.parts if (finding := self._judge(part)))

    def _judge(self, part: Part) -> Finding | None:
        if part.reading == PDF_SCRIPT:
            return None
        for name in part.names:
            if found := trick(name):
                return self._found(f"name:{found}", part, f"the name {_shown(name)} hides what kind of file it is")
            if not self._extensions.isdisjoint(endings := extensions(name)) and not _is_harmless(part, endings):
                extension = next(ending for ending in endings if ending in self._extensions)
                return self._found(f"name:{extension}", part, f"files like {_shown(name)} are not let through")
        if part.type in self._types and _can_be_opened(part) and not (part.type == "url" and _is_web_link(part)):
            called = f", called {_shown(part.names[0])}" if part.names else ""
            return self._found(f"type:{part.type}", part, f"this is truly a file of type {part.type}{called}")
        return None

    def _found(self, name: str, part: Part, detail: str) -> Finding:
        return Finding(Kind.BANNED, name, part.path, self.name, detail)


def _expand(items: Iterable[str]) -> frozenset[str]:
    """Give the ids of types for ids and categories."""
    wanted = frozenset(items)
    return frozenset(id_ for id_, kind in TYPES.items() if id_ in wanted or kind.category in wanted)


def _can_be_opened(part: Part) -> bool:
    """A text that is only shown in the mail itself starts nothing, even if it looks like a script."""
    shown = part.declared in {"", "text/plain", "text/html"} and part.disposition != "attachment"
    return not shown or bool(part.names) or "!" in part.path or category(part.type) is Category.EXECUTABLE


def _is_harmless(part: Part, endings: tuple[str, ...]) -> bool:
    """Tell what has a banned ending by accident: a mail called after its sender, "bob@example.com", and a mere link to the web."""
    if endings == ("com",):
        return part.declared == "message/rfc822" or category(part.type) is Category.MAIL
    return endings == ("url",) and _is_web_link(part)


def _is_web_link(part: Part) -> bool:
    return len(part.data) <= _LINK_BYTES and _WEB_LINK.fullmatch(part.data) is not None


def _shown(name: str) -> str:
    return ascii(name[-80:])
