"""How one who has no journal checks a proof: RFC 9162, written apart from what makes the proofs."""

from __future__ import annotations

from collections.abc import Sequence

from agent.journal.merkle import node_hash


def inclusion_holds(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162 2.1.3.2: whether `path` proves `leaf` at `index` in the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        return False
    at, last, current = index, size - 1, leaf
    for item in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            current = node_hash(item, current)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            current = node_hash(current, item)
        at, last = at >> 1, last >> 1
    return last == 0 and current == root


def consistency_holds(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162 2.1.4.2: whether `proof` shows that the tree of `new` leaves continues that of `old` leaves."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    steps = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not steps:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = now = steps[0]
    for item in steps[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            was, now = node_hash(item, was), node_hash(item, now)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            now = node_hash(now, item)
        at, last = at >> 1, last >> 1
    return last == 0 and was == old_root and now == new_root
