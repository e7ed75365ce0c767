#!/usr/bin/env python3
"""Verify a Menwei journal without Menwei: Python's standard library only, written from docs/journal-format.md alone.

    python3 verify_journal.py journal.db --key journal.pub --checkpoint kept-elsewhere.txt

Exit code 0: all holds; 1: not, and the first bad record is named; 2: wrong use. Without --key no signature is checked;
without --checkpoint a rewritten or older copy cannot be told from the true one.
"""

from __future__ import annotations

import argparse
import base64
import functools
import hashlib
import json
import pathlib
import re
import sqlite3
import sys
import urllib.parse
from typing import Any

Point = tuple[int, int, int, int]


class Bad(Exception):
    def __init__(self, text: str, seq: int | None = None) -> None:
        super().__init__(text)
        self.seq = seq


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


# ── Ed25519, RFC 8032 section 5.1: verification only ───────────────────────────────────────────────────────────────

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def add(a: Point, b: Point) -> Point:
    """Two points of the curve in extended coordinates X, Y, Z, T."""
    e = (a[1] - a[0]) * (b[1] - b[0]) % P
    f = (a[1] + a[0]) * (b[1] + b[0]) % P
    g = 2 * a[3] * b[3] * D % P
    h = 2 * a[2] * b[2] % P
    p, q, r, s = f - e, h - g, h + g, f + e
    return (p * q % P, r * s % P, q * r % P, p * s % P)


def combined(s: int, p: Point, h: int, q: Point) -> Point:
    """s times p plus h times q."""
    table, result = (None, p, q, add(p, q)), (0, 1, 1, 0)
    for bit in range(255, -1, -1):
        result = add(result, result)
        chosen = table[(s >> bit & 1) + 2 * (h >> bit & 1)]
        result = add(result, chosen) if chosen else result
    return result


def point_of(data: bytes) -> Point | None:
    """The point that 32 bytes encode, None if they encode none."""
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        return None
    x = P - x if x & 1 != sign else x
    return (x, y, 1, x * y % P)


BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


@functools.lru_cache(maxsize=4096)
def signature_holds(key: bytes, signature: bytes, text: bytes) -> bool:
    a, r, s = point_of(key), point_of(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or BASE is None or a is None or r is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + key + text).digest(), "little") % ORDER
    found = combined(s, BASE, h, (P - a[0], a[1], 1, P - a[3]))
    return (found[0] - r[0] * found[2]) % P == 0 and (found[1] - r[1] * found[2]) % P == 0


# ── keys and checkpoints ──


def public_key(data: bytes) -> bytes:
    """The 32 bytes of a public key: PEM, or a C2SP verifier key `name+id+base64`, or base64."""
    text = data.decode("utf-8", "replace").strip()
    match = re.search(r"-----BEGIN PUBLIC KEY-----(.*)-----END", text, re.S)
    plain = "".join(match[1].split()) if match else re.sub(r"^\S+\+[0-9a-f]{8}\+", "", text)
    try:
        raw = base64.b64decode(plain, validate=True)[-32:]
    except ValueError:
        raw = b""
    if len(raw) != 32:
        raise Bad("the key file holds no Ed25519 public key")
    return raw


def read_checkpoint(note: bytes, key: bytes | None) -> tuple[str, int, int, bytes]:
    """(box, epoch, size, root) of a signed note; its signature is checked if there is a key."""
    try:
        text, _, signatures = note.decode().rpartition("\n\n")
        origin, size, root = text.split("\n")[:3]
        box, epoch = re.findall(r"^menwei/([^/]+/[^/]+)/([1-9][0-9]*)$", origin)[0]
        found = (box, int(epoch), int(size), base64.b64decode(root, validate=True))
    except (ValueError, IndexError):
        raise Bad("a checkpoint is not readable") from None
    if key is not None:
        check_signature(origin, (text + "\n").encode(), signatures, key)
    return found


def check_signature(origin: str, signed: bytes, signatures: str, key: bytes) -> None:
    key_id = sha256(origin.encode() + b"\n\x01" + key)[:4]
    for line in signatures.splitlines():
        try:
            dash, name, value = line.split(" ")
            raw = base64.b64decode(value, validate=True)
        except ValueError:
            raise Bad("a signature line of a checkpoint is malformed") from None
        if dash == "\u2014" and name == origin and raw[:4] == key_id:
            if signature_holds(key, raw[4:], signed):
                return
            raise Bad("the signature under a checkpoint is wrong")
    raise Bad("a checkpoint is not signed with this key")


