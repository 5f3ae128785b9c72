"""Which findings are those that are asked for."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from starlette.exceptions import HTTPException

from auditor.findings import Finding, Judgement, Member, SubjectKind
from auditor.ports import NamespaceRow, Portions, SpaceRows
from auditor.web.asking import Filters, Place

_ID: Final = re.compile(r"[0-9a-f]{1,64}")
_NO_SUCH: Final = "there neither is nor was such a finding"
_TOLD: Final = 20
"""As many tenants of its data a finding tells; where it tells so many there may be more."""


def chosen(judgement: Judgement, rows: Callable[[], SpaceRows], filters: Filters) -> Iterator[Finding]:
    """Yield the findings that fit, worst first. `rows` is called only where nothing else tells."""
    of_tenant = _Tenant(filters.tenant, rows)
    for one in judgement.findings:
        if (
            filters.rule in {None, one.rule}
            and filters.severity in {None, one.severity}
            and filters.status in {None, one.status}
            and (filters.key is None or _is_about_key(one, filters.key))
            and (filters.bucket is None or _is_about_bucket(one, filters.bucket))
            and (filters.text is None or _says(one, filters.text))
            and of_tenant.has(one)
        ):
            yield one


def named(judgement: Judgement, rows: SpaceRows, asked: Mapping[str, str], where: Place) -> tuple[NamespaceRow, ...]:
    """The namespaces of a page, and one more if there is one: by `name`, by how it begins (`prefix`), in a `bucket`."""
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
    told = (one.id, one.rule, one.subject.id, one.cause, *extent.tenants, *extent.owners, *extent.teams)
    wanted = text.casefold()
    return any(wanted in each.casefold() for each in (*told, *extent.sample_namespaces))
