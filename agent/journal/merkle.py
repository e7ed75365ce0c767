"""The Merkle tree of RFC 6962: an append-only frontier for the writer, proofs for those who check.

A tree of n leaves is described by the roots of its maximal perfect subtrees, largest first: the frontier. Appending
one leaf costs one hash on average and the root at most log2(n) more, so the writer never needs old leaves again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

HASH_BYTES = 32
_sha256 = hashlib.sha256
_KEEP_LEAVES = 64  # subtrees from this size on are worked out once only
EMPTY_ROOT = hashlib.sha256(b"").digest()  # RFC 6962, 2.1: the root of no leaves


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 interior node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """A tree that only grows. `hashes` are the roots of its perfect subtrees, largest first."""

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(hashes) != size.bit_count() or any(len(item) != HASH_BYTES for item in hashes):
            raise ValueError(f"a frontier of {size} leaves has {size.bit_count()} hashes of {HASH_BYTES} bytes")
        self.size = size
        self.hashes = list(hashes)

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        carry = leaf
        size = self.size
        while size & 1:
            carry = node_hash(self.hashes.pop(), carry)
            size >>= 1
        self.hashes.append(carry)
        self.size += 1

    def extend(self, leaves: Sequence[bytes]) -> None:
        """Add many leaf hashes, a whole level at a time: the same tree as one by one, for a third less."""
        level, odd = list(leaves), self.size
        kept, self.size = self.hashes, self.size + len(leaves)
        behind: list[bytes] = []
        while level:
            if odd & 1:
                level.insert(0, kept.pop())
            if len(level) & 1:
                behind.append(level.pop())
            pairs = iter(level)
            level = [_sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            odd >>= 1
        kept += reversed(behind)

    def root(self) -> bytes:
        """The RFC 6962 root of all leaves so far."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root

    def copy(self) -> Frontier:
        return Frontier(self.size, self.hashes)

    def to_bytes(self) -> bytes:
        """Size as 8 bytes, big-endian, then the hashes, largest subtree first."""
        return self.size.to_bytes(8, "big") + b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Frontier:
        """The reverse of `to_bytes`. Raises ValueError on anything else."""
        if len(data) < 8:
            raise ValueError("a frontier begins with the number of leaves in 8 bytes")
        hashes = [data[at : at + HASH_BYTES] for at in range(8, len(data), HASH_BYTES)]
        return cls(int.from_bytes(data[:8], "big"), hashes)


class Tree:
    """All leaves of one tree, for proofs. A pruned prefix is known by its frontier only; its leaves are not."""

    def __init__(self, leaves: Sequence[bytes], prefix: Frontier | None = None) -> None:
        self._prefix = prefix.size if prefix is not None else 0
        self._known = dict(_perfect_subtrees(prefix)) if prefix is not None else {}
        self._leaves = leaves
        self.size = self._prefix + len(leaves)

    def root(self, size: int) -> bytes:
        """The root when the tree had `size` leaves. Raises LookupError where pruned leaves would be needed."""
        return self._hash(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """RFC 6962 2.1.1: the audit path of leaf `index` in the tree of `size` leaves."""
        if not 0 <= index < size <= self.size:
            raise LookupError(f"no leaf {index} in a tree of {size}")
        path: list[bytes] = []
        start, end = 0, size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._hash(middle, end))
                end = middle
            else:
                path.append(self._hash(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, old: int, new: int) -> list[bytes]:
        """RFC 6962 2.1.2: that the tree of `new` leaves continues the tree of `old` leaves."""
        if not 0 < old <= new <= self.size:
            raise LookupError(f"no proof from {old} to {new} in a tree of {self.size}")
        proof: list[bytes] = []
        start, end, whole = 0, new, True
        while old != end:
            middle = start + _split(end - start)
            if old <= middle:
                proof.append(self._hash(middle, end))
                end = middle
            else:
                proof.append(self._hash(start, middle))
                start, whole = middle, False
        if not whole:
            proof.append(self._hash(start, end))
        return proof[::-1]

    def _hash(self, start: int, end: int) -> bytes:
        known = self._known.get((start, end))
        if known is not None:
            return known
        if end - start == 1:
            if start < self._prefix:
                raise LookupError(f"leaf {start} was pruned")
            return self._leaves[start - self._prefix]
        middle = start + _split(end - start)
        found = node_hash(self._hash(start, middle), self._hash(middle, end))
        if end - start >= _KEEP_LEAVES:
            self._known[start, end] = found
        return found


def _split(size: int) -> int:
    """The largest power of two smaller than `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _perfect_subtrees(frontier: Frontier) -> list[tuple[tuple[int, int], bytes]]:
    """The (start, end) of each perfect subtree of a frontier, with its root."""
    start, found = 0, []
    for item in frontier.hashes:
        width = 1 << ((frontier.size - start).bit_length() - 1)
        found.append(((start, start + width), item))
        start += width
    return found
