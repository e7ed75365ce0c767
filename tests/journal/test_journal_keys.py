"""Keys as other tools read them, and checkpoints against the C2SP note format's own published examples."""

from __future__ import annotations

import base64
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from agent.journal import keys
from agent.journal.checkpoint import BadNote, Checkpoint, key_id, parse, sign, verified
from agent.journal.keys import ED25519_TYPE, BadKey, BoxKey, load_or_create, load_public, signed_by

# The example that golang.org/x/mod/sumdb/note publishes for this format.
NOTE_KEY = b"PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NOTE_TEXT = b"If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="

HEAD = Checkpoint(site_box="dongfang-primary/gate-1", epoch=3, size=1234, root=bytes(range(32)))


def verifier_key(name: str, public: bytes) -> str:
    """The C2SP text form of a public key, as other tools write it."""
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(ED25519_TYPE + public).decode()}"


def test_published_note_example() -> None:
    public = load_public(NOTE_KEY)
    assert key_id("PeterNeumann", public).hex() == "c74f20a3"
    assert verifier_key("PeterNeumann", public).encode() == NOTE_KEY
    signature = base64.b64decode(NOTE_SIGNATURE)
    assert signature[:4].hex() == "c74f20a3"
    assert signed_by(public, signature[4:], NOTE_TEXT)
    assert not signed_by(public, signature[4:], NOTE_TEXT + b"\n")


def test_key_is_made_once_kept_private_and_read_by_others(tmp_path: Path) -> None:
    key = load_or_create(tmp_path)
    assert key.problem == "" and load_or_create(tmp_path).public == key.public
    path = tmp_path / keys.KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    theirs = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(theirs, Ed25519PrivateKey)
    assert theirs.public_key().public_bytes_raw() == key.public
    assert load_public((tmp_path / keys.PUBLIC_FILE).read_bytes()) == key.public
    assert load_public(path.read_bytes()) == key.public


def test_public_keys_in_every_form_people_have_them() -> None:
    public = BoxKey.generate().public
    for form in (public, public.hex().encode(), base64.b64encode(public) + b"\n", verifier_key("x/y", public).encode()):
        assert load_public(form) == public
    for wrong in (b"", b"hello", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", b"a+00000000+AAAA"):
        with pytest.raises(BadKey):
            load_public(wrong)


def test_a_damaged_key_is_kept_aside_and_said(tmp_path: Path) -> None:
    (tmp_path / keys.KEY_FILE).write_bytes(b"\0\0\0")
    key = load_or_create(tmp_path)
    assert "damaged" in key.problem
    assert (tmp_path / "journal.key.damaged-1").read_bytes() == b"\0\0\0"
    assert load_or_create(tmp_path).public == key.public


def test_a_folder_that_cannot_keep_a_key_still_gets_one(tmp_path: Path) -> None:
    assert "cannot be stored" in load_or_create(tmp_path / "missing").problem


def test_checkpoint_text_is_exactly_c2sp() -> None:
    key = BoxKey.generate()
    note = sign(HEAD, key).decode()
    text, _, tail = note.partition("\n\n")
    assert text == "menwei/dongfang-primary/gate-1/3\n1234\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    dash, name, value = tail.rstrip("\n").split(" ")
    assert (dash, name) == ("—", "menwei/dongfang-primary/gate-1/3")
    raw = base64.b64decode(value)
    assert raw[:4] == key_id(name, key.public) and signed_by(key.public, raw[4:], (text + "\n").encode())
    assert verified(note.encode(), key.public) == HEAD


def test_other_signatures_are_passed_over_and_ours_must_hold() -> None:
    key, other = BoxKey.generate(), BoxKey.generate()
    note = sign(HEAD, key)
    witness = sign(HEAD, other).partition(b"\n\n")[2]
    assert verified(note + witness, key.public) == HEAD
    with pytest.raises(BadNote, match="not signed with this key"):
        verified(sign(HEAD, other), key.public)
    with pytest.raises(BadNote, match="wrong"):
        verified(note.replace(b"\n1234\n", b"\n1235\n"), key.public)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\xff\n\n\xe2\x80\x94 a b\n",
        b"menwei/a/b/1\n5\n\n\xe2\x80\x94 a AAAAAAAA\n",
        b"menwei/a/b/0\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n\xe2\x80\x94 a AAAAAAAA\n",
        b"menwei/a/b/1\n05\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n\xe2\x80\x94 a AAAAAAAA\n",
        b"menwei/a/b/1\n5\nAAEC\n\n\xe2\x80\x94 a AAAAAAAA\n",
        b"menwei/a/b/1\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n",
        b"menwei/a/b/1\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n- a AAAAAAAA\n",
        b"menwei/a/b/1\n5\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n\n\xe2\x80\x94 a !!!!\n",
        b"x" * 100_000,
    ],
)
def test_garbage_notes_get_a_clear_error(note: bytes) -> None:
    with pytest.raises(BadNote):
        parse(note)


@given(st.binary(max_size=200))
def test_no_note_from_outside_raises_anything_else(junk: bytes) -> None:
    note = sign(HEAD, BoxKey.generate())
    for candidate in (junk, note[: len(junk)] + junk, junk + note):
        try:
            parse(candidate)
        except BadNote:
            continue


def test_openssl_reads_our_keys(tmp_path: Path) -> None:
    load_or_create(tmp_path)
    try:
        done = subprocess.run(
            ["openssl", "pkey", "-in", tmp_path / keys.KEY_FILE, "-pubout"], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    assert done.stdout.split() == (tmp_path / keys.PUBLIC_FILE).read_bytes().split()
