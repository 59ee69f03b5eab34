"""What of the file system is watched, and how; compiled and checked by `gatepost.integrity`.

What it does: gives the declarations a type. Without rules of its own a site gets a policy made for the host and its role.
Not its job: whether paths exist, and what the words mean (`gatepost.integrity.compile`).
Raises: pydantic's ValidationError, which `gatepost.site.load` turns into messages with line numbers.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from gatepost.site.base import Section


def _absolute(path: str) -> str:
    if not path.startswith("/"):
        raise ValueError(f"'{path}' must be an absolute path, such as /etc")
    return path


AbsolutePath = Annotated[str, AfterValidator(_absolute)]
Severity = Annotated[int, Field(ge=0, le=1_000_000)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80)]


class Rule(Section):
    """One rule: `paths` and everything below, `recurse` levels deep (-1 without end), watched for `watch`.

    `watch` is a word such as ReadOnly, Config, Dynamic, Growing, Device, IgnoreAll or IgnoreNone, with single attributes added or taken
    away: "ReadOnly-ctime"; Ignore leaves the objects alone. `skip` are stop points below the paths. `pattern`, a regular expression over the whole path, narrows the rule.
    With `always` content is read in every run, whatever the metadata say. Findings go to `mail` besides the addresses of the section.
    """

    name: Name
    paths: Annotated[tuple[AbsolutePath, ...], Field(min_length=1)]
    watch: str = "ReadOnly"
    severity: Severity = 66
    mail: tuple[str, ...] = ()
    recurse: Annotated[int, Field(ge=-1)] = -1
    skip: tuple[AbsolutePath, ...] = ()
    pattern: str = ""
    always: bool = False


class Allowed(Section):
    """What a host may have beyond its role, each by name: packages (patterns), ports ("8080/tcp"), privileged files, units, accounts."""

    packages: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    privileged: tuple[AbsolutePath, ...] = ()
    units: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()


class Integrity(Section):
    """The integrity section of the site file.

    `role` picks the default policy and the host audit: firewall, relay, mail-server or server. `rules` replace the default policy, `extra`
    are added to it, `skip` are paths left alone, `absent` paths that must not exist. `share` of the unmoved files is read in each
    check all the same, all of them every `full_days`. `signer` is the public key ("ed25519 ...") that must have signed the baseline; without it the
    key on this host does. With `strict` acceptances need that key too. `canary` is the file that is changed before each check. `mail` gets
    each report, by way of `smarthost`; a report is missing after `overdue_hours`. `live` says that a watch must be running. `allowed` is for the
    host audit.
    """

    role: Literal["", "firewall", "relay", "mail-server", "server"] = ""
    rules: tuple[Rule, ...] = ()
    extra: tuple[Rule, ...] = ()
    skip: tuple[AbsolutePath, ...] = ()
    absent: tuple[AbsolutePath, ...] = ()
    hash: Literal["sha256", "blake3"] = "sha256"
    share: Annotated[float, Field(ge=0, le=1)] = 0.02
    full_days: Annotated[float, Field(gt=0)] = 7
    signer: str = ""
    strict: bool = False
    canary: AbsolutePath = "/etc/gatepost/canary"
    mail: tuple[str, ...] = ()
    sender: str = ""
    smarthost: str = "localhost:25"
    overdue_hours: Annotated[float, Field(gt=0)] = 26
    live: bool = False
    allowed: Allowed = Allowed()
    workers: Annotated[int, Field(ge=1, le=64)] = 2
