"""The gaps of a judgement: what its sweeps, its keys and its config leave open."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from auditor import gaps
from auditor.findings import Assessed, BucketCoverage, Judgement, Member, Readability, member_of
from auditor.model import AwsKey, Cloud, Gap, GcpKey, KeyGone, KeyManager, KeyName, Population, Sweep
from auditor.ownership.spelling import Spelling
from auditor.polling.covering import each_once
from auditor.ports import KeyNeed
from auditor.readability import KeyView
from auditor.run import Parts


def every_gap(
    sweeps: tuple[Sweep, ...],
    configured: frozenset[str],
    unconfigured: int | Gap | None,
    before: Judgement | None,
    *,
    keys_only: bool,
    left: frozenset[str],
    more: Iterable[Gap],
) -> tuple[Gap, ...]:
    """Every gap once, in the order of what they are about; `unconfigured`: buckets that no config names, or why not.

    `left`: buckets that others sweep.
    """
    found = [*(gap for one in sweeps for gap in one.gaps), *more]
    never = configured.difference(one.bucket for one in sweeps)
    found.extend(gaps.never_swept(url, left=url in left) for url in never)
    if isinstance(unconfigured, Gap):
        found.append(unconfigured)
    elif unconfigured is None and not keys_only:
        kept = [gap for gap in before.gaps if gap.what == gaps.BUCKET_LISTS] if before is not None else []
        found.extend(kept or [gaps.nobody_listed()])
    return tuple(sorted(dict.fromkeys(found), key=lambda gap: (gap.what, gap.reason, gap.effect)))


def gaps_of_keys(
    needs: Iterable[KeyNeed], keys: Mapping[KeyName, KeyView], assessed: Iterable[Assessed], before: Judgement | None
) -> Iterator[Gap]:
    """What each key leaves open; of one that was not asked this time, what it left open when it was, and what is new.

    What has become unknown since then no gap of before speaks of.
    """
    judged: dict[str | None, list[Assessed]] = defaultdict(list)
    for one in assessed:
        judged[one.holding.key].append(one)
    kept: dict[str, list[Gap]] = defaultdict(list)
    for gap in before.gaps if before is not None else ():
        kept[gap.what].append(gap)
    unknown = _unknown_of_keys(before.assessed if before is not None else ())
    for need in needs:
        view = keys[need.name]
        mine = [one.assessment for one in judged[need.name.text]]
        known: list[Gap] = []
        if view.reading is None:
            names = dict.fromkeys((*gaps.names_of(view), *gaps.names_of_unknown(mine)))
            past = {cause for _, cause in unknown[need.name.text]}.difference(gaps.causes_of_unknown(mine))
            told = (gap for name in names for gap in kept[name] if gap.effect not in past)
            known = [gaps.again(gap, view, need.principals, mine) for gap in told]
            if view.word is not None and not gaps.tells_of_silence(view, known):
                # What the service said last stands until it is asked again.
                view, known = replace(view, reading=view.word), []
        if not known:
            yield from gaps.of_key(view, need.principals, mine)
            continue
        if gaps.is_told(view, known):
            yield from known
            continue
        left = tuple(gaps.of_unasked(view, need.principals))
        # Of what it shares with others, those may have told that it is well.
        still = (*(gap.what for gap in left), *gaps.names_of_unknown(mine))
        over = {*gaps.names_of_shared(view)}.difference(still)
        yield from dict.fromkeys((*(gap for gap in known if gap.what not in over), *left))
        if gaps.tells_of_silence(view, known):
            continue
        every = ((member_of(one.holding), one.assessment) for one in judged[need.name.text])
        were = unknown[need.name.text]
        yield from gaps.of_unknown(view, [found for member, found in every if (member, found.cause) not in were])


def narrowed(before: Judgement | None, buckets: Iterable[BucketCoverage]) -> Mapping[str, frozenset[Population]]:
    """Populations of each bucket that its newest sweep leaves out, and the one before did not."""
    then = {one.bucket: one.left_out for one in before.coverage.buckets} if before is not None else {}
    return {one.bucket: frozenset(one.left_out).difference(then.get(one.bucket, one.left_out)) for one in buckets}


def of_principals(
    parts: Parts, needs: Iterable[KeyNeed], keys: Mapping[KeyName, KeyView], spelling: Spelling
) -> Iterator[Gap]:
    """Keys that are there, and of which the config does not say who must be able to decrypt with them."""
    views = [keys[need.name] for need in needs if not need.principals]
    told = [one.known for one in views if not isinstance(one.reading, KeyGone)]
    if not parts.agents.get(Cloud.AWS):
        count = sum(isinstance(one, AwsKey) and one.manager is KeyManager.CUSTOMER for one in told)
        yield from gaps.of_principals(Cloud.AWS, count)
    # Each bucket tells its own service agent, or has a gap that it does not.
    agents = parts.agents.get(Cloud.GCP)
    if agents == () or (agents is None and parts.is_keys_only):
        yield from gaps.of_principals(
            Cloud.GCP, len(each_once((one.name for one in told if isinstance(one, GcpKey)), spelling))
        )


def not_sampled(parts: Parts, sweeps: Iterable[Sweep]) -> Iterator[Gap]:
    """Buckets whose objects no probe can be chosen from."""
    if parts.probing.reads:
        yield from (gaps.not_sampled(bucket, error) for bucket, error in parts.inventory.damaged(sweeps).items())


def _unknown_of_keys(assessed: Iterable[Assessed]) -> Mapping[str | None, set[tuple[Member, str]]]:
    """Key -> what of its data is unknown, and why."""
    found: dict[str | None, set[tuple[Member, str]]] = defaultdict(set)
    for one in assessed:
        if one.assessment.readability is Readability.UNKNOWN:
            found[one.holding.key].add((member_of(one.holding), one.assessment.cause))
    return found
