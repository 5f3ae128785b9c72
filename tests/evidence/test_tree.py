"""The nodes that are told add up to the roots of RFC 9162, wherever it is cut."""

import hashlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.evidence import tree
from auditor.evidence.tree import Node, Peaks

HASHES = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(200)]


def by_the_standard(hashes: list[str]) -> bytes:
    """RFC 9162, 2.1.1, word by word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashlib.sha256(b"\x00" + bytes.fromhex(hashes[0])).digest()
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\x01" + by_the_standard(hashes[:k]) + by_the_standard(hashes[k:])).digest()


def roots(nodes: list[Node]) -> dict[int, bytes]:
    """How many entries -> root of the ledger that ended there."""
    peaks = Peaks()
    found = {0: peaks.root}
    for one in nodes:
        peaks.add(one.count, one.hash)
        found[peaks.count] = peaks.root
    return found


@given(st.integers(0, 200), st.sets(st.integers(0, 210)))
def test_every_cut_gives_the_root_of_the_ledger_that_ended_there(count: int, cuts: set[int]) -> None:
    told = list(tree.nodes(map(tree.leaf, HASHES[:count]), sorted(cuts)))
    found = roots(told)
    for cut in {*(one for one in cuts if one <= count), count}:
        assert found[cut] == by_the_standard(HASHES[:cut])


@given(st.integers(1, 200), st.data())
def test_an_entry_that_is_shown_stands_alone(count: int, data: st.DataObject) -> None:
    shown = data.draw(st.sets(st.integers(1, count)))
    told = list(tree.nodes(map(tree.leaf, HASHES[:count]), tree.around(shown, ())))
    alone = {one.first: one.hash for one in told if one.count == 1}
    assert {number: alone[number] for number in shown} == {number: tree.leaf(HASHES[number - 1]) for number in shown}


@given(st.integers(0, 200), st.sets(st.integers(0, 200)))
def test_no_two_neighbours_could_be_one(count: int, cuts: set[int]) -> None:
    told = list(tree.nodes(map(tree.leaf, HASHES[:count]), sorted(cuts)))
    for left, right in pairwise(told):
        is_one = left.count == right.count and (left.first - 1) % (2 * left.count) == 0
        assert not is_one or right.first - 1 in cuts


@given(st.integers(1, 200), st.sets(st.integers(1, 200)))
def test_what_is_written_is_read(count: int, cuts: set[int]) -> None:
    told = list(tree.nodes(map(tree.leaf, HASHES[:count]), sorted(cuts)))
    lines = [tree.line(one) for one in told]
    assert list(tree.read(lines)) == told
    assert max(map(len, lines)) <= tree.LONGEST_LINE


NONE = {
    "no hash": b"1 1 \n",
    "capital letters": b"1 1 " + b"A" * 64 + b"\n",
    "no end": b"1 1 " + b"a" * 64,
    "a sign": b"+1 1 " + b"a" * 64 + b"\n",
    "a zero before": b"01 1 " + b"a" * 64 + b"\n",
    "not the first": b"2 1 " + b"a" * 64 + b"\n",
    "digits that are none": "1 \u0661 ".encode() + b"a" * 64 + b"\n",
    "beyond all numbers": b"1 " + b"9" * 5000 + b" " + b"a" * 64 + b"\n",
}


@pytest.mark.parametrize("text", NONE.values(), ids=NONE)
def test_what_is_no_node_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="its line 1 "):
        list(tree.read([text]))


def test_no_line_can_be_longer_than_the_longest() -> None:
    most = 10**15 - 1
    assert len(tree.line(Node(most, most, bytes(32)))) == tree.LONGEST_LINE


def test_a_line_that_lacks_is_noticed() -> None:
    told = [tree.line(one) for one in tree.nodes(map(tree.leaf, HASHES[:7]), ())]
    assert len(told) == 3
    with pytest.raises(ValueError, match="its line 2 does not follow"):
        list(tree.read([told[0], told[2]]))


@pytest.mark.parametrize(("before", "count"), [(0, 0), (0, 3), (1, 2), (6, 4), (0, -1)])
def test_a_subtree_stands_only_where_it_can(before: int, count: int) -> None:
    peaks = Peaks()
    for each in HASHES[:before]:
        peaks.add(1, tree.leaf(each))
    with pytest.raises(ValueError, match="cannot follow"):
        peaks.add(count, b"")
