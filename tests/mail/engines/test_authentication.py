"""SPF, DKIM, DMARC and ARC on a zone of the test's own, in process and over real UDP."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
import time
from collections.abc import Iterator

import dkim
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from gatepost.mail.engines.authentication import Authentication, evaluate
from gatepost.mail.engines.authentication_dns import Resolver, TemporaryError
from gatepost.mail.engines.authentication_spf import check_host
from gatepost.mail.inspect.engine import EngineError
from gatepost.mail.model import Envelope, Kind, Message

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
).decode()

ZONE: dict[tuple[str, str], list[str]] = {
    ("partner.example", "TXT"): ["v=spf1 ip4:198.51.100.0/24 include:mailer.example -all", "other text"],
    ("mailer.example", "TXT"): ["v=spf1 a:out.mailer.example/30 mx exists:%{ir}.%{v}.list.mailer.example ?all"],
    ("out.mailer.example", "A"): ["203.0.113.8"],
    ("mailer.example", "MX"): ["00010 mx.mailer.example"],
    ("mx.mailer.example", "A"): ["203.0.113.77"],
    ("9.2.0.192.in-addr.list.mailer.example", "A"): ["127.0.0.2"],
    ("_dmarc.partner.example", "TXT"): ["v=DMARC1; p=reject; sp=quarantine"],
    ("news.partner.example", "TXT"): ["v=spf1 -all"],
    ("key._domainkey.partner.example", "TXT"): [f"v=DKIM1; k=rsa; p={PUBLIC}"],
    ("loop.example", "TXT"): ["v=spf1 include:loop.example -all"],
    ("double.example", "TXT"): ["v=spf1 -all", "v=spf1 +all"],
    ("typo.example", "TXT"): ["v=spf1 ipv4:198.51.100.1 -all"],
    ("void.example", "TXT"): ["v=spf1 a:n1.example a:n2.example a:n3.example -all"],
    ("redirect.example", "TXT"): ["v=spf1 redirect=partner.example"],
    ("slow.example", "TXT"): ["TEMPERROR"],
    ("six.example", "TXT"): ["v=spf1 ip6:2001:db8:5::/48 -all"],
    ("soft.example", "TXT"): ["v=spf1 ip4:192.0.2.1 ~all"],
}


def lookup(name: str, kind: str) -> list[str]:
    found = ZONE.get((name.lower().rstrip("."), kind), [])
    if found == ["TEMPERROR"]:
        raise TemporaryError(name)
    return found


@pytest.mark.parametrize(
    ("address", "domain", "result"),
    [
        ("198.51.100.7", "partner.example", "pass"),
        ("203.0.113.9", "partner.example", "pass"),
        ("203.0.113.77", "partner.example", "pass"),
        ("192.0.2.9", "partner.example", "pass"),
        ("192.0.2.10", "partner.example", "fail"),
        ("192.0.2.10", "mailer.example", "neutral"),
        ("198.51.100.7", "redirect.example", "pass"),
        ("198.51.100.7", "loop.example", "permerror"),
        ("198.51.100.7", "double.example", "permerror"),
        ("198.51.100.7", "typo.example", "permerror"),
        ("198.51.100.7", "void.example", "permerror"),
        ("198.51.100.7", "nothing.example", "none"),
        ("198.51.100.7", "slow.example", "temperror"),
        ("2001:db8:5::1", "six.example", "pass"),
        ("2001:db8:6::1", "six.example", "fail"),
        ("::ffff:198.51.100.7", "partner.example", "pass"),
        ("192.0.2.2", "soft.example", "softfail"),
        ("not an address", "partner.example", "none"),
    ],
)
def test_spf_gives_the_result_of_the_rfc(address: str, domain: str, result: str) -> None:
    assert check_host(address, domain, f"carol@{domain}", "helo.example", lookup) == result


MAIL = b"From: Carol <carol@partner.example>\r\nTo: bob@widget.example\r\nSubject: hello\r\n\r\nSee you.\r\n"
OURS = Envelope("carol@partner.example", ("bob@widget.example",), client="198.51.100.7", helo="mail.partner.example")
FORGED = Envelope("mallory@evil.example", ("bob@widget.example",), client="192.0.2.66", helo="evil.example")


def signed(mail: bytes = MAIL, domain: bytes = b"partner.example", **options: object) -> bytes:
    return bytes(dkim.sign(mail, b"key", domain, PEM, **options)) + mail


def results(mail: bytes, envelope: Envelope = FORGED) -> object:
    return evaluate(mail, envelope, lookup)


def test_a_signature_of_the_author_passes_from_anywhere() -> None:
    found = evaluate(signed(), FORGED, lookup)

    assert [one.result for one in found.dkim] == ["pass"]
    assert (found.dmarc, found.wish) == ("pass", "reject")


def test_spf_alone_passes_where_the_domains_agree() -> None:
    assert evaluate(MAIL, OURS, lookup).dmarc == "pass"


@pytest.mark.parametrize(
    ("mail", "result"),
    [
        (signed().replace(b"See you", b"Pay me"), "fail"),
        (signed(length=True), "policy"),
        (signed(length=True) + b"Pay to this account.\r\n", "policy"),
        (signed().replace(b" bh=", b" xx="), "permerror"),
        (signed().replace(b" h=", b" yy="), "permerror"),
        (signed().replace(b"d=partner.example", b"d=unknown.example"), "permerror"),
        (signed().replace(b"a=rsa-sha256", b"a=rsa-sha1"), "permerror"),
        (b"DKIM-Signature: rubbish\r\n" + MAIL, "permerror"),
        (b"DKIM-Signature:\r\n" + MAIL, "permerror"),
    ],
    ids=["body changed", "l=", "l= and more appended", "no bh=", "no h=", "unknown key", "sha1", "rubbish", "empty"],
)
def test_a_signature_that_does_not_cover_the_mail_is_no_pass(mail: bytes, result: str) -> None:
    found = evaluate(mail, FORGED, lookup)

    assert found.dkim[0].result == result
    assert found.dmarc == "fail"


def test_a_signature_of_somebody_else_does_not_speak_for_the_author() -> None:
    ZONE[("key._domainkey.evil.example", "TXT")] = ZONE[("key._domainkey.partner.example", "TXT")]
    found = evaluate(signed(domain=b"evil.example"), FORGED, lookup)

    assert found.dkim[0].result == "pass"
    assert found.dmarc == "fail"


def test_a_name_below_the_domain_has_the_policy_for_names_below() -> None:
    mail = MAIL.replace(b"carol@partner", b"carol@news.partner")

    assert (evaluate(mail, FORGED, lookup).dmarc, evaluate(mail, FORGED, lookup).wish) == ("fail", "quarantine")
    assert evaluate(signed(mail), FORGED, lookup).dmarc == "pass"


@pytest.mark.parametrize(
    "mail",
    [b"From: a@evil.example\r\n" + MAIL, MAIL[MAIL.index(b"To:") :], MAIL.replace(b"\r\nTo", b", x@evil.example\r\nTo"), b"", b"\r\n"],
    ids=["two From", "no From", "two authors", "empty", "no header"],
)
def test_a_mail_without_one_author_speaks_for_nobody(mail: bytes) -> None:
    assert evaluate(mail, OURS, lookup).dmarc == "permerror"


def engine(**options: object) -> Authentication:
    return Authentication("authentication", {"socket": "127.0.0.1:53", **options}, lambda _deadline: lookup)


def test_failures_are_advice_unless_the_site_wants_the_owners_wish_kept() -> None:
    (advice,) = engine().inspect(Message(MAIL), FORGED, time.monotonic() + 10)
    (suspect,) = engine(reject=True).inspect(Message(MAIL), FORGED, time.monotonic() + 10)

    assert (advice.kind, advice.score, advice.name) == (Kind.SPAM, 0.0, "dmarc-fail")
    assert suspect.kind is Kind.SUSPECT
    assert "dmarc=fail (p=reject)" in suspect.detail
    assert engine(reject=True).inspect(Message(signed()), FORGED, time.monotonic() + 10) == ()


def test_dns_that_does_not_answer_is_said_and_no_finding_against_the_sender() -> None:
    mail = MAIL.replace(b"partner.example", b"slow.example")
    ZONE[("_dmarc.slow.example", "TXT")] = ["TEMPERROR"]

    (said,) = engine(reject=True).inspect(Message(mail), FORGED, time.monotonic() + 10)
    assert (said.kind, said.name, said.score) == (Kind.SPAM, "authentication-temperror", 0.0)
    with pytest.raises(EngineError, match="does not answer"):
        engine(temperror="unchecked").inspect(Message(mail), FORGED, time.monotonic() + 10)


def sealed(mail: bytes, domain: bytes) -> bytes:
    """The mail with a first ARC set of a domain (RFC 8617 5.1)."""

    def sign(text: bytes) -> bytes:
        return base64.b64encode(KEY.sign(text, padding.PKCS1v15(), hashes.SHA256()))

    body = base64.b64encode(hashlib.sha256(mail.partition(b"\r\n\r\n")[2]).digest())
    header = b"".join(name + b":" + value.strip() + b"\r\n" for name, value in ((b"from", b"Carol <carol@partner.example>"),))
    seen = b"i=1; " + domain + b"; dkim=pass header.d=partner.example"
    about = b"i=1; a=rsa-sha256; c=relaxed/relaxed; d=" + domain + b"; s=key; h=from; bh=" + body + b"; b="
    about += sign(header + b"arc-message-signature:" + about)
    seal = b"i=1; a=rsa-sha256; cv=none; d=" + domain + b"; s=key; b="
    seal += sign(b"arc-authentication-results:" + seen + b"\r\narc-message-signature:" + about + b"\r\narc-seal:" + seal)
    fields = ((b"ARC-Seal", seal), (b"ARC-Message-Signature", about), (b"ARC-Authentication-Results", seen))
    return b"".join(name + b": " + value + b"\r\n" for name, value in fields) + mail


def test_a_forwarder_that_is_trusted_and_sealed_the_mail_is_believed() -> None:
    ZONE[("key._domainkey.list.example", "TXT")] = ZONE[("key._domainkey.partner.example", "TXT")]
    mail = sealed(MAIL, b"list.example")

    assert evaluate(mail, FORGED, lookup).arc == "pass"
    assert engine(reject=True, trust=["list.example"]).inspect(Message(mail), FORGED, time.monotonic() + 10) == ()
    assert engine(reject=True).inspect(Message(mail), FORGED, time.monotonic() + 10)[0].kind is Kind.SUSPECT
    assert evaluate(mail.replace(b"See you", b"Pay me"), FORGED, lookup).arc == "fail"


def test_the_resolver_must_be_named_so_that_workers_get_a_network() -> None:
    with pytest.raises(EngineError, match="socket"):
        Authentication("authentication", {})
    with pytest.raises(EngineError, match="resolver"):
        Authentication("authentication", {"socket": "unix:/run/dns"})


@pytest.fixture
def server() -> Iterator[tuple[int, list[str]]]:
    """A name server on UDP with the zone; it does not answer for names that begin with silent."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    asked: list[str] = []

    def serve() -> None:
        while True:
            try:
                packet, peer = sock.recvfrom(4096)
            except OSError:
                return
            question = dns.message.from_wire(packet)
            name = question.question[0].name.to_text(omit_final_dot=True)
            asked.append(name)
            if name.startswith("silent"):
                continue
            kind = dns.rdatatype.to_text(question.question[0].rdtype)
            answer = dns.message.make_response(question)
            values = ZONE.get((name.lower(), kind), [])
            if name.startswith("broken"):
                answer.set_rcode(dns.rcode.SERVFAIL)
            elif values:
                texts = (
                    [" ".join(f'"{value[at : at + 200]}"' for at in range(0, len(value), 200)) for value in values]
                    if kind == "TXT"
                    else values
                )
                answer.answer.append(dns.rrset.from_text(question.question[0].name, 60, "IN", kind, *texts))
            sock.sendto(answer.to_wire(), peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield sock.getsockname()[1], asked
    sock.close()


def test_real_questions_over_udp(server: tuple[int, list[str]]) -> None:
    port, asked = server
    resolver = Resolver("127.0.0.1", port, time.monotonic() + 10)

    assert sorted(resolver("partner.example", "TXT"), reverse=True) == ZONE[("partner.example", "TXT")]
    assert resolver("out.mailer.example", "A") == ["203.0.113.8"]
    assert resolver("nothing.example", "TXT") == []
    assert resolver("PARTNER.example.", "TXT")
    assert asked.count("partner.example") == 1
    assert resolver("a..b", "TXT") == []
    found = evaluate(signed(), OURS, resolver)
    assert (found.spf, found.dkim[0].result, found.dmarc) == ("pass", "pass", "pass")


@pytest.mark.parametrize("name", ["silent.example", "broken.example"])
def test_silence_and_failure_of_a_name_server_are_temporary(server: tuple[int, list[str]], name: str) -> None:
    with pytest.raises(TemporaryError):
        Resolver("127.0.0.1", server[0], time.monotonic() + 0.3)(name, "TXT")


def test_no_question_is_asked_when_the_time_is_over(server: tuple[int, list[str]]) -> None:
    with pytest.raises(TemporaryError, match="no time"):
        Resolver("127.0.0.1", server[0], time.monotonic() - 1)("partner.example", "TXT")
    assert server[1] == []
