"""The command line: finds the subject and hands over; each subject is a file of its own, loaded only when it is asked for.

Not its job: any work.
Raises: nothing; an error that the user can mend is one sentence on standard error and exit status 2.
"""

from __future__ import annotations

import sys
from difflib import get_close_matches
from importlib import import_module

from rich.console import Console
from rich.table import Table

from gatepost import __version__

SUBJECTS = {
    "demo": "see it work: clean mail delivered, infected mail stopped",
    "run": "run the whole mail gateway of a site here, for a first try",
    "scan": "look at mail files, folders, mailboxes or standard input",
    "site": "check and show the site file, upgrade an older one",
    "mail": "serve: the mail gateway of a site",
    "log": "what happened, newest last",
    "message": "the whole way of one mail, and why",
    "alerts": "what the administrator was told, and whether anybody has read it",
    "quarantine": "list, show, release and delete what was stopped",
    "console": "the web console: serve it, make accounts",
    "assess": "the risk interview, risks, and the site file it proposes",
    "hold": "keep a person's mail for a case of law, after two approvals",
    "report": "the page for management, viruses caught",
    "engines": "certify and list the scanning engines",
    "signatures": "the sets of signatures: list, update, go back",
    "status": "is everything scanned, and is everybody alive",
    "doctor": "find what is wrong with this installation, with remedies",
    "selftest": "the doctor, and the test virus through the running gateway in both directions",
    "backup": "everything that must not be lost, in one encrypted file, while the gateway runs",
    "restore": "a site back from its backup",
    "storage": "where the journal is kept, and its move to PostgreSQL or back",
    "relay": "write, check, import and probe the configuration of Postfix or Sendmail",
    "plan": "what would change on this machine",
    "apply": "bring this machine to what the site says, undone unless confirmed",
    "confirm": "keep a change that waits for it",
    "rollback": "put back what was before the last change",
    "history": "every change of this machine, and how it ended",
    "why": "why a finding matters, and what to do",
    "firewall": "compile, prove, explain, apply the firewall",
    "access": "open the firewall to its administrators for a time",
    "verify": "probe the real machine from outside and compare with what was declared",
    "verify-install": "is the installed program the one that was released",
    "integrity": "what changed that nobody meant to change",
    "host": "audit this host against its role",
}
"""Every subject with the sentence that help shows."""


def main() -> None:
    """Run the subject that the first argument names."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        _help()
    elif arguments[0] == "--version":
        sys.stdout.write(f"gatepost {__version__}\n")
    elif arguments[0] not in SUBJECTS:
        _unknown(arguments[0])
    else:
        app = import_module(f"gatepost.cli.{arguments[0].replace('-', '_')}").app
        app(args=arguments[1:], prog_name=f"gatepost {arguments[0]}")


def _help() -> None:
    table = Table.grid(padding=(0, 3))
    for subject, sentence in SUBJECTS.items():
        table.add_row(f"  [bold]{subject}[/bold]", sentence)
    console = Console()
    console.print("\n[bold]gatepost[/bold]: the network perimeter of an organisation, declared, proved and running\n")
    console.print(table)
    console.print("\n  gatepost SUBJECT --help   says more, with examples")
    console.print("  gatepost scan mail.eml    looks at one mail, with nothing else set up\n")


def _unknown(subject: str) -> None:
    near = get_close_matches(subject, SUBJECTS, 1)
    hint = f"did you mean {near[0]!r}?" if near else "gatepost --help lists what there is"
    sys.stderr.write(f"gatepost: there is no {subject!r}; {hint}\n")
    sys.exit(2)
