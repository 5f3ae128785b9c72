"""Whose data is whose for certain, and what is said where nothing is a tenant's."""

from difflib import get_close_matches
from typing import Final

from auditor.errors import UsageError
from auditor.findings import Judgement
from auditor.ownership.registered import Doubt
from auditor.ports import TenantRows
from auditor.run import Parts

_NAMED: Final = 5
"""Tenants that a hint names."""
_ALIKE: Final = 0.7
"""From which share on a name counts as misspelt."""


def doubt_of(parts: Parts, judgement: Judgement) -> Doubt:
    """Where what names say of namespaces may be otherwise: a registry that would say so was not, or not all, heard.

    Raises:
        UsageError: nobody can tell of any.
    """
    if judgement.is_keys_only:
        why = "views and bundles need [[bucket]]: without one nobody saw whose data is where"
        raise UsageError(why, "where you may list the buckets, configure them, and scan")
    if judgement.run.config_digest != parts.config_digest:
        raise UsageError("the newest judgement was made by another config, which may say whose what is", "poll first")
    registered = judgement.registered
    layouts = {one.bucket: one.layout for one in parts.ledger.sweeps()}
    buckets = [one.bucket for one in judgement.coverage.buckets]
    return Doubt(
        buckets=tuple(
            one
            for one in buckets
            if registered.knows(one) is None or layouts.get(one) not in {None, parts.inventory.layout(one)}
        ),
        unregistered=tuple(one for one in buckets if not registered.is_sound(one)),
    )


def no_data_of(tenant: str, rows: TenantRows, doubt: Doubt) -> UsageError:
    """Nothing is known to be of this tenant; the hint tells the operator which may be meant, else some of all."""
    return UsageError(f"no data is known to be of tenant {tenant!r}", _meant(tenant, rows, doubt))


def _meant(tenant: str, rows: TenantRows, doubt: Doubt) -> str:
    some, count = rows.tenants_like(tenant, doubt, _NAMED)
    if not count:
        return "of no namespace it is certain whose it is: a registry that can be read, or `tenant_field`, says so"
    spelt = {one.casefold(): one for one in some}
    if alike := get_close_matches(tenant.casefold(), spelt, 1, _ALIKE):
        return f"did you mean {spelt[alike[0]]!r}?"
    more = f" and {count - len(some):,} more" if count > len(some) else ""
    named = ", ".join(repr(one) for one in some)
    return f"tenants with data are {named}{more}; a registry or `tenant_field` says whose a namespace is"
