"""The tree against RFC 6962 written a second time, naively, and against Certificate Transparency's vectors."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proof_check import consistency_holds, inclusion_holds

from agent.core.records import leaf_hash
from agent.journal.merkle import EMPTY_ROOT, Frontier, Tree

# Leaf inputs and roots for 1..8 leaves, as published with the Certificate Transparency reference implementation.
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 2.1, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = naive_split(len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 2.1.1."""
    if len(leaves) == 1:
        return []
    k = naive_split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_proof(m: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962 2.1.2."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = naive_split(len(leaves))
    if m <= k:
        return [*naive_proof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_proof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def some_leaves(n: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(n)]


def frontier_of(leaves: list[bytes]) -> Frontier:
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier


def test_published_vectors() -> None:
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT
    for data, root in zip(INPUTS, ROOTS, strict=True):
        frontier.append(leaf_hash(data))
        assert frontier.root().hex() == root


@pytest.mark.parametrize("n", range(34))
def test_frontier_and_tree_agree_with_the_naive_tree(n: int) -> None:
    leaves = some_leaves(n)
    frontier = frontier_of(leaves)
    assert frontier.root() == naive_root(leaves) == Tree(leaves).root(n)
    again = Frontier.from_bytes(frontier.to_bytes())
    assert (again.size, again.hashes) == (frontier.size, frontier.hashes)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_proofs_are_those_of_the_rfc_and_hold(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 70))
    m = data.draw(st.integers(0, n - 1))
    leaves = some_leaves(n)
    path = Tree(leaves).inclusion(m, n)
    assert path == naive_path(m, leaves)
    assert inclusion_holds(leaves[m], m, n, path, naive_root(leaves))
    old = m + 1
    proof = Tree(leaves).consistency(old, n)
    assert proof == naive_proof(old, leaves)
    assert consistency_holds(old, n, naive_root(leaves[:old]), naive_root(leaves), proof)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_wrong_proof_does_not_hold(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 70))
    m = data.draw(st.integers(0, n - 1))
    leaves = some_leaves(n)
    root = naive_root(leaves)
    path = Tree(leaves).inclusion(m, n)
    broken = list(path)
    at = data.draw(st.integers(0, len(path) - 1))
    broken[at] = bytes(32)
    assert not inclusion_holds(leaves[m], m, n, broken, root)
    assert not inclusion_holds(leaves[m], m, n, path[:-1], root)
    assert not inclusion_holds(leaves[m], m, n, [*path, bytes(32)], root)
    assert not inclusion_holds(leaves[m], (m + 1) % n, n, path, root)
    if m + 1 < n:
        proof = Tree(leaves).consistency(m + 1, n)
        was = naive_root(leaves[: m + 1])
        assert not consistency_holds(m + 1, n, was, root, proof[:-1])
        assert not consistency_holds(m + 1, n, bytes(32), root, proof)
        assert not consistency_holds(m + 1, n, was, bytes(32), proof)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_pruned_prefix_still_gives_roots_and_proofs(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 70))
    pruned = data.draw(st.integers(0, n - 1))
    index = data.draw(st.integers(pruned, n - 1))
    leaves = some_leaves(n)
    tree = Tree(leaves[pruned:], frontier_of(leaves[:pruned]))
    assert tree.root(n) == naive_root(leaves)
    assert tree.inclusion(index, n) == naive_path(index, leaves)
    if pruned:
        assert tree.consistency(pruned, n) == naive_proof(pruned, leaves)


@given(st.integers(0, 70), st.integers(0, 70))
@settings(max_examples=150, deadline=None)
def test_adding_many_is_adding_one_by_one(first: int, more: int) -> None:
    leaves = some_leaves(first + more)
    frontier = frontier_of(leaves[:first])
    frontier.extend(leaves[first:])
    assert (frontier.size, frontier.hashes) == (first + more, frontier_of(leaves).hashes)


def test_a_pruned_leaf_has_no_proof() -> None:
    leaves = some_leaves(9)
    with pytest.raises(LookupError):
        Tree(leaves[5:], frontier_of(leaves[:5])).inclusion(2, 9)


def test_a_frontier_refuses_what_it_cannot_be() -> None:
    for data in (b"", b"\0" * 7, (3).to_bytes(8, "big") + bytes(32), (2).to_bytes(8, "big") + bytes(31)):
        with pytest.raises(ValueError, match="frontier"):
            Frontier.from_bytes(data)
    shuffled = some_leaves(20)
    random.Random(5).shuffle(shuffled)
    assert frontier_of(shuffled).root() != frontier_of(some_leaves(20)).root()
