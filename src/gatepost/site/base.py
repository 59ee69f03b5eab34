"""The common ground of all sections of the site file: frozen sections, and the units an administrator writes.

What it does: parses durations ("30d"), sizes ("50M"), rates ("100/m"), addresses and sockets into plain values.
Not its job: reading the file (`load`) or comparing sections with each other (`check`).
Raises: `ValueError` with a sentence that says what was expected; pydantic collects it.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer


class Section(BaseModel):
    """A section of the site file. Unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
BYTES = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}

_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")
_SIZE = re.compile(r"(\d+)([KMGT]?)")
_RATE = re.compile(r"(\d+)/([smhd])")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?")
_LOCAL = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")

MAX_PORT = 65_535
MAX_DOMAIN = 253


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where something listens on TCP: a host name of the site, a DNS name or an IP address, and a port."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many events in so many seconds."""

    count: int
    seconds: int

    def __str__(self) -> str:
        """As it is written: "100/m"."""
        return f"{self.count}/{next(unit for unit, seconds in SECONDS.items() if seconds == self.seconds)}"


def parse_duration(text: object) -> float:
    """Seconds from "30d", "12h", "90s"; a bare number is refused, since nobody remembers its unit."""
    if isinstance(text, str) and (match := _DURATION.fullmatch(text)):
        return float(match[1]) * SECONDS[match[2]]
    raise ValueError(f"{text!r} is not a duration; write a number and a unit s, m, h, d or w, like 30d")


def parse_size(text: object) -> int:
    """Bytes from "50M" or "64K" (powers of 1024), or from a whole number."""
    if isinstance(text, int) and not isinstance(text, bool) and text >= 0:
        return text
    if isinstance(text, str) and (match := _SIZE.fullmatch(text)):
        return int(match[1]) * BYTES[match[2]]
    raise ValueError(f"{text!r} is not a size; write a whole number and a unit K, M, G or T, like 50M")


def parse_rate(text: object) -> RateLimit:
    """A rate from "100/m"."""
    if isinstance(text, RateLimit):
        return text
    if isinstance(text, str) and (match := _RATE.fullmatch(text)):
        return RateLimit(int(match[1]), SECONDS[match[2]])
    raise ValueError(f"{text!r} is not a rate; write a count, a slash and a unit s, m, h or d, like 100/m")


def parse_domain(text: str) -> str:
    """A domain in lower case and its ASCII form (RFC 5891)."""
    try:
        ascii_form = text.strip().rstrip(".").encode("idna").decode("ascii").lower()
    except UnicodeError:
        ascii_form = ""
    labels = ascii_form.split(".")
    if len(ascii_form) > MAX_DOMAIN or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"{text!r} is not a domain; write it like widget.example")
    return ascii_form


def parse_address(text: str) -> str:
    """A mail address (RFC 5321 4.1.2, without quoted local parts); the domain in lower case."""
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        raise ValueError(f"{text!r} is not a mail address; write it like postmaster@widget.example")
    return f"{local}@{parse_domain(domain)}"


def parse_endpoint(text: str, port: int | None = None) -> Endpoint:
    """Host and port from "host:port", "192.0.2.1:25" or "[2001:db8::1]:25"; `port` is taken when none is written."""
    match = re.fullmatch(r"\[([^\]]+)\](?::(\d+))?|([^:\[\]]+)(?::(\d+))?", text)
    number = int((match[2] or match[4] or port or 0) if match else 0)
    host = (match[1] or match[3]) if match else ""
    if not host or not _is_host(host) or not 0 < number <= MAX_PORT:
        raise ValueError(f"{text!r} is not a host and a port; write host:port, 192.0.2.1:25 or [2001:db8::1]:25")
    return Endpoint(host, number)


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST.fullmatch(text)) and not re.fullmatch(r"[\d.]+", text)
    return True


def parse_socket(text: str) -> Endpoint | str:
    """Where a daemon listens: the path of "unix:/path", or the endpoint of "host:port" or "tcp:host:port"."""
    scheme, colon, rest = text.partition(":")
    if scheme == "unix" and colon:
        if not rest.startswith("/"):
            raise ValueError(f"{text!r} needs a full path after unix:, like unix:/run/clamav/clamd.ctl")
        return rest
    try:
        return parse_endpoint(rest if scheme in {"tcp", "inet"} else text)
    except ValueError:
        raise ValueError(f"{text!r} is not a socket; write unix:/path or host:port") from None


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a network: {error}; write it like 192.168.2.0/24") from None


def _endpoint_text(text: str) -> str:
    parse_endpoint(text, 25)
    return text


def _socket_text(text: str) -> str:
    parse_socket(text)
    return text


def _absolute(text: str) -> str:
    if not text.startswith("/") or "\0" in text or ".." in text.split("/"):
        raise ValueError(f"{text!r} is not a full path; start it with / and leave out ..")
    return text


Duration = Annotated[float, BeforeValidator(lambda value: value if isinstance(value, float) else parse_duration(value))]
"""Seconds; written "30d"."""
Size = Annotated[int, BeforeValidator(parse_size)]
"""Bytes; written "50M"."""
Rate = Annotated[RateLimit, BeforeValidator(parse_rate), PlainSerializer(str)]
"""A count in a time; written "100/m"."""
Domain = Annotated[str, AfterValidator(parse_domain)]
Address = Annotated[str, AfterValidator(parse_address)]
Network = Annotated[str, AfterValidator(_network)]
HostPort = Annotated[str, AfterValidator(_endpoint_text)]
"""A TCP endpoint, kept as written; `parse_endpoint(text, 25)` takes it apart."""
Listener = Annotated[str, AfterValidator(lambda text: text and _endpoint_text(text))]
"""A TCP endpoint to listen on, or "" for none."""
Socket = Annotated[str, AfterValidator(_socket_text)]
"""A Unix or TCP socket, kept as written; `parse_socket` takes it apart."""
FilePath = Annotated[str, AfterValidator(_absolute)]
