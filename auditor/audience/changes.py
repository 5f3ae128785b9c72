"""What differs between two judgements as one tenant may read it."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from auditor.audience.narrowing import Audience, Narrowing
from auditor.audience.viewing import keys_of
from auditor.errors import LedgerError
from auditor.findings import Finding, Member
from auditor.model import KeyName, Population, Sweep
from auditor.ownership.registered import Tenancy
from auditor.ports import Flows, OpenInventory, SweepRows
from auditor.questions.diff.answer import Between, Difference
from auditor.questions.diff.comparable import Side
from auditor.questions.diff.comparing import Compared, difference

NOTHING_THEN: Final = "the judgement before stands on no bucket that has data of this tenant"


def changes_for(
    two: Compared,
    audience: Audience,
    inventory: SweepRows,
    opened: Callable[[Iterable[Sweep]], OpenInventory],
    naming: Callable[[OpenInventory, frozenset[KeyName]], Tenancy],
) -> Difference | str:
    """Leave out all that is not the tenant's; where nothing is left to compare with, why.

    Whose data was then is told by what registries say now. `audience`: of the later judgement; `opened` opens what
    sweeps wrote, `naming` puts something in place of the names of more keys, also by who had data under them then.

    Raises:
        LedgerError: the inventory cannot be read, or is not what was kept.
    """
    # What was swept by another layout, or is not kept whole, nobody can tell apart by tenants.
    usable = {
        bucket: one
        for bucket, one in two.before.sweeps.items()
        if bucket not in two.before.lacking
        and (next_one := two.after.sweeps.get(bucket)) is not None
        and one.layout in {None, next_one.layout}
    }
    every = opened(usable.values())
    of = naming(every, keys_of(every.alone(replace(audience.tenancy, called={}))))
    then = every.alone(of)
    buckets = frozenset(one.bucket for rows in (then, audience.rows) for one in rows.holdings())
    both = replace(audience, tenancy=of, more_buckets=buckets)
    homes = {one.id: one.bucket for one in two.before.sweeps.values()}
    was = Narrowing(two.before.judgement, replace(both, rows=then, homes=homes))
    now = Narrowing(two.after.judgement, both)
    before, after = was.done(), now.done()
    if not before.coverage.buckets:
        return NOTHING_THEN

    def told(one: Finding) -> Iterator[Finding]:
        if (found := now.finding(one) or was.finding(one)) is not None:
            yield found

    between = Between(
        keys=tuple(one for one in two.between.keys if one.key in was.keys | now.keys),
        passed=tuple(each for one in two.between.passed for each in told(one)),
    )
    swept_then, swept = (
        {bucket: one for bucket, one in sweeps.items() if bucket in buckets} for sweeps in (usable, two.after.sweeps)
    )
    return difference(_Alone(inventory, of), Compared(Side(before, swept_then, {}), Side(after, swept, {}), between))


@dataclass(frozen=True, slots=True)
class _Alone:
    """What sweeps wrote of one tenant."""

    inventory: SweepRows
    of: Tenancy

    def unusable(self, sweeps: Iterable[Sweep]) -> Mapping[str, LedgerError]:
        """As of all data."""
        return self.inventory.unusable(sweeps)

    def flows(
        self,
        before: Sequence[Sweep],
        after: Sequence[Sweep],
        members: Sequence[Member],
        also: Collection[Member],
        left_out: Collection[tuple[str, Population]],
        *,
        of: Tenancy | None = None,
    ) -> Flows:
        """Those of the tenant's data alone."""
        return self.inventory.flows(before, after, members, also, left_out, of=of or self.of)
