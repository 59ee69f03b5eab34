"""Runs nft: checks and loads a text, and lists what is loaded; on this host, or in a network namespace that lives as long as the call.

What it does: the only place that starts nft.
Not its job: what the text says (`compile`), what the listing means (`nft_reader`).
Raises: `NftError` with nft's own words; a missing program is one too.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence

SECONDS = 120
"""Longer than any rule set takes; a hanging nft must not hang us."""


class NftError(Exception):
    """nft refused, or could not be run."""


def _run(command: Sequence[str], text: str = "") -> str:
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError as error:
        raise NftError(f"{error.filename} is not installed; install the packages nftables and util-linux") from None
    except subprocess.TimeoutExpired:
        raise NftError(f"{command[0]} did not answer within {SECONDS} seconds") from None
    if done.returncode:
        raise NftError(done.stderr.strip() or f"{' '.join(command)} failed with status {done.returncode}")
    return done.stdout


def apart() -> list[str]:
    """How to start a command in a network namespace of its own; without root, in a user namespace too."""
    return ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--user", "--map-root-user"]


def check(text: str) -> None:
    """Let nft and the kernel check a text without loading it anywhere."""
    _run([*apart(), "nft", "-c", "-f", "-"], text)


def rehearse(text: str) -> str:
    """Load a text into an empty network namespace and give the JSON listing of what the kernel then holds."""
    return _run([*apart(), "sh", "-c", "nft -f - && nft -j list ruleset"], text)


def load(text: str, namespace: str = "") -> None:
    """Load a text on this host, or in a named namespace."""
    _run([*inside(namespace), "nft", "-f", "-"], text)


def listing(namespace: str = "") -> str:
    """The JSON listing of everything that is loaded."""
    return _run([*inside(namespace), "nft", "-j", "list", "ruleset"])


def table_text(table: str, namespace: str = "") -> str:
    """One inet table as text for `nft -f`, without its counters."""
    return _run([*inside(namespace), "nft", "-s", "list", "table", "inet", table])


def objects(text: str, table: str) -> list[tuple[str, str]]:
    """The sets, maps and chains without a hook that a JSON listing shows in one inet table, by kind and name."""
    found = []
    for item in json.loads(text)["nftables"]:
        kind, value = next(iter(item.items()))
        if kind in {"set", "map", "chain"} and (value["family"], value["table"]) == ("inet", table) and "hook" not in value:
            found.append((kind, value["name"]))
    return found


def inside(namespace: str) -> list[str]:
    """How to start a command in a named namespace; "" is this host."""
    return ["ip", "netns", "exec", namespace] if namespace else []
