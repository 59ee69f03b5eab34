"""All checks of the doctor in the order in which they are made; `docs/doctor.md` is this table in print.

Not its job: the checks.
Raises: nothing.
"""

from __future__ import annotations

from gatepost.deploy.doctor import engines, events, host, licence, network, postfix, storage
from gatepost.deploy.doctor.check import Check

SITE = "site file"
"""The name under which problems of the site file are told; they come before all checks."""

CHECKS = (
    Check("gateway", "the gateway answers, has scan workers, and its last canary mail came back as it should", host.gateway),
    Check("engine socket", "the socket of each engine is there, somebody listens, and we may use it", engines.sockets),
    Check(
        "engine", "each engine can be made with its options (rules compile, lists are readable) and speaks its protocol", engines.answers
    ),
    Check("engine detects", "each antivirus engine finds the EICAR test file and passes its harmless twin", engines.detects),
    Check("signatures", "signatures are younger than 24 hours; from 48 hours on nobody updates them", engines.signatures),
    Check("signature sets", "each set that the site declares was fetched, and is younger than 24 hours", engines.sets),
    Check("signature brake", "no signature hits so much that its mail is held and waits for you", events.braked),
    Check("licence", "the licence of each engine that names its end (licence_until) runs for 30 days more", licence.licences),
    Check("canary", "canaries can be sent by every way that mail comes in", host.canary),
    Check("unpacking", "the programs and libraries that open archives are installed", engines.unpackers),
    Check("rights", "nobody but root and the owner may write the site file", storage.site_file),
    Check("folders", "the folders for state and sockets are here, writable for us and for nobody else", storage.folders),
    Check("disk", "there is room for mail, in bytes and in inodes", storage.room),
    Check("keys", "the key files are whole, secret, and of one owner", storage.keys),
    Check("journal", "the journal is here, whole, not locked by a stranger, and not from the future", storage.journal),
    Check("alerts", "the last alert left us", events.alerts),
    Check("backup", "the last backup is younger than eight days, where one was ever made", events.backup),
    Check("quarantine", "the quarantine can be written and synced", storage.quarantine),
    Check("ports", "each TCP port of ours is free while the gateway is down, and ours while it runs", network.ports),
    Check("milter socket", "the MTA can reach the milter's socket: folders, mode, group", network.milter),
    Check("postfix", "Postfix calls our milter under the right parameter, and holds mail when it cannot", postfix.milter_called),
    Check("next hop", "every next hop has a known name, answers, and greets as a mail server", network.next_hops),
    Check("certificate", "the certificate of our listener is valid for two weeks more, and fits its key", network.certificates),
    Check("jail", "the kernel has every layer of the scan workers' jail", host.jail),
    Check("memory", "all scan workers fit into memory", host.memory),
    Check("descriptors", "a process may open enough files", host.descriptors),
    Check("clock", "the clock is kept right, and no signature is from the future", host.clock),
    Check("name servers", "a name server answers, where an engine needs one", network.name_servers),
)
