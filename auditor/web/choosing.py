"""Which findings are those that are asked for."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from starlette.exceptions import HTTPException

from auditor.errors import UsageError
from auditor.findings import Finding, Judgement, Member, SubjectKind
from auditor.model import GcpKey, KeyMemory, KeyName, split_version
from auditor.outputs import browse, words
from auditor.ownership.spelling import NamesOfKeys, spelling_by
from auditor.ports import NamespaceRow, Portions, SpaceRows
from auditor.questions.called import called
from auditor.web.asking import Filters, Place

_ID: Final = re.compile(r"[0-9a-f]{1,64}")
_NO_SUCH: Final = "there neither is nor was such a finding"
_VERSION: Final = "/cryptoKeyVersions/"
_TOLD: Final = 20
"""As many tenants of its data a finding tells; where it tells so many there may be more."""


def chosen(
    judgement: Judgement, rows: Callable[[], SpaceRows], filters: Filters, names: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield the findings that fit, worst first. `rows` is called only where nothing else tells.

    `names`: all of the key or version that is asked for; none: it has the one alone.
    """
    keys = names or ([filters.key] if filters.key is not None else [])
    of_tenant = _Tenant(filters.tenant, rows)
    for one in judgement.findings:
        if (
            filters.rule in {None, one.rule}
            and filters.severity in {None, one.severity}
            and filters.status in {None, one.status}
            and (filters.key is None or any(_is_about_key(one, key) for key in keys))
            and (filters.bucket is None or _is_about_bucket(one, filters.bucket))
            and (filters.text is None or _says(one, filters.text))
            and of_tenant.has(one)
        ):
            yield one


def names_of(key: str, judgement: Judgement, memory: Mapping[KeyName, KeyMemory]) -> tuple[str, ...]:
    """All known names of a key, or of a version of it: a Google project has an id and a number."""
    try:
        name, version = split_version(key)
    except ValueError:
        return (key,)
    below = f"/cryptoKeyVersions/{version}" if version is not None else ""
    known = NamesOfKeys(map(KeyName, browse.keys_of(judgement, memory)), spelling_by(memory))
    return tuple(sorted({key, *(f"{one}{below}" for one in (name, *known.same(name)))}))


def see_that_it_is_known(
    judgement: Judgement,
    memory: Callable[[], Mapping[KeyName, KeyMemory]],
    rows: Callable[[], SpaceRows],
    filters: Filters,
) -> Filters:
    """See that somebody has heard of the rule, key, bucket and tenant asked for: a typo is no proof of nothing.

    Returns them with the key by its full name, also where it was written as tables print it.

    Raises:
        HTTPException: nobody has.
    """
    filters = _in_full(judgement, memory, filters)
    key, tenant = filters.key, filters.tenant
    see_that_bucket_is_known(judgement, filters.bucket)
    rules = {*(one.rule for one in judgement.tallies), *(one.rule for one in judgement.findings)}
    if filters.rule is not None and filters.rule not in rules:
        raise HTTPException(404, "there is no such rule: `cmek-auditor rules` prints all of them")
    if key is not None and not any(_is_about_key(one, key) for one in judgement.findings):
        known = browse.keys_of(judgement, memory())
        name, _, version = key.partition(_VERSION)
        if name not in known:
            raise HTTPException(404, "no data names such a key, and nobody asked it: write its full name")
        if version and not _is_version(version, names_of(name, judgement, memory()), judgement, memory()):
            raise HTTPException(404, "no data names such a version of the key, and the key never told of it")
    is_told = tenant is None or any(tenant in one.extent.tenants for one in judgement.findings)
    if tenant is not None and not is_told and not rows().held_by(tenant):
        raise HTTPException(404, "no data that is known is of such a tenant: write its name as namespaces tell it")
    return filters


def _in_full(judgement: Judgement, memory: Callable[[], Mapping[KeyName, KeyMemory]], filters: Filters) -> Filters:
    """The filters with the key by its full name.

    Raises:
        HTTPException: it is none that is known, with what may be meant.
    """
    key = filters.key
    if key is None or any(_is_about_key(one, key) for one in judgement.findings):
        return filters
    try:
        meant = called(key, map(KeyName, browse.keys_of(judgement, memory())))
    except UsageError as error:
        raise HTTPException(404, "; ".join(filter(None, (str(error), error.hint)))) from None
    return replace(filters, key=f"{meant.key}{_VERSION}{meant.version}" if meant.version else meant.key.text)


def _is_version(
    version: str, names: Collection[str], judgement: Judgement, memory: Mapping[KeyName, KeyMemory]
) -> bool:
    """Whether there may be a version of a key, by any of its names: somebody heard of it, or the key told of none."""
    if any(one.holding.key in names and one.holding.key_version == version for one in judgement.assessed):
        return True
    every = [known.last for name in names if (known := memory.get(KeyName(name))) is not None]
    told = [one for one in every if isinstance(one, GcpKey)]
    return not told or any(version == one.number for key in told for one in key.versions)


def see_that_bucket_is_known(judgement: Judgement, bucket: str | None) -> None:
    """See that the bucket that is asked for is in the judgement: swept, configured, or named by whoever tells of data.

    Raises:
        HTTPException: it is not.
    """
    if bucket is None or any(_is_about_bucket(one, bucket) for one in judgement.findings):
        return
    known = _buckets(judgement)
    if bucket not in known:
        last = bucket.rpartition("/")[2].casefold()
        alike = next((f"; did you mean {one}?" for one in sorted(known) if one.rpartition("/")[2] == last), "")
        raise HTTPException(404, f"no bucket that is known is called so: write its URL as the config does{alike}")


