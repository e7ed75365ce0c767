"""One policy as one signed file.

    MENWEI-POLICY/1
    <manifest: canonical JSON, one line>
    <Ed25519 signature over the manifest line, base64>
    <policy: zlib of canonical JSON><name table: encrypted, may be empty>

The manifest holds the length and SHA-256 of both parts, so the signature covers them. Nothing of the parts is looked
at, let alone unpacked, before the signature holds and the hashes agree.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec

from agent.core.policy import Contradiction
from agent.core.strange import NOT_JSON
from agent.journal.keys import BoxKey, signed_by

MAGIC = b"MENWEI-POLICY/1"
MOST_BYTES = 32 << 20  # D: 100 000 cards are some 1.5 MB
MOST_PLAIN = 64 << 20  # D: 200 000 cards with everything a card may have are some 50 MB
MOST_HEAD = 4096
_canonical = msgspec.json.Encoder(order="sorted").encode


class BadBundle(Exception):
    """A bundle that cannot be taken; `found` says why and what would mend it."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what)
        self.found = Contradiction("bundle", what, cure)


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    made_at_ms: int
    site_box: str
    policy: Part
    names: Part


class Bundle(msgspec.Struct, frozen=True):
    """A bundle whose signature holds. `digest` names it."""

    manifest: Manifest
    digest: str
    policy: bytes  # zlib
    names: bytes

    def wire(self) -> dict[str, Any]:
        """The policy's plain data, its credentials still as JSON, each by itself. Raises BadBundle.

        A hundred thousand credentials decoded in one call would hold the interpreter, and with it a panic press, for
        as long as that takes; `parse` decodes them one by one.
        """
        try:
            unpacker = zlib.decompressobj()
            plain = unpacker.decompress(self.policy, MOST_PLAIN)
            if not unpacker.eof:
                cure = "make it anew, with the people of this school alone"
                raise BadBundle("the policy inside is far too large or cut short", cure)
            parts = _PARTS.decode(plain)
            return {key: _plain(key, raw) for key, raw in parts.items()}
        except msgspec.ValidationError:
            raise BadBundle("there is no policy inside", "make the bundle anew") from None
        except (zlib.error, *NOT_JSON) as error:
            raise BadBundle(f"the policy inside cannot be read: {error}", "make the bundle anew") from None


_PARTS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


def _plain(key: str, raw: msgspec.Raw) -> Any:
    if key == "credentials" and bytes(memoryview(raw)[:1]) == b"[":
        return _ROWS.decode(raw)
    return msgspec.json.decode(raw)


def pack(wire: dict[str, Any], names: bytes, key: BoxKey) -> bytes:
    """The bundle's bytes; the same for the same policy, names and key."""
    policy = zlib.compress(_canonical(wire), 9)
    manifest = Manifest(
        version=wire["version"],
        made_at_ms=wire["made_at_ms"],
        site_box=wire["site_box"],
        policy=Part(len(policy), hashlib.sha256(policy).hexdigest()),
        names=Part(len(names), hashlib.sha256(names).hexdigest()),
    )
    head = _canonical(manifest)
    return b"\n".join((MAGIC, head, base64.b64encode(key.sign(head)), policy + names))


def unpack(data: bytes, keys: Sequence[bytes] | None) -> Bundle:
    """Check form, signature (any of `keys`) and hashes, in this order. Raises BadBundle.

    `keys` None looks at no signature: for showing a bundle, never for taking it.
    """
    if len(data) > MOST_BYTES:
        raise BadBundle("this file is far too large for a bundle", "take the file that menwei policy make wrote")
    magic, _, rest = data.partition(b"\n")
    head, _, rest = rest.partition(b"\n")
    signature, _, body = rest.partition(b"\n")
    if magic != MAGIC or len(head) > MOST_HEAD or len(signature) > MOST_HEAD:
        raise BadBundle("this is not a policy bundle", "take the file that menwei policy make wrote")
    if keys is not None:
        _check_signature(head, signature, keys)
    manifest = _manifest(head)
    policy, names = body[: manifest.policy.bytes], body[manifest.policy.bytes :]
    for name, part, found in (("policy", manifest.policy, policy), ("names", manifest.names, names)):
        if len(found) != part.bytes or hashlib.sha256(found).hexdigest() != part.sha256:
            raise BadBundle(f"the {name} inside is damaged or cut short", "copy the bundle once more")
    return Bundle(manifest, hashlib.sha256(head).hexdigest()[:16], policy, names)


def _check_signature(head: bytes, signature: bytes, keys: Sequence[bytes]) -> None:
    if not keys:
        raise BadBundle("this box knows no key that may sign policies", "name one in [policy] keys of the site file")
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        raise BadBundle("the signature is damaged", "copy the bundle once more") from None
    if len(raw) != 64 or not any(signed_by(key, raw, head) for key in keys):
        cure = "sign it with the office's key, or name that key in [policy] keys of the site file"
        raise BadBundle("the signature is wrong: it was made with a key this box does not know", cure)


def _manifest(head: bytes) -> Manifest:
    try:
        manifest = msgspec.json.decode(head, type=Manifest)
    except NOT_JSON as error:
        raise BadBundle(f"what the bundle says of itself cannot be read: {error}", "make the bundle anew") from None
    if min(manifest.version, manifest.policy.bytes, manifest.names.bytes, manifest.made_at_ms) < 0:
        raise BadBundle("what the bundle says of itself makes no sense", "make the bundle anew")
    return manifest
