"""What an installed MTA must be able to do before a configuration is given to it: milter, TLS, DSN, one end of a mail.

What it does: reads what Postfix and Sendmail say of themselves.
Not its job: running them (`gatepost.cli.relay`, which shows the answers).
Raises: nothing; what is lacking is a sentence with a remedy.
"""

from __future__ import annotations

import re

POSTFIX_QUESTIONS = {
    "version": ("postconf", "-h", "mail_version"),
    "tables": ("postconf", "-m"),
    "tls": ("postconf", "-T", "compile-version"),
    "smuggling": ("postconf", "-d", "smtpd_forbid_bare_newline"),
}
SENDMAIL_QUESTION = ("sendmail", "-d0.1", "-bt")
OLDEST = (3, 5)
"""The first Postfix with several next hops in a route; milters came with 2.3, DSN with 2.3, tables inline with 3.0."""
TABLES = frozenset({"texthash", "cidr", "inline", "btree"})


def postfix_lacks(answers: dict[str, str]) -> list[str]:
    """What this Postfix lacks; `answers` are what it printed (both streams) to POSTFIX_QUESTIONS, by their names."""
    found = re.search(r"(\d+)\.(\d+)", answers.get("version", ""))
    if found is None:
        return ["Postfix does not say its version, so nothing is known of it; install Debian's package postfix"]
    lacks = []
    version = (int(found[1]), int(found[2]))
    if version < OLDEST:
        lacks.append(f"Postfix {found[0]} is too old for milters that are told apart and several next hops; 3.5 is the oldest that will do")
    if missing := sorted(TABLES - set(answers.get("tables", "").split())):
        lacks.append(f"Postfix has no tables of the kind {', '.join(missing)}; install a Postfix with them")
    if not re.search(r"openssl", answers.get("tls", ""), re.IGNORECASE):
        lacks.append("Postfix was compiled without TLS; install one with OpenSSL")
    if "unknown parameter" in answers.get("smuggling", "unknown parameter"):
        lacks.append("Postfix does not know smtpd_forbid_bare_newline, so mail can be smuggled (CVE-2023-51764); update it")
    return lacks


def sendmail_lacks(answer: str) -> list[str]:
    """What this Sendmail lacks; `answer` is what it printed to SENDMAIL_QUESTION."""
    compiled = re.search(r"Compiled with:((?:.*\n)(?:[ \t]+.*\n)*)", answer + "\n")
    version = re.search(r"Version (\d+)\.(\d+)", answer)
    if compiled is None or version is None:
        return ["Sendmail does not say what it was compiled with, so nothing is known of it; install Debian's package sendmail-bin"]
    words = set(compiled[1].split())
    lacks = []
    if "MILTER" not in words:
        lacks.append("Sendmail was compiled without MILTER: all mail would pass unscanned; install one compiled with -DMILTER")
    if "STARTTLS" not in words:
        lacks.append("Sendmail was compiled without STARTTLS; install one with it")
    if (int(version[1]), int(version[2])) < (8, 12):
        lacks.append(
            f"Sendmail {version[1]}.{version[2]} is too old for milters that fail closed; 8.17 with Debian's fixes is the oldest that will do"
        )
    return lacks