# ── the tree of RFC 6962 ──


class Tree:
    """Peaks (size, hash) of perfect subtrees, sizes falling."""

    def __init__(self, packed: bytes = b"") -> None:
        self.size = int.from_bytes(packed[:8], "big")
        self.peaks: list[tuple[int, bytes]] = []
        left, at = self.size, 8
        for bit in range(self.size.bit_length() - 1, -1, -1):
            if left >> bit & 1:
                self.peaks.append((1 << bit, packed[at : at + 32]))
                at += 32
        if len(packed) not in (0, at):
            raise Bad("the frontier of the pruned records is malformed")

    def add(self, leaf: bytes) -> None:
        self.size += 1
        self.peaks.append((1, leaf))
        while len(self.peaks) > 1 and self.peaks[-1][0] == self.peaks[-2][0]:
            (width, right), (_, left) = self.peaks.pop(), self.peaks.pop()
            self.peaks.append((2 * width, sha256(b"\1" + left + right)))

    def root(self) -> bytes:
        root = None
        for _, peak in reversed(self.peaks):
            root = peak if root is None else sha256(b"\1" + peak + root)
        return sha256(b"") if root is None else root


# ── the walk ──


class Walk:
    def __init__(self, database: sqlite3.Connection, anchor: bytes | None, key: bytes | None) -> None:
        self.db, self.key = database, key
        self.due: list[tuple[int, Any]] = []
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type <> 'table' OR sql LIKE '%as%'"):
            raise Bad(f"{name} is no table of a journal")  # a view could tell each reader something else, or never end
        about = dict(database.execute("SELECT name, value FROM about"))
        if about.get("format") != 1:
            raise Bad("the file is not a journal of format 1")
        self.box = about["box"]
        row = database.execute("SELECT epoch, seq, link, frontier FROM pruned ORDER BY seq DESC LIMIT 1").fetchone()
        first: tuple[int, int, bytes, bytes] = row or (about["epoch"], 0, bytes(32), b"")
        self.epoch, self.seq, self.link, packed = first
        self.tree, self.records, self.evicted, self.checkpoints = Tree(packed), 0, 0, 0
        self.pruned = self.trusted = self.seq  # trusted: the last record under a signed checkpoint that holds
        self.anchors = [read_checkpoint(part, key) for part in re.split(rb"(?m)^(?=menwei/)", anchor or b"")[1:]]
        self.unmet = [item for item in self.anchors if item[1:3] >= (self.epoch, self.tree.size)]
        if any(item[0] != self.box for item in self.anchors) or (anchor is not None and not self.unmet):
            raise Bad("the checkpoint given is of another box, or of records that are not kept any more")

    def run(self) -> None:
        self.load_checkpoints()
        for row in self.db.execute("SELECT seq, epoch, body, leaf, link FROM record ORDER BY seq"):
            self.record(*row)
        self.close_epoch()
        if self.unmet:
            raise Bad(f"the file has no epoch {self.unmet[0][1]} of size {self.unmet[0][2]}", self.seq + 1)

    def record(self, seq: int, epoch: Any, body: Any, leaf: Any, link: Any) -> None:
        if seq != self.seq + 1:
            raise Bad(f"record {self.seq + 1} is missing: {seq} comes next", self.seq + 1)
        if not isinstance(epoch, int) or epoch < self.epoch:
            raise Bad(f"record {seq} goes back to epoch {epoch}", seq)
        if epoch > self.epoch:
            self.close_epoch()
            self.epoch, self.tree = epoch, Tree()
            self.load_checkpoints()
        if not isinstance(leaf, bytes):
            raise Bad(f"record {seq} has no hash", seq)
        if body is None:
            self.evicted += 1
        else:
            self.body(seq, body, leaf)
        if sha256(self.link + leaf) != link:
            raise Bad(f"record {seq} does not follow from the one before it", seq)
        self.seq, self.link, self.records = seq, link, self.records + 1
        self.tree.add(leaf)
        self.compare()

    def body(self, seq: int, body: Any, leaf: bytes) -> None:
        if not isinstance(body, bytes) or sha256(b"\0" + body) != leaf:
            raise Bad(f"record {seq} is not what was hashed", seq)
        try:
            fields = json.loads(body)
            belongs = (fields["seq"], fields["epoch"], fields["site_box"]) == (seq, self.epoch, self.box)
        except (ValueError, KeyError, TypeError):
            raise Bad(f"record {seq} is not a record", seq) from None
        if not belongs:
            raise Bad(f"record {seq} carries number {fields['seq']} of epoch {fields['epoch']}", seq)

    def load_checkpoints(self) -> None:
        """All that is said about the tree of this epoch: by the file's own checkpoints, and by the one given."""
        self.due = []
        for size, note in self.db.execute("SELECT size, note FROM checkpoint WHERE epoch = ?", (self.epoch,)):
            self.due.append((size, note if isinstance(note, bytes) else str(note).encode("utf-8", "replace")))
        self.due += [(item[2], item) for item in self.unmet if item[1] == self.epoch]
        self.due = [item for item in sorted(self.due, key=lambda item: item[0]) if item[0] >= self.tree.size]
        self.start = self.seq
        self.compare()

    def compare(self) -> None:
        while self.due and self.due[0][0] == self.tree.size:
            size, note = self.due.pop(0)
            try:
                signed = note if isinstance(note, tuple) else read_checkpoint(note, self.key)
            except Bad as bad:
                raise Bad(f"after record {self.seq}: {bad}", self.trusted + 1) from None
            if signed != (self.box, self.epoch, size, self.tree.root()):
                since = min(self.start, self.trusted) if signed is note else self.trusted  # it may have signed both
                raise Bad(f"records {since + 1} to {self.seq} are not those that were signed", since + 1)
            self.trusted = self.seq if self.key else self.trusted
            self.checkpoints += 1
            self.unmet = [item for item in self.unmet if item is not note]

    def close_epoch(self) -> None:
        if self.due:
            raise Bad(f"records from {self.seq + 1} on are missing: a checkpoint knows {self.due[0][0]}", self.seq + 1)


