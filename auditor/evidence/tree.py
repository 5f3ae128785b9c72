"""A Merkle tree over the hashes of a ledger's entries, told by few of its nodes.

The nodes are whole subtrees side by side, cut wherever something is to be proven: where an earlier ledger ended, and
around each entry that is shown. Whoever adds them up gets the root of the whole, and on the way the root of each
ledger that ended at a cut: these entries are the same in both, or no hash of SHA-256 proves anything.

Source: RFC 9162, 2.1.1: hashes of leaves and nodes, and the shape of the tree.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

_LINE: Final = re.compile(rb"([1-9][0-9]{0,14}) ([1-9][0-9]{0,14}) ([0-9a-f]{64})\n")
LONGEST_LINE: Final = 15 + 1 + 15 + 1 + 64 + 1


@dataclass(frozen=True, slots=True)
class Node:
    """A whole subtree."""

    first: int
    """Number of the first entry under it; the first of all has number 1."""
    count: int
    """Entries under it: a power of two."""
    hash: bytes


class Peaks:
    """The tree over the entries so far: as few whole subtrees as there can be, from the left."""

    def __init__(self) -> None:
        self.count = 0
        self._peaks: list[tuple[int, bytes]] = []

    def add(self, count: int, hash_: bytes) -> None:
        """Put a whole subtree on the right.

        Raises:
            ValueError: none of this size can stand there.
        """
        if count < 1 or count & (count - 1) or self.count % count:
            raise ValueError(f"a subtree over {count} entries cannot follow {self.count} entries")
        self.count += count
        while self._peaks and self._peaks[-1][0] == count:
            hash_ = over(self._peaks.pop()[1], hash_)
            count *= 2
        self._peaks.append((count, hash_))

    @property
    def root(self) -> bytes:
        """The root of the tree over all of them."""
        if not self._peaks:
            return hashlib.sha256(b"").digest()
        *others, (_, found) = self._peaks
        for _, hash_ in reversed(others):
            found = over(hash_, found)
        return found


def leaf(hash_: str) -> bytes:
    """The leaf of an entry with this hash, hexadecimal."""
    return hashlib.sha256(b"\0" + bytes.fromhex(hash_)).digest()


def over(left: bytes, right: bytes) -> bytes:
    """The node over two others."""
    return hashlib.sha256(b"\1" + left + right).digest()


def nodes(leaves: Iterable[bytes], cuts: Iterable[int]) -> Iterator[Node]:
    """Tell a tree by as few nodes as can be, none of which reaches over a cut.

    `cuts`: numbers of entries behind which one is to be, rising. Memory grows with the depth of the tree alone.
    """
    coming = iter(cuts)
    cut = next(coming, None)
    waiting: list[Node] = []
    for number, each in enumerate(leaves, 1):
        one = Node(number, 1, each)
        # Two of one size are one, where the left one begins at a place of the double size.
        while waiting and waiting[-1].count == one.count and (waiting[-1].first - 1) % (2 * one.count) == 0:
            left = waiting.pop()
            one = Node(left.first, 2 * one.count, over(left.hash, one.hash))
        waiting.append(one)
        while cut is not None and cut <= number:
            if cut == number:
                yield from waiting
                waiting.clear()
            cut = next(coming, None)
    yield from waiting


def around(shown: Iterable[int], ends: Iterable[int]) -> list[int]:
    """Where to cut, so that each entry that is shown stands alone and each earlier ledger ends at a cut."""
    return sorted({place for one in shown for place in (one - 1, one)}.union(ends) - {0})


def line(node: Node) -> bytes:
    """One node as a line of text: first entry, count of entries, hash."""
    return f"{node.first} {node.count} {node.hash.hex()}\n".encode()


def read(lines: Iterable[bytes]) -> Iterator[Node]:
    """Read what `line` wrote; each node follows the one before it.

    Raises:
        ValueError: they are none, or something lacks between two of them.
    """
    following = 1
    for number, text in enumerate(lines, 1):
        hit = _LINE.fullmatch(text)
        if hit is None:
            raise ValueError(f"its line {number:,} is no node")
        one = Node(int(hit[1]), int(hit[2]), bytes.fromhex(hit[3].decode()))
        if one.first != following:
            raise ValueError(f"its line {number:,} does not follow the one before")
        following += one.count
        yield one
