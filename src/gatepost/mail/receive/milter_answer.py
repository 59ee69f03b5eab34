"""What the handler decided, in the words of the milter protocol.

What it does: turns an `Answer` into the packets that end a message: changes first, the final word last.
Not its job: deciding; sending.
Raises: `ProtocolError` when the answer cannot be carried out as it stands: the MTA did not agree to such a change, or a recipient is
not one of the mail's. The server then answers a temporary failure, because a part of an answer is not the answer.

Order of header changes: deletions count the mail as received, so they go from the last to the first, because Postfix renumbers after
each deletion and Sendmail does not. Additions follow at index 0, above the Received field of the MTA, and stand there in the order given.

A replaced content is a whole mail: header, empty line, body. Its MIME-Version and Content-* fields take the place of the mail's; other
fields are the MTA's to keep. A content that begins with an empty line has no such fields.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gatepost.mail.act.rewrite import folded
from gatepost.mail.model import Answer, HeaderEdit
from gatepost.mail.receive.milter_wire import (
    HEAD,
    NEEDS,
    Command,
    Options,
    ProtocolError,
    Response,
    Step,
    add_header,
    delete_header,
    delete_recipient,
    insert_header,
    replace_body,
    reply,
    reply_code,
    text,
)

_DONE = 250
_ALL_CHANGES = 3  # INSHEADER came with version 3
_CONTENT_FIELD = re.compile(rb"^(mime-version|content-[!-9;-~]*)[ \t]*:((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
_HEADER_END = re.compile(rb"\A\r?\n|\r?\n\r?\n")

DISCARD = reply(Command.EOB, Response.DISCARD)
CONTINUE = reply(Command.EOB, Response.CONTINUE)
PROGRESS = reply(Command.EOB, Response.PROGRESS)


def final_packets(answer: Answer, addresses: Mapping[str, bytes], agreed: Options, header: bytes = b"") -> bytes:
    """All packets that answer end of message. `addresses` are the mail's recipients as the MTA wrote them, `header` its header as received."""
    if answer.reply.code != _DONE:
        return reply_code(answer.reply)
    if not answer.recipients:
        return DISCARD
    changes = list(_changes(answer, addresses, agreed, header))
    for change in changes:
        _check_agreed(change, agreed)
    return b"".join([*changes, CONTINUE])


def _check_agreed(change: bytes, agreed: Options) -> None:
    kind = Response(HEAD.unpack_from(change)[1])
    if not agreed.actions & NEEDS[kind]:
        raise ProtocolError(f"the MTA does not let us do {kind.name}")


def _changes(answer: Answer, addresses: Mapping[str, bytes], agreed: Options, header: bytes) -> Iterator[bytes]:
    space = bool(agreed.steps & Step.HDR_LEADSPC)
    yield from _dropped_recipients(answer.recipients, addresses)
    deletions = sorted((edit for edit in answer.headers if edit.value is None), key=_index, reverse=True)
    yield from (delete_header(edit.name, edit.index) for edit in deletions)
    if answer.body is not None:
        yield from _replaced_content(answer.body, header, space=space)
    yield from _added_fields(answer.headers, agreed, space=space)


def _added_fields(edits: tuple[HeaderEdit, ...], agreed: Options, *, space: bool) -> Iterator[bytes]:
    fields = [(edit.name, folded(edit.value, "\n")) for edit in edits if edit.value is not None]
    if agreed.version >= _ALL_CHANGES:
        # Each goes on top of the one before.
        yield from (insert_header(name, value, space=space) for name, value in reversed(fields))
    else:
        yield from (add_header(name, value, space=space) for name, value in fields)


def _index(edit: HeaderEdit) -> int:
    return edit.index


def _dropped_recipients(kept: tuple[str, ...], addresses: Mapping[str, bytes]) -> Iterator[bytes]:
    unknown = set(kept) - addresses.keys()
    if unknown:
        raise ProtocolError(f"the answer names recipients that the mail has not: {sorted(unknown)!a}")
    yield from (delete_recipient(raw) for address, raw in addresses.items() if address not in kept)


def _replaced_content(content: bytes, header: bytes, *, space: bool) -> Iterator[bytes]:
    end = _HEADER_END.search(content)
    if end is None:
        raise ProtocolError("the new content has no empty line after its header")
    names = [match[1].lower() for match in _CONTENT_FIELD.finditer(header)]
    for name in dict.fromkeys(names):
        yield from (delete_header(text(name), index) for index in range(names.count(name), 0, -1))
    for field in _CONTENT_FIELD.finditer(content, 0, end.start()):
        yield add_header(text(field[1]), text(field[2]).strip(" \t"), space=space)
    yield from replace_body(memoryview(content)[end.end() :])
