"""The table of quirks: each row is one way in which some reader sees another mail in the same bytes.

What it does: names each quirk, its source and its cheap trigger, and holds the function that derives what that reader sees.
Not its job: walking the mail (`union` does, row by row). `docs/readings.md` is this table in print.
Raises: nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

from gatepost.mail.parse import derive
from gatepost.mail.parse.derive import Fields, Place
from gatepost.mail.parse.transfer import Encoding

D = TypeVar("D", bound=Callable[..., object])
Trigger = Callable[[bytes], object]

INBOX = "Inbox Invasion (ACM CCS 2024)"
NOXXI = "Ullrich, MIME is broken (BSides Munich 2022)"
CLAM = "ClamAV pull requests 1720 and 1814"
JUNK = "CVE-2006-6405, CVE-2004-2619"


class Stage(StrEnum):
    """What a quirk changes: the whole mail, where a header ends, which lines are fields, a field's value, how a body is split, how it is decoded; or nothing (a rule)."""

    MAIL = "whole mail"
    FRAME = "end of a header"
    FIELD = "fields of a header"
    VALUE = "value of a field"
    SPLIT = "delimiters"
    BODY = "decoding"
    RULE = "rule"


@dataclass(frozen=True, slots=True)
class Quirk(Generic[D]):
    """One row. `trigger` None means that any oddity in the mail is reason enough to try; `refuse` that no honest sender writes it."""

    id: str
    stage: Stage
    reader: str
    source: str
    derive: D
    trigger: Trigger | None = None
    refuse: bool = False


Rewrite = Callable[[bytes], bytes]
Frames = Callable[[bytes], Iterable[Place]]
FieldReader = Callable[[bytes], Fields]
Split = Callable[[bytes, tuple[bytes, ...]], Iterable[bytes]]
Bodies = Callable[[bytes], Iterable[bytes]]
Rule = Callable[[Fields], bool]

MAIL: tuple[Quirk[Rewrite], ...] = (
    Quirk(
        "line-ends",
        Stage.MAIL,
        "takes CR, LF, CRLF and CRs before LF for one line end each",
        f"{INBOX}, category 2; CVE-2023-51764",
        derive.one_line_end,
        derive.mixed_ends,
    ),
    Quirk(
        "line-ends-each",
        Stage.MAIL,
        "takes every CR for a line end of its own, so CR CR LF is a blank line",
        f"{INBOX}, category 2",
        derive.each_line_end,
        derive.BARE_CR.search,
    ),
    Quirk(
        "crlf-only",
        Stage.MAIL,
        "takes only CRLF for a line end; a bare CR or LF is a blank",
        "RFC 5322 2.2 and 2.3",
        derive.only_crlf,
        derive.mixed_ends,
    ),
    Quirk("nul", Stage.MAIL, "drops NUL bytes", f"{INBOX}, category 1", derive.without_nul, re.compile(rb"\x00").search),
    Quirk(
        "control-blank",
        Stage.MAIL,
        "takes control characters for blanks",
        f"{NOXXI}; own",
        derive.control_blank,
        re.compile(rb"[\x00\x0b\x0c\x1a\x1c-\x1f]").search,
    ),
    Quirk(
        "byte-order-mark",
        Stage.MAIL,
        "skips a byte order mark before the first field",
        "RFC 3629 6",
        derive.without_mark,
        re.compile(rb"\A\xef\xbb\xbf").search,
    ),
    Quirk(
        "leading-blank",
        Stage.MAIL,
        "skips blank lines before the first field, as some servers do",
        f"{INBOX}, category 2",
        derive.without_leading_blank,
        re.compile(rb"\A\s").search,
    ),
)

