"""The words of the gaps of a tenant's view: what the operator could not read, and what is in nobody's view."""

from collections.abc import Iterable, Iterator
from typing import Final

from auditor import gaps
from auditor.findings import BucketCoverage
from auditor.handover.bundle import Seen
from auditor.model import Gap, Reason

_OPERATOR: Final = "ask the operator, whose own report tells more"
_PART: Final = "the operator could not read all of it: what is said of it here may lack something"
_PRINCIPALS: Final = "whether the platform may use all keys is not judged: the config does not name its principals"


def of_part(gap: Gap, what: str) -> Gap:
    """Something of the tenant's could not be read whole; why is told in words that may name others."""
    return Gap(what, gap.reason, gaps.A_PROBE_OF_IT if gaps.is_of_probe(gap) else _PART, _OPERATOR)


def of_bucket(gap: Gap, unresolved: int, *, alone: bool) -> Iterator[Gap]:
    """What could not be read of a bucket; `unresolved`: objects of the tenant's of which nobody knows the encryption.

    `alone`: it is the only gap of the bucket that counts objects.
    """
    if (told := gaps.narrowly(gap)) is not None:
        yield Gap(gap.what, gap.reason, told, _OPERATOR)
    elif gap.objects is None:
        yield of_part(gap, gap.what)
    elif unresolved:
        effect = f"the encryption of {unresolved} objects is not known"
        yield Gap(gap.what, gap.reason, effect, _OPERATOR, unresolved if alone else None)


def of_log(gap: Gap) -> Gap:
    """An audit log did not tell who did what led to findings, of which others may have some as well."""
    return Gap(gap.what, gap.reason, "who did what led to some of the findings is not known", gap.hint)


def of_principals(gap: Gap) -> Gap:
    """Of some keys nobody said who must be able to use them."""
    return Gap(gap.what, gap.reason, _PRINCIPALS, gap.hint)


def of_view(tenant: str, seen: Seen, buckets: Iterable[BucketCoverage]) -> Iterator[Gap]:
    """What there may be of the tenant that is in no tenant's view; `buckets`: those that have data of it."""
    what = gaps.view_of(tenant)
    if seen.unclear:
        effect = f"data of which nobody says for certain whose it is is in no tenant's view: some may be {tenant}'s"
        yield Gap(what, Reason.NOT_VISIBLE, effect, _OPERATOR)
    if seen.unswept:
        effect = f"not every bucket of the operator has a whole sweep: what of {tenant} is there is not known"
        yield Gap(what, Reason.NOT_VISIBLE, effect, _OPERATOR)
    if seen.elsewhere is None or seen.elsewhere:
        effect = f"not every bucket of the operator is known to be looked at: what of {tenant} is there is not known"
        yield Gap(what, Reason.NOT_VISIBLE, effect, _OPERATOR)
    if not seen.registries:
        effect = "not all that tells the operator whose a namespace is could be used: some may be missing"
        yield Gap(what, Reason.NOT_VISIBLE, effect, _OPERATOR)
    for one in buckets:
        if one.outside:
            effect = "it has objects whose names tell no namespace: whose they are is not known, and no view has them"
            yield Gap(one.bucket, Reason.NOT_VISIBLE, effect, _OPERATOR)
        if one.uploads_in_progress:
            effect = "it has unfinished uploads, of which nobody tells whose they are, or the key"
            yield Gap(one.bucket, Reason.NOT_VISIBLE, effect, _OPERATOR)
