"""The box's Ed25519 key: made once, kept in `journal.key` (0600), its public half in `journal.pub`.

Both are PEM (RFC 8410), so that openssl and every other tool reads them; the few bytes around an Ed25519 key are
fixed, so they are written here and a megabyte of general serialization stays out of the box's memory.
"""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from agent.journal.files import replace_file

KEY_FILE = "journal.key"
PUBLIC_FILE = "journal.pub"
ED25519_TYPE = b"\x01"  # C2SP signed-note: signature type of Ed25519
_PRIVATE_HEAD = bytes.fromhex("302e020100300506032b657004220420")  # RFC 8410, 7: PKCS#8 around 32 bytes of seed
_PUBLIC_HEAD = bytes.fromhex("302a300506032b6570032100")  # RFC 8410, 4: SubjectPublicKeyInfo around 32 bytes
_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+?)\s*-----END \1-----")


class BadKey(ValueError):
    """A key file that holds no Ed25519 key. `args[0]` says so in field words."""


class BoxKey:
    """A private key. `public` is its 32-byte public half; `problem` is "" or what is wrong with how it is kept."""

    def __init__(self, private: Ed25519PrivateKey, problem: str = "") -> None:
        self._private = private
        self.public: bytes = private.public_key().public_bytes_raw()
        self.problem = problem

    @classmethod
    def generate(cls, problem: str = "") -> BoxKey:
        return cls(Ed25519PrivateKey.generate(), problem)

    def sign(self, text: bytes) -> bytes:
        """64 bytes of Ed25519 signature."""
        return self._private.sign(text)

    def private_pem(self) -> bytes:
        return _pem("PRIVATE KEY", _PRIVATE_HEAD + self._private.private_bytes_raw())

    def public_pem(self) -> bytes:
        return _pem("PUBLIC KEY", _PUBLIC_HEAD + self.public)


def _pem(label: str, der: bytes) -> bytes:
    return f"-----BEGIN {label}-----\n{base64.b64encode(der).decode()}\n-----END {label}-----\n".encode()


def _unpem(data: bytes, label: bytes, head: bytes) -> bytes | None:
    """The 32 bytes inside a PEM block of this kind, None when it is another kind."""
    match = _PEM.search(data)
    if match is None or match[1] != label:
        return None
    der = _decoded(b"".join(match[2].split()))
    return der[len(head) :] if der.startswith(head) and len(der) == len(head) + 32 else None


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


def load_private(data: bytes) -> BoxKey:
    """The key of a private key's PEM file. Raises BadKey."""
    return BoxKey(_private_from_pem(data))


def _private_from_pem(data: bytes) -> Ed25519PrivateKey:
    seed = _unpem(data, b"PRIVATE KEY", _PRIVATE_HEAD)
    if seed is None:
        raise BadKey("this file holds no Ed25519 private key")
    return Ed25519PrivateKey.from_private_bytes(seed)


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
    public = _unpem(data, b"PUBLIC KEY", _PUBLIC_HEAD)
    return public if public is not None else BoxKey(_private_from_pem(data)).public


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