FRAMES: tuple[Quirk[Frames], ...] = (
    Quirk(
        "blank-first",
        Stage.FRAME,
        "skips blank lines before a part's fields",
        f"{INBOX}, category 2",
        derive.after_blank_lines,
        re.compile(rb"\A\s").search,
    ),
    Quirk(
        "padded-blank",
        Stage.FRAME,
        "takes a line of blanks or control characters for the blank line",
        f"{NOXXI}; {CLAM}",
        derive.padded_blank,
        re.compile(rb"\n[ \t\r\x0b\x0c\x00]+\n").search,
    ),
    Quirk(
        "no-blank-line",
        Stage.FRAME,
        "ends the header at the first line that is no field",
        "RFC 5322 2.2; CPython email",
        derive.first_no_field,
    ),
    Quirk(
        "content-later",
        Stage.FRAME,
        "goes on reading fields after a blank line when content fields stand there",
        INBOX,
        derive.later_fields,
        re.compile(rb"(?i)\n[ \t\x0b\x0c]*+content-").search,
    ),
    Quirk("no-header", Stage.FRAME, "takes the whole for a body", "own", derive.no_header, derive.framed_oddly),
)

FIELDS: tuple[Quirk[FieldReader], ...] = (
    Quirk(
        "any-field",
        Stage.FIELD,
        "takes any of several fields, values or parameters where the plain reading takes the first",
        f"{INBOX}, category 1; {NOXXI}; CVE-2024-28054",
        derive.any_field,
    ),
    Quirk(
        "odd-name",
        Stage.FIELD,
        "forgives blanks, control characters, comments, quoting marks and colons round a field's name, and indents",
        f"{INBOX}, category 1; {NOXXI}; {CLAM}",
        derive.odd_names,
    ),
    Quirk(
        "cut-fold",
        Stage.FIELD,
        "ends a field at its first line end although the next line is folded",
        f"{INBOX}, category 1",
        derive.cut_folds,
        re.compile(rb"\n[ \t]").search,
    ),
)

VALUES: tuple[Quirk[Rewrite], ...] = (
    Quirk(
        "comment",
        Stage.VALUE,
        "drops comments, nested and unclosed ones too",
        "RFC 5322 3.2.2; CVE-2004-0162",
        derive.without_comments,
        re.compile(rb"\(").search,
    ),
    Quirk(
        "comment-kept",
        Stage.VALUE,
        "knows no comments and takes the brackets for blanks",
        "RFC 5322 3.2.2; CVE-2004-0162",
        derive.brackets_blank,
        re.compile(rb"[()]").search,
    ),
    Quirk(
        "encoded-word",
        Stage.VALUE,
        "decodes encoded words where they are not allowed",
        "RFC 2047 5; CVE-2004-0053; CPANSA-MIME-tools-2026-116266",
        derive.encoded_words,
        re.compile(rb"=\?").search,
    ),
    Quirk("quotes", Stage.VALUE, "drops quotation marks", NOXXI, derive.without_quotes, re.compile(rb"[\"']").search),
    Quirk(
        "backslash",
        Stage.VALUE,
        "drops backslashes outside quoted strings",
        "RFC 5322 3.2.4",
        derive.without_backslash,
        re.compile(rb"\\").search,
    ),
    Quirk("control-cut", Stage.VALUE, "ends the value at a control character", INBOX, derive.cut_at_control, derive.CONTROL.search),
    Quirk(
        "control-dropped",
        Stage.VALUE,
        "drops control characters and non-ASCII",
        INBOX,
        derive.without_control,
        re.compile(rb"[\x00-\x08\x0b-\x1f\x7f-\xff]").search,
    ),
    Quirk("comma", Stage.VALUE, "takes a comma for the semicolon", NOXXI, derive.comma_semicolon, re.compile(rb",").search),
    Quirk(
        "blank-semicolon",
        Stage.VALUE,
        "does without the semicolon",
        INBOX,
        derive.blank_semicolon,
        re.compile(rb"[^\s;,]\s+[\w*-]+\s*=").search,
    ),
    Quirk(
        "glued-fold",
        Stage.VALUE,
        "drops the blank of a fold with the line end",
        "RFC 5322 2.2.3",
        derive.glued_folds,
        re.compile(rb"\n").search,
    ),
)

