"""What data would come to if a name that it has were another one's: nobody knows whether both are of one key."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Final

from auditor.findings import Assessment, Member
from auditor.model import Holding, KeyName
from auditor.ownership.spelling import EACH_ITS_OWN, NamesOfKeys, Spelling

Judge = Callable[[Holding], Iterable[Assessment]]
"""What bars some data, or may, each cause by itself; what it comes to, where nothing does."""


class Supposed:
    """The data of a judgement, to be asked what it would be under names that it has not, each once."""

    def __init__(self, holdings: Iterable[Holding], spelling: Spelling, judge: Judge) -> None:
        self._judge = judge
        self._of: defaultdict[tuple[str, KeyName], list[Holding]] = defaultdict(list)
        """The data of each place, by its key."""
        for one in holdings:
            if one.key is not None:
                self._of[one.bucket, KeyName(one.key)].append(one)
        self._names = NamesOfKeys((*(key for _, key in self._of), *spelling.ones), spelling)
        self._known: dict[tuple[str, KeyName], tuple[Assessment, ...]] = {}

    def of(self, member: Member) -> tuple[Assessment, ...]:
        """What data that is where a member was would come to under its key, which may be called otherwise there.

        Nothing where all that is there is under other keys, as far as is proven.
        """
        bucket, _, text, _ = member
        if text is None:
            return ()
        place = bucket, KeyName(text)
        if place not in self._known:
            self._known[place] = tuple(self._found(*place))
        return self._known[place]

    def _found(self, bucket: str, key: KeyName) -> Iterator[Assessment]:
        for name in self._names.undecided(key):
            for one in self._of.get((bucket, name), ()):
                yield from self._judge(replace(one, key=key.text))


NOTHING_SUPPOSED: Final = Supposed((), EACH_ITS_OWN, lambda _: ())
"""Where nobody asks, or there is no data."""
