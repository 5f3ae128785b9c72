"""What requests and keys cost: small tables of list prices, for estimates; no bill follows them.

A price hangs on Region and storage class, and whoever has agreed on another pays that one. Refused requests count like
answered ones here, and the clouds do not bill all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from auditor.model import AwsKey, GcpKey, KeyManager, Population, Requests


@dataclass(frozen=True, slots=True)
class Price:
    """The list price of the requests of one cloud."""

    scheme: str
    """What the URL of its buckets begins with."""
    lists: float
    """USD for a thousand pages of a listing."""
    others: float
    """USD for a thousand HEADs or reads of a bucket's settings."""
    place: str
    """The Region and storage class that it holds for."""
    as_of: str
    source: str
    otherwise: str
    """Where it is another one."""


# All to be checked against the clouds' own pages before anybody quotes them.
PRICES: Final = (
    Price(
        scheme="s3://",
        lists=0.005,
        others=0.0004,
        place="Amazon S3 Standard in us-east-1",
        as_of="2026-11",
        source="third-party tables of Amazon's S3 prices, 2026; not checked against aws.amazon.com/s3/pricing",
        otherwise="other Regions differ; Standard-IA: LIST 2 times, HEAD 2.5 times; colder classes more",
    ),
    Price(
        scheme="gs://",
        lists=0.005,
        others=0.0004,
        place="Cloud Storage Standard in one region (class A and class B operations)",
        as_of="2026-11",
        source="copies of cloud.google.com/storage/pricing; not checked against the page itself",
        otherwise="dual-regions, multi-regions and a colder default class of the bucket cost more",
    ),
)


KEY_SOURCE: Final = "AWS KMS pricing page; third-party readings of the Cloud KMS price list; 2026-11, to be checked"
_AWS_KEY_MONTH: Final = 1.0
"""USD for a customer managed key, each replica for itself; further key materials cost more, which is not counted."""
_VERSION_MONTH: Final = {"SOFTWARE": 0.06, "HSM": 1.0, "EXTERNAL": 3.0, "EXTERNAL_VPC": 3.0}
"""USD for a version of Cloud KMS that encrypts symmetrically, by protection level."""
_BILLED: Final = frozenset({"ENABLED", "DISABLED", "DESTROY_SCHEDULED"})
_FREE_ON_AWS: Final = frozenset({"PendingDeletion", "PendingReplicaDeletion"})


def month_of(key: AwsKey | GcpKey, version: str | None) -> float | None:
    """What a key of AWS, or a version of Cloud KMS, costs a month by list price, in USD; None where no price is known.

    What is disabled costs as much as what is enabled.
    """
    if isinstance(key, AwsKey):
        return 0.0 if key.manager is KeyManager.PROVIDER or key.state in _FREE_ON_AWS else _AWS_KEY_MONTH
    found = next((one for one in key.versions if one.number == version), None)
    if found is None or key.purpose != "ENCRYPT_DECRYPT":
        return None
    return _VERSION_MONTH.get(found.protection_level) if found.state in _BILLED else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a whole sweep of one bucket would ask, as far as its last sweep tells."""

    bucket: str
    needed: Requests | None = None
    """Retries aside; None where it is not known."""
    objects: int = 0
    """Of the configured populations, as the last sweep counted them."""
    swept: datetime | None = None
    """Aware, UTC: when that sweep ended."""
    lacking: tuple[Population, ...] = ()
    """Populations that the config asks for and that sweep left out: they are in none of the numbers."""
    unknown: str = ""
    """Why nothing is known; empty where it is."""


@dataclass(frozen=True, slots=True)
class RegistryEstimate:
    """What a sweep would ask of a registry that is a service; nobody here knows what that costs."""

    registry: str
    bucket: str
    pages: int | None = None
    """Of the list of its namespaces; None where nobody knows how many there are."""
    metadata: int | None = None
    """Namespaces that it would be asked about; None likewise."""
    per_sweep: int = 0
    """The most that it would be asked about."""


def price_of(bucket: str) -> Price:
    """The list price for a bucket, by its URL."""
    return next(one for one in PRICES if bucket.startswith(one.scheme))


def usd(bucket: str, requests: Requests) -> float:
    """What requests about a bucket cost by list price, in USD: an estimate."""
    price = price_of(bucket)
    return (requests.lists * price.lists + (requests.heads + requests.others) * price.others) / 1000


@dataclass(frozen=True, slots=True)
class Together:
    """Some estimates as one."""

    requests: Requests
    usd: float
    objects: int
    unknown: int
    """Buckets of which nothing is known: they are in none of the numbers."""


def together(found: Sequence[Estimate]) -> Together:
    """Add up what is known of some buckets."""
    known = [(one, one.needed) for one in found if one.needed is not None]
    return Together(
        requests=sum((needed for _, needed in known), Requests()),
        usd=sum(usd(one.bucket, needed) for one, needed in known),
        objects=sum(one.objects for one, _ in known),
        unknown=len(found) - len(known),
    )
