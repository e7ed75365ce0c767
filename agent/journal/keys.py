"""The box's Ed25519 key: made once, kept in `journal.key` (0600), its public half in `journal.pub`.

Both are PEM, so that openssl and every other tool reads them. The key signs checkpoints and nothing else here.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.journal.files import replace_file

KEY_FILE = "journal.key"
PUBLIC_FILE = "journal.pub"
_RAW = serialization.Encoding.Raw, serialization.PublicFormat.Raw
ED25519_TYPE = b"\x01"  # C2SP signed-note: signature type of Ed25519


class BadKey(ValueError):
    """A key file that holds no Ed25519 key. `args[0]` says so in field words."""


class BoxKey:
    """A private key. `public` is its 32-byte public half; `problem` is "" or what is wrong with how it is kept."""

    def __init__(self, private: Ed25519PrivateKey, problem: str = "") -> None:
        self._private = private
        self.public: bytes = private.public_key().public_bytes(*_RAW)
        self.problem = problem

    @classmethod
    def generate(cls, problem: str = "") -> BoxKey:
        return cls(Ed25519PrivateKey.generate(), problem)

    def sign(self, text: bytes) -> bytes:
        """64 bytes of Ed25519 signature."""
        return self._private.sign(text)

    def private_pem(self) -> bytes:
        return self._private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def public_pem(self) -> bytes:
        return self._private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def load_or_create(folder: Path) -> BoxKey:
    """The box's key, made if there is none. Never raises: a key that cannot be kept says so in `problem`.

    A damaged key file is kept aside as `journal.key.damaged-N` and a new key is made: checkpoints from then on carry
    another public key, which the far side will notice.
    """
    path = folder / KEY_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return _create(folder, "")
    except OSError as error:
        return BoxKey.generate(f"the box's signing key cannot be read ({error.strerror}): a passing one is used")
    try:
        return BoxKey(_private_from_pem(data))
    except BadKey:
        return _replace_damaged(folder)


def _private_from_pem(data: bytes) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadKey("this file holds no private key") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey("this key is not an Ed25519 key")
    return key


def _replace_damaged(folder: Path) -> BoxKey:
    number = 1
    while (aside := folder / f"{KEY_FILE}.damaged-{number}").exists():
        number += 1
    try:
        (folder / KEY_FILE).rename(aside)
    except OSError as error:
        return BoxKey.generate(f"the box's signing key is damaged and cannot be replaced ({error.strerror})")
    return _create(folder, f"the box's signing key was damaged: kept as {aside.name}, a new key was made")


def _create(folder: Path, problem: str) -> BoxKey:
    key = BoxKey.generate(problem)
    try:
        replace_file(folder / KEY_FILE, key.private_pem(), 0o600)
        replace_file(folder / PUBLIC_FILE, key.public_pem(), 0o644)
    except OSError as error:
        key.problem = f"the box's signing key cannot be stored ({error.strerror}): it will change at the next start"
    return key


_NOTE_KEY = re.compile(rb"[^\s+]+\+[0-9a-f]{8}\+([A-Za-z0-9+/=]+)")


def load_public(data: bytes) -> bytes:
    """The 32 bytes of a public key given as PEM, C2SP verifier key, base64, hex or raw. Raises BadKey."""
    text = data.strip()
    if text.startswith(b"-----BEGIN"):
        return _public_from_pem(text)
    if match := _NOTE_KEY.fullmatch(text):
        raw = _decoded(match[1])
        if raw[:1] != ED25519_TYPE:
            raise BadKey("this verifier key is not an Ed25519 key")
        return _of_32(raw[1:])
    if re.fullmatch(rb"[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text.decode())
    return data if len(data) == 32 else _of_32(_decoded(text))


def _public_from_pem(data: bytes) -> bytes:
    try:
        key = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        return BoxKey(_private_from_pem(data)).public
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey("this key is not an Ed25519 key")
    return key.public_bytes(*_RAW)


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BadKey("this file holds no public key (PEM, verifier key, base64 or hex)") from error


def _of_32(raw: bytes) -> bytes:
    if len(raw) != 32:
        raise BadKey("an Ed25519 public key has 32 bytes")
    return raw


def signed_by(public: bytes, signature: bytes, text: bytes) -> bool:
    """Whether `signature` over `text` is of this public key."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return True