SPLITS: tuple[Quirk[Split], ...] = (
    Quirk(
        "after-close",
        Stage.SPLIT,
        "goes on after the closing delimiter, and shows preamble and epilogue",
        f"{INBOX}, category 2; RFC 2046 5.1.1",
        derive.exact_all,
    ),
    Quirk(
        "loose-delimiter",
        Stage.SPLIT,
        "takes any line that starts with a delimiter for one, whatever follows or indents it",
        f"{CLAM}; {NOXXI}",
        derive.loose,
    ),
    Quirk(
        "guessed-delimiter",
        Stage.SPLIT,
        "takes every line that starts with two dashes for a delimiter",
        f"{NOXXI}; ripMIME, uudeview",
        derive.guessed,
        re.compile(rb"--").search,
    ),
)

BODIES: dict[Encoding, tuple[Quirk[Bodies], ...]] = {
    Encoding.BASE64: (
        Quirk(
            "base64-lenient",
            Stage.BODY,
            "skips, stops at, or goes on after foreign characters and inner padding; decodes by line, by quad, or from a later letter",
            f"RFC 2045 6.8; {JUNK}; {NOXXI}",
            derive.base64_all,
        ),
    ),
    Encoding.QUOTED: (
        Quirk(
            "quoted-lenient",
            Stage.BODY,
            "forgives blanks and odd line ends after a soft break, and bad escapes",
            f"RFC 2045 6.7; {INBOX}, category 3",
            derive.quoted_all,
        ),
    ),
    Encoding.UU: (
        Quirk("uuencode-bare", Stage.BODY, "decodes uuencoded lines without begin and end", "POSIX uuencode; uudeview", derive.uu_readings),
    ),
    Encoding.YENC: (Quirk("yenc", Stage.BODY, "decodes yEnc", "yEnc draft 1.3; Thunderbird", derive.yenc_readings),),
    Encoding.BINHEX: (Quirk("binhex", Stage.BODY, "decodes BinHex", "RFC 1741", derive.binhex_readings),),
    Encoding.UNKNOWN: (
        Quirk(
            "guessed-encoding", Stage.BODY, "guesses the encoding from the body", "ripMIME, uudeview; RFC 2045 6.4", derive.guessed_readings
        ),
    ),
}

IN_TURN: Quirk[Callable[[bytes, tuple[Encoding, ...]], Iterable[bytes]]] = Quirk(
    "encodings-in-turn",
    Stage.BODY,
    "undoes several named encodings one after the other, in either order",
    f"own; {NOXXI}",
    derive.in_turn,
)

SWEEP: Quirk[Bodies] = Quirk(
    "ignore-mime",
    Stage.BODY,
    "ignores MIME: decodes every block between blank or delimiter-like lines",
    "draft-chen-email-mime-ambiguity-defense-00; uudeview",
    derive.sweep,
)

RULES: tuple[Quirk[Rule], ...] = (
    Quirk(
        "type-conflict",
        Stage.RULE,
        "takes one of several Content-Type fields that name different structures",
        f"{INBOX}, category 1",
        derive.types_conflict,
    ),
    Quirk(
        "encoding-conflict",
        Stage.RULE,
        "takes one of several transfer encodings",
        f"{INBOX}, category 1; {NOXXI}",
        derive.encodings_conflict,
    ),
    Quirk("boundary-conflict", Stage.RULE, "takes one of several boundaries", "CVE-2024-28054", derive.boundaries_conflict),
    Quirk(
        "control-in-field",
        Stage.RULE,
        "cuts, drops or keeps a control character in a field that says how to read the body",
        f"{INBOX}, category 1",
        derive.control_in_field,
        refuse=True,
    ),
    Quirk(
        "message-partial",
        Stage.RULE,
        "joins the pieces of a mail that came as several",
        "CVE-2002-1121; RFC 2046 5.2.2; MS-OXCMAIL 2.2.3.9.2",
        derive.is_partial,
        refuse=True,
    ),
    Quirk("external-body", Stage.RULE, "fetches the content from elsewhere", "RFC 2046 5.2.3, RFC 2017", derive.is_external, refuse=True),
)


def rows() -> list[Quirk[Any]]:
    """Every row of the table, in the order of the stages."""
    bodies = [row for group in BODIES.values() for row in group]
    return [*MAIL, *FRAMES, *FIELDS, *VALUES, *SPLITS, *bodies, IN_TURN, SWEEP, *RULES]