def _buckets(judgement: Judgement) -> frozenset[str]:
    """All buckets that somebody has heard of."""
    return frozenset(
        (
            *(one.bucket for one in judgement.coverage.buckets),
            *(one.holding.bucket for one in judgement.assessed),
            *(name for one in judgement.registered.registries for name in one.buckets),
        )
    )


def see_that_there_is(judgement: Judgement, rows: SpaceRows, bucket: str, name: str) -> NamespaceRow:
    """The namespace of that name in a bucket.

    Raises:
        HTTPException: there is none.
    """
    found = named(judgement, rows, {"name": name, "bucket": bucket}, Place(0, 1))
    if not found:
        raise HTTPException(404, f"no namespace is called so in what was swept of {bucket}")
    return found[0]


def named(judgement: Judgement, rows: SpaceRows, asked: Mapping[str, str], where: Place) -> tuple[NamespaceRow, ...]:
    """The namespaces of a page, and one more if there is one: by `name`, by how it begins (`prefix`), in a `bucket`.

    A name may stand behind its bucket's URL, as findings write it.
    """
    found = _named(judgement, rows, asked, where)
    return found or _named(judgement, rows, _without_bucket(asked, _buckets(judgement)), where)


def _without_bucket(asked: Mapping[str, str], known: Collection[str]) -> Mapping[str, str]:
    """The same, with the bucket apart from the name where it stands before it."""
    (kind, text), *more = [(kind, asked[kind]) for kind in ("name", "prefix") if kind in asked] or [("", "")]
    bucket = next((one for one in known if text.startswith(f"{one}/")), None)
    if bucket is None or more or asked.get("bucket", bucket) != bucket:
        return asked
    return {**asked, "bucket": bucket, kind: text.removeprefix(f"{bucket}/")}


def _named(judgement: Judgement, rows: SpaceRows, asked: Mapping[str, str], where: Place) -> tuple[NamespaceRow, ...]:
    name, prefix = asked.get("name"), asked.get("prefix", "")
    if name is not None and not name.startswith(prefix):
        return ()
    return rows.named(
        judgement.assessed,
        prefix if name is None else name,
        prefix=name is None,
        bucket=asked.get("bucket"),
        offset=where.start,
        limit=where.limit + 1,
    )


def one_named(judgement: Judgement, ended: Callable[[str], Sequence[Finding]], beginning: str) -> Finding:
    """The finding whose id begins so, also one that has ended.

    Raises:
        HTTPException: there is none, or there are several.
    """
    if not _ID.fullmatch(beginning):
        # What no id can be is not looked for in the ledger: databases do not take any text.
        raise HTTPException(404, _NO_SUCH)
    found: Sequence[Finding] = [one for one in judgement.findings if one.id.startswith(beginning)] or ended(beginning)
    if len(found) > 1:
        raise HTTPException(404, f"the ids of {len(found)} findings begin so: give more of the id")
    if found:
        return found[0]
    raise HTTPException(404, _NO_SUCH)


def has_in_name(key: str, text: str) -> bool:
    """Whether a key's name has a text, in lower case: in full, or as tables print it."""
    return text in key.casefold() or text in words.short(key).casefold()


class _Tenant:
    """Whose data findings are about; a finding itself names only the first tenants."""

    def __init__(self, tenant: str | None, rows: Callable[[], SpaceRows]) -> None:
        self._tenant = tenant
        self._rows = rows
        self._held: frozenset[tuple[Member, Portions]] | None = None

    def has(self, one: Finding) -> bool:
        if self._tenant is None or self._tenant in one.extent.tenants:
            return True
        if len(one.extent.tenants) < _TOLD:
            return False
        if self._held is None:
            self._held = self._rows().held_by(self._tenant)
        wanted = set(one.members)
        return any(
            member in wanted and (not one.portions or not set(portions).isdisjoint(one.portions))
            for member, portions in self._held
        )


def _is_about_key(one: Finding, key: str) -> bool:
    """Whether it is about a key, or a version of it: by its subject, or by what hangs on it."""
    subject = one.subject.id.rpartition(" -> ")[2]
    if subject == key or subject.startswith(f"{key}/cryptoKeyVersions/"):
        return True
    return any(
        key in {named, f"{named}/cryptoKeyVersions/{version}"}
        for _, _, named, version in one.members
        if named is not None
    )


def _is_about_bucket(one: Finding, bucket: str) -> bool:
    is_subject = one.subject.kind is SubjectKind.BUCKET and one.subject.id == bucket
    return is_subject or any(member[0] == bucket for member in one.members)


def _says(one: Finding, text: str) -> bool:
    """Whether it has a text, in any case, in what a table shows of it."""
    extent = one.extent
    short = words.short(one.subject.id.rpartition(" -> ")[2])
    told = (one.id, one.rule, one.subject.id, short, one.cause, *extent.tenants, *extent.owners, *extent.teams)
    wanted = text.casefold()
    return any(wanted in each.casefold() for each in (*told, *extent.sample_namespaces))
