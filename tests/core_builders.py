"""Keys, holdings and causes with everything filled in that a case is not about."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from auditor.findings import Member, member_of
from auditor.model import (
    DECRYPT,
    AwsKey,
    Cloud,
    Encryption,
    Extent,
    GcpKey,
    GcpKeyVersion,
    Grant,
    Holding,
    KeyAccess,
    KeyManager,
    KeyMemory,
    KeyName,
    KeyUnread,
    Reason,
    Right,
    told_use,
)
from auditor.ports import Portions

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
AWS_KEY = KeyName("arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001")
GCP_KEY = KeyName("projects/acme-keys/locations/us-east1/keyRings/tpuf/cryptoKeys/main")
ROLE = "arn:aws:iam::111122223333:role/storage"
AGENT = "service-123456@gs-project-accounts.iam.gserviceaccount.com"


def days(number: float) -> timedelta:
    return timedelta(days=number)


def an_aws_key(state: str = "Enabled", **more: Any) -> AwsKey:
    facts = {"name": AWS_KEY, "manager": KeyManager.CUSTOMER, "origin": "AWS_KMS", **more}
    return AwsKey(state=state, **facts)


def access(name: KeyName, *decrypt: Grant, principal: str | None = None, **more: Any) -> KeyAccess:
    """One grant to decrypt for each principal: the agent or role first, then `other-1` and so on."""
    first = principal or (ROLE if name.cloud is Cloud.AWS else AGENT)
    principals = (first, *(f"other-{number}" for number in range(1, len(decrypt))))
    rights = (Right(one, DECRYPT[name.cloud], grant) for one, grant in zip(principals, decrypt, strict=True))
    return KeyAccess(rights=(*rights, *more.pop("rights", ())), **more)


def a_version(number: str = "1", state: str = "ENABLED", **more: Any) -> GcpKeyVersion:
    return GcpKeyVersion(number=number, state=state, **more)


def a_gcp_key(*versions: GcpKeyVersion, **more: Any) -> GcpKey:
    return GcpKey(name=GCP_KEY, versions=versions or (a_version(),), **more)


def denied(name: KeyName = AWS_KEY, reason: Reason = Reason.ACCESS_DENIED) -> KeyUnread:
    return KeyUnread(name, reason, "AccessDeniedException", "grant kms:DescribeKey")


def remembered(key: AwsKey | GcpKey | None, age: timedelta = timedelta(minutes=1), **more: Any) -> KeyMemory:
    told = told_use(key) if key is not None else {}
    return KeyMemory(key, NOW - age if key else None, **{"told": told, **more})


def a_holding(key: KeyName | None = AWS_KEY, version: str | None = None, **more: Any) -> Holding:
    facts: dict[str, Any] = {
        "bucket": "s3://data" if key is AWS_KEY else "gs://data",
        "encryption": Encryption.CMEK if key else Encryption.PROVIDER,
        "objects": 10,
        "size": 1000,
        "archived": 0,
        "namespaces": 2,
        "oldest": NOW - days(400),
        "newest": NOW - days(1),
        **more,
    }
    return Holding(key=key.text if key else None, key_version=version, **facts)


class FixedHoldings:
    """Holdings in memory; every holding's namespaces count as its own."""

    def __init__(self, *holdings: Holding, portions: Mapping[Member, Portions] | None = None) -> None:
        self._holdings = holdings
        self._portions = portions or {}

    def holdings(self) -> tuple[Holding, ...]:
        return self._holdings

    def extents(self, wanted: Iterable[Iterable[Member]]) -> tuple[Extent, ...]:
        return tuple(map(self._extent, wanted))

    def portions(self) -> Mapping[Member, Portions]:
        return self._portions

    def extents_of(self, wanted: Sequence[tuple[Sequence[Member], Portions]]) -> tuple[Extent, ...]:
        return tuple(self._extent(members) for members, _ in wanted)

    def _extent(self, members: Iterable[Member]) -> Extent:
        chosen = set(members)
        found = [one for one in self._holdings if member_of(one) in chosen]
        return Extent(
            objects=sum(one.objects or 0 for one in found),
            size=sum(one.size or 0 for one in found),
            namespaces=sum(one.namespaces for one in found),
        )
