"""Where the sets of signatures come from.

Not its job: fetching and trying them (`gatepost.signatures`), using them (the engine that names the set's folder in its options).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gatepost.site.base import Section, Size


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
