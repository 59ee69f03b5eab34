"""The risks that the interview knows, as data: what each is, how likely and how bad, what is done about it, in which phase.

Not its job: when a risk is there (`signs`), what people decided about it (`risks`).
Raises: nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.assess import signs
from gatepost.assess.signs import Sign, answer, either, sheets, unanswered


@dataclass(frozen=True, slots=True)
class Known:
    """One kind of risk. Likelihood and impact are 1 to 5; `phase` is 1 (now), 2 (next) or 3 (later); `rows` names the requirement.

    `why` explains it for people who never heard of it, `measure` is what to do, with the command where there is one.
    """

    id: str
    title: str
    why: str
    likelihood: int
    impact: int
    phase: int
    measure: str
    sign: Sign
    rows: str = ""


RISKS = (
    Known(
        "leftovers", "Somebody who left can come back in",
        "Accounts, ssh keys, jobs, changed programs and known passwords of a person who left, above all of one who was dismissed for abuse,"
        " open every door that is built later.",
        4, 5, 1, "Run gatepost integrity offboard NAME on every server, change all passwords and keys, make new baselines.",
        signs.leftovers, "P9",
    ),
    Known(
        "no-firewall-policy", "Nobody knows what the firewall lets pass",
        "Rules copied from a book or the Internet answer somebody else's needs. What is open and what is closed was never decided here.",
        4, 5, 1, "Put the proposed site file in force, after gatepost firewall prove; gatepost firewall explain tells what the old rules do.",
        answer("rules-origin", "copied", "none"), "B1 P15",
    ),
    Known(
        "mail-unscanned", "Mail reaches people unscanned",
        "One infected mail costs hours of work, and one that leaves the house costs a customer. Scanning only counts when nothing passes it.",
        5, 4, 1, "Set up the relay with Gatepost; note the risk as done when gatepost status says that all mail is scanned.",
        signs.always, "P16 P17",
    ),
    Known(
        "server-room", "The server room can be entered", "Whoever touches a machine owns it, whatever the firewall does.",
        3, 5, 1, "Lock the room, write down who has a key and why.", answer("server-room", "no"), "P5",
    ),
    Known(
        "closets", "Network sockets are open to anybody", "A laptop in a free socket is behind the firewall.",
        2, 4, 2, "Lock the wiring closets, switch free sockets off.", answer("closets", "no"), "P5",
    ),
    Known(
        "visitors", "Visitors walk about alone", "A visitor alone finds an unlocked screen or a free socket.",
        2, 4, 2, "Sign visitors in and accompany them.", answer("visitors", "no"), "P5",
    ),
    Known(
        "root-without-reason", "Somebody has root rights and nobody knows why",
        "Each person with root rights can undo every protection, by intent or by mistake.",
        3, 5, 1, "Ask for the reason, or take the right away.", signs.without_reason("root rights"), "P5",
    ),
    Known(
        "keys-without-reason", "Somebody has keys and nobody knows why", "A key is as good as root rights on what lies behind the door.",
        3, 4, 2, "Ask for the reason, or collect the key.", signs.without_reason("keys"), "P5",
    ),
    Known(
        "key-codes", "Key codes and passwords are passed on", "A code that several people know protects nothing and names nobody.",
        4, 3, 1, "Change the codes, say why, ask again in half a year.",
        either(sheets("e-key-code", "yes"), answer("key-codes", "no")), "P6",
    ),
    Known(
        "single-point", "One machine carries everything",
        "When it fails or is broken into, everything that runs on it fails together, however well each part was set up.",
        3, 4, 2, "Move duties apart, first those that strangers can reach; keep a spare machine that was tried.", signs.alone, "P7",
    ),
    Known(
        "one-layer", "The most valuable data stand behind one firewall", "One hole in one program then opens everything.",
        2, 5, 3, "Give the servers rules of their own: gatepost firewall compile --host NAME; or a second firewall of another make: --format pf.",
        signs.exposed_value, "F33",
    ),
    Known(
        "no-updates", "Servers miss their security updates", "Most break-ins use holes that were mended long before.",
        4, 4, 1, "Let updates install themselves; gatepost host audit tells the age of the last one.",
        answer("updates", "by-hand", "never"), "B3",
    ),
    Known(
        "no-backup", "Backups are missing or were never tried", "After fire, theft or an attack the data are gone.",
        3, 5, 1, "Make backups away from the house, restore one every half year.", answer("backup", "older", "never", "none"), "P7",
    ),
    Known(
        "insiders", "Somebody inside tries things out", "Attacks from inside pass no firewall on their way, and know what is worth taking.",
        3, 4, 1, "Nothing from inside is trusted by default; gatepost report firewall names who was refused what.",
        answer("insiders", "yes"), "P10",
    ),
    Known(
        "obscurity", "Something relies on strangers not knowing it",
        "Obscurity is no control: scanners try every address and port. It may stay, but it counts for nothing here.",
        3, 2, 2, "Name the real control behind it, or add one.", answer("obscurity", "yes"), "F28",
    ),
    Known(
        "same-mta", "Two layers run the same program", "A hole in it opens both at once: firewall, relay and mail server are there so that one may fail.",
        2, 4, 3, "Use another program on one of the two; Gatepost writes the configuration of Postfix and of Sendmail.",
        signs.same_mta, "M27",
    ),
    Known(
        "same-scanner", "Gateway and computers use the same scanner", "What one misses the other misses too.",
        2, 3, 3, "Use another scanner on one of the two.", answer("antivirus-engines", "clamav"), "M27",
    ),
    Known(
        "endpoints", "Employees' computers are not scanned", "The gateway sees mail; what comes by web, stick or telephone is met here or nowhere.",
        4, 4, 2, "Install a scanner that updates itself, centrally; watch the age of the last scan.",
        either(answer("antivirus-engines", "none"), sheets("e-last-scan", "older", "unknown", percent=signs.MANY)), "P20",
    ),
    Known(
        "other-ways-in", "Private mail and memory sticks come past the gateway", "No gateway sees what does not pass it.",
        4, 3, 2, "Say so, offer a place to have sticks scanned, keep the scanners on the computers fresh.",
        either(sheets("e-private-mail", "yes"), sheets("e-media", "yes")), "P20",
    ),
    Known(
        "literacy", "Employees cannot be asked to protect themselves",
        "Who cannot tell a forged sender or find a file will not decide well about a held mail.",
        4, 3, 2, "Decide centrally: employees get no duties, texts are plain; train, and ask again in half a year.",
        signs.low_literacy, "P3",
    ),
    Known(
        "training", "Employees were never told", "Most attacks begin with somebody who was not warned.",
        3, 3, 3, "An hour a year with real examples, from gatepost report viruses.", answer("training", "older", "never"), "P6",
    ),
    Known(
        "no-rules", "There are no rules for the use of mail and web", "What was never said cannot be asked for.",
        2, 3, 3, "Have one page of rules signed.", answer("rules-signed", "no"), "P6",
    ),
    Known(
        "leavers", "Accounts stay open after people leave", "An open account is a way in that nobody watches.",
        3, 4, 1, "Tell IT on the same day; run gatepost integrity offboard NAME.", answer("leavers", "no"), "P9",
    ),
    Known(
        "nobody-told", "Employees do not know whom to tell", "They see what no machine sees, and keep it to themselves.",
        3, 3, 2, 'Name one person; the form "tell us" reaches the administrator.', sheets("e-tell", "no"), "P11",
    ),
    Known(
        "fixed-address", "The company is reachable under a fixed address",
        "Scanners find every public address within hours and try it for ever.",
        5, 2, 1, "Nothing answers but mail on port 25, proved by gatepost firewall prove and tried by gatepost verify.",
        either(answer("fixed-address", "yes"), answer("host-own-mail", "yes")), "P8",
    ),
    Known(
        "own-mail", "The company answers for its own mail", "A relay open to strangers is abused within days; a full disk loses mail.",
        3, 4, 1, "Relay for insiders only, tried by gatepost relay probe; watch queues and disk with gatepost doctor.",
        signs.own_mail, "P8",
    ),
    Known(
        "provider-mail", "Mail is scanned by strangers, or by nobody",
        "What the provider scans, keeps and reads is not known here, and mail that leaves is not scanned at all.",
        3, 3, 2, "Host mail in the house, or ask the provider for written answers.", signs.provider_mail, "P8 B4",
    ),
    Known(
        "line", "The line to the Internet fails", "Mail waits, and nobody knows for how long.",
        4, 2, 2, "Watch the line (section watch of the site file): minutes down stand on the monthly page.",
        answer("line", "monthly", "daily"), "B5",
    ),
    Known(
        "one-relay", "Mail may not be away for a day, but there is one relay", "A broken disk takes days to replace.",
        2, 4, 3, "Keep a spare machine that was tried, and the state folder in the backup.", signs.one_relay, "B6",
    ),
    Known(
        "no-second-contact", "Nobody is told when the administrator does not react", "An alert that is read on Monday is two days late.",
        3, 3, 1, "Name a second contact: alerts.second in the site file.", unanswered("second-contact"), "M21",
    ),
    Known(
        "not-signed", "Nobody signs the policy", "Rules without authority are broken by the first person who is in a hurry.",
        3, 3, 1, "Name who signs; hand over the firewall policy document.", unanswered("approver"), "P1",
    ),
    Known(
        "tap", "Somebody wants to read other people's mail", "It destroys trust and may be against the law.",
        3, 4, 1, "Only as a lawful hold, approved by two people, with scope and end: gatepost hold; off by default.",
        answer("tap", "yes"), "P19",
    ),
    Known(
        "targeted", "Somebody may attack this company in particular", "A person adapts; a worm does not.",
        3, 5, 2, "Look at refused attempts every week, have the perimeter tried from outside every month.",
        answer("known", "rivals", "target"), "P8",
    ),
    Known(
        "remote-access", "Somebody needs to get in from outside", "Each way in for us is one for others.",
        2, 4, 2, "Decide it as an exception with owner and end; the policy has no way in by VPN until then.", answer("vpn", "yes"), "F35",
    ),
    Known(
        "reset", "Nobody knows how to restart the firewall", "When the administrator is away, somebody guesses.",
        3, 3, 2, "Print the card: press once, wait for green. It comes up closed and proves itself.", unanswered("reset"), "F20",
    ),
    Known(
        "alone", "The administrator is alone", "A beginner alone copies what he finds, and mistakes are made.",
        3, 3, 2, "Name somebody to ask; each finding here leads to a page that says why.", unanswered("help"), "P13",
    ),
    Known(
        "unwatched", "Changes of the servers go unnoticed", "Who breaks in changes files; without a baseline nobody sees it.",
        3, 4, 2, "gatepost integrity init on firewall and relay, a check each night; then note this as done.", signs.always, "I1",
    ),
    Known(
        "unaudited", "Nobody has tried the perimeter from outside", "What is believed closed is closed only when it was tried.",
        3, 3, 3, "gatepost verify from outside, every month, with its evidence kept; then note this as done.", signs.always, "V6 P12",
    ),
    Known(
        "not-asked", "The interview is not complete", "What was not asked is not known to be well.",
        3, 2, 1, "gatepost assess goes on where it was left.", signs.not_asked, "P2",
    ),
)  # fmt: skip