def check(path: Any, anchor: bytes | None = None, key: bytes | None = None) -> tuple[Walk | None, str, int | None]:
    """(walk or None, text, first bad seq): text is "" when everything holds."""
    walk: Walk | None = None  # a closed file is read without leaving a trace beside it:
    options = "?mode=ro" if pathlib.Path(f"{path}-wal").exists() else "?mode=ro&immutable=1"
    try:
        database = sqlite3.connect(f"file:{urllib.parse.quote(str(path))}{options}", uri=True)
        try:
            walk = Walk(database, anchor, key)
            walk.run()
        finally:
            database.close()
    except Bad as bad:
        return walk, str(bad), bad.seq
    except (sqlite3.Error, KeyError, TypeError, ValueError, RecursionError) as error:
        return walk, f"the file cannot be read: {error!r}", None
    return walk, "", None


def main() -> int:
    parser = argparse.ArgumentParser(description="verify a Menwei journal without Menwei")
    parser.add_argument("file")
    parser.add_argument("--key", type=pathlib.Path, help="the box's public key")
    parser.add_argument("--checkpoint", type=pathlib.Path, help="signed checkpoints kept elsewhere, each epoch's last")
    wanted = parser.parse_args()
    try:
        key = public_key(wanted.key.read_bytes()) if wanted.key else None
        note = wanted.checkpoint.read_bytes() if wanted.checkpoint else None
    except (OSError, Bad) as error:
        parser.error(str(error))
    walk, text, seq = check(wanted.file, note, key)
    if walk:
        print(f"{walk.box}: {walk.records} records and {walk.checkpoints} checkpoints hold, up to record {walk.seq}")
        print(f"evicted bodies: {walk.evicted}; pruned up to record {walk.pruned}; last root {walk.tree.root().hex()}")
    print(f"NOT OK: {text}" if text else "OK")
    print(f"first bad record: {seq}" if seq else "", end="\n" if seq else "")
    return 1 if text else 0


if __name__ == "__main__":
    sys.exit(main())
