"""Where the sets of signatures come from, what they say of mail that is delivered already, and when one is not believed alone.

Not its job: fetching and trying them (`gatepost.signatures`), using them (the engine that names the set's folder in its options).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gatepost.site.base import Duration, Section, Size


class SignatureSet(Section):
    """One set. It lies in STATE/signatures/NAME/current, the folder that its engine names in its options."""

    kind: Literal["yara", "hashes", "clamav"]
    source: Annotated[str, Field(pattern=r"^(/|https?://)\S+$")]
    """A folder of this machine, or a URL below which SHA256SUMS and all files that it names lie."""
    key: str = Field(default="", pattern=r"^([A-Za-z0-9+/]{43}=)?$")
    """The Ed25519 public key, in base64, that has signed SHA256SUMS (in SHA256SUMS.sig)."""
    pin: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """SHA-256 of SHA256SUMS itself, for a set that never changes."""
    size: Size = 1024**3
    """A set that is larger is refused."""

    @model_validator(mode="after")
    def _proved(self) -> Self:
        if self.source.startswith("http") and not (self.key or self.pin):
            raise ValueError("nobody could tell whether what is fetched from there is genuine; give the key that signs it, or a pin")
        return self


class Retro(Section):
    """Delivered mail that is judged again by signatures that came later: by the digests of its parts, and by copies where they are kept."""

    keep: Duration = 30 * 86_400.0
    """How far back delivered mail is judged again, and how long copies of it are kept."""
    copies: Literal["none", "attachments", "all"] = "none"
    """Of which delivered mail an encrypted copy is kept, so that every engine can look again; digests alone let lists of digests look again."""
    size: Size = 10 * 1024**3
    """How much copies take at most; the oldest go first."""
    notify: Literal["administrator", "recipients"] = "administrator"
    """Who is told; with "recipients" those of them at our own domains as well."""


class Brake(Section):
    """When a signature suddenly hits much mail that every other antivirus engine finds clean, its word alone no longer refuses mail."""

    enabled: bool = True
    window: Duration = 3600.0
    """The time in which hits are counted."""
    hits: int = Field(default=20, ge=1)
    """So many mails it must hit alone in that time."""
    share: float = Field(default=0.02, ge=0, le=1)
    """They must be this part of all mails of that time."""
    factor: float = Field(default=10.0, ge=1)
    """And this many times as many as in the same time of the week before."""
