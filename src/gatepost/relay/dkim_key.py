"""A key pair for DKIM (RFC 6376) and the DNS record that tells the world of it.

Not its job: files (`gatepost.cli.relay`), signing (`opendkim`).
Raises: `DkimKeyError` for what is no RSA key.
"""

from __future__ import annotations

import base64
from textwrap import wrap

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

BITS = 2048
"""RFC 8301 3.2 asks for 2048; longer keys do not fit into one DNS packet everywhere."""
EXPONENT = 65_537
STRING = 250
"""Characters of one string of a TXT record; it holds 255 (RFC 1035 3.3)."""


class DkimKeyError(Exception):
    """The file does not hold an RSA key."""


def make() -> bytes:
    """A new private key as PEM text."""
    return rsa.generate_private_key(EXPONENT, BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def public(private: bytes) -> str:
    """The value of the DNS record (RFC 6376 3.6.1) for a private key in PEM text. Raises DkimKeyError."""
    try:
        key = serialization.load_pem_private_key(private, None)
    except (ValueError, TypeError) as error:
        raise DkimKeyError(f"it holds no private key in PEM form without a password: {error}") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise DkimKeyError("it holds no RSA key, and other kinds are not verified everywhere (RFC 8463)")
    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(spki).decode()}"


def record(selector: str, domain: str, value: str) -> str:
    """The record as a line of a zone file, cut into strings."""
    strings = " ".join(f'"{piece}"' for piece in wrap(value, STRING, drop_whitespace=False, break_on_hyphens=False))
    return f"{selector}._domainkey.{domain}. IN TXT ( {strings} )"
