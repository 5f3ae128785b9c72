"""A platform's fleet on both embedded clouds: every kind of key trouble, and much that is well.

The same seed gives the same names, sizes and states; dates are counted from the moment of filling.
"""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any, Final

from auditor.embedded import aws, google, owned

PROJECT: Final = "tpuf-prod"
CUSTOMER_KEY: Final = b"0123456789abcdef0123456789abcdef"
"""The key of all objects with a customer-supplied key, on both clouds."""

GOOGLE_BUCKETS: Final = {
    "tpuf-gcp-us-east1": "us-east1",
    "tpuf-gcp-us-east1-b": "us-east1",
    "tpuf-gcp-europe-west1": "europe-west1",
    "tpuf-gcp-archive": "us-east1",
    "tpuf-gcp-europe-west1-b": "europe-west1",
}
AWS_BUCKETS: Final = {
    "tpuf-aws-us-east-1": "us-east-1",
    "tpuf-aws-us-east-1-versions": "us-east-1",
    "tpuf-aws-eu-west-1": "eu-west-1",
}
NOT_CONFIGURED: Final = "tpuf-gcp-scratch"
"""A bucket that the demo's config leaves out."""

_SERVICES: Final = ("storage", "kms", "iam", "logging", "monitoring")
_OBJECTS: Final = {"google": 18_000, "aws": 2_600}
_AGE: Final = 420
"""Days over which the fleet was written."""

_DECRYPTER: Final = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
_HEALTHY: Final = (
    *("acme", "atlas", "birch", "cedar", "delta", "ember", "fjord", "glade"),
    *("harbor", "indigo", "juniper", "kestrel", "lumen", "maple", "nimbus", "onyx"),
)


@dataclass(frozen=True)
class Customer:
    """One customer on Google Cloud, its key in each location, and what happens to it once the data is written."""

    org: str
    versions: int = 2
    states: dict[int, dict[str, Any]] = field(default_factory=dict)
    """Version number -> fields that change."""
    key: dict[str, Any] = field(default_factory=dict)
    """Fields of the key itself."""
    deleted_versions: tuple[int, ...] = ()
    deleted: bool = False
    unversioned: bool = False
    """Objects name the key without a version."""
    hsm: tuple[str, float | None] | None = None
    """A single-tenant HSM instance: its state, and in how many days it disables itself."""
    granted: bool = True
    denied: str | None = None
    """A permission that the auditor lacks on the key."""
    weight: float = 1.0


def _all_states(*states: str) -> dict[int, dict[str, Any]]:
    return {number: {"state": state} for number, state in enumerate(states, 1)}


GOOGLE_CUSTOMERS: Final = (
    *(Customer(org, versions=1 + place % 4) for place, org in enumerate(_HEALTHY)),
    Customer("paragon", versions=3, states={1: {"state": "DISABLED"}}, weight=4),
    Customer("quartz", versions=4, states={2: {"state": "DESTROY_SCHEDULED", "destroy_in": 2.9}}, weight=3),
    Customer("raven", versions=2, states={1: {"state": "DESTROY_SCHEDULED", "destroy_in": 0.8}}),
    Customer("sable", versions=2, states={1: {"state": "DESTROYED"}}),
    Customer("tundra", versions=2, states={1: {"state": "DESTROYED", "reimport_eligible": True}}),
    Customer("umber", versions=3, deleted_versions=(1,)),
    Customer("vertex", versions=1, states={1: {"state": "DESTROYED"}}, deleted=True, weight=0.4),
    Customer("willow", hsm=("DISABLED", None)),
    Customer("xenon", hsm=("ACTIVE", 11.0)),
    Customer("yonder", hsm=("FAILED", None), weight=0.4),
    Customer("zephyr", granted=False, weight=2),
    Customer("argent", key={"access_reasons": []}),
    Customer("basalt", key={"access_reasons": ["GOOGLE_INITIATED_REVIEW"]}),
    Customer("cobalt", denied="cloudkms.cryptoKeyVersions.list"),
    Customer("dune", versions=2, unversioned=True),
    Customer("elm", versions=2, unversioned=True, states={1: {"state": "DISABLED"}}, weight=0.5),
    Customer(
        "museum",
        versions=8,
        states=_all_states(
            "IMPORT_FAILED",
            "GENERATION_FAILED",
            "PENDING_EXTERNAL_DESTRUCTION",
            "EXTERNAL_DESTRUCTION_FAILED",
            "PENDING_GENERATION",
            "PENDING_IMPORT",
            "DISABLED",
        )
        | {8: {"state": 77}},
        weight=0.6,
    ),
)
"""Every state of the readability table that Cloud KMS can show; `museum` has one namespace or more under each."""

AWS_KEYS: Final[dict[str, dict[str, Any]]] = {
    "ibex": {},
    "jade": {},
    "koala": {"region": "eu-west-1"},
    "lynx": {"state": "Disabled"},
    "moss": {"state": "PendingDeletion", "deletion_in": 5.2},
    "newt": {"state": "PendingImport", "origin": "EXTERNAL", "materials": (None, "missing")},
    "otter": {"state": "PendingReplicaDeletion", "multi_region": True, "pending_window_days": 7},
    "puma": {"origin": "EXTERNAL_KEY_STORE", "store": ("cks-xks", "FAILED", "XKS_PROXY_NOT_REACHABLE")},
    "quail": {"origin": "AWS_CLOUDHSM", "store": ("cks-hsm", "DISCONNECTED", None)},
    "robin": {"origin": "EXTERNAL", "materials": (12.0, None)},
    "stork": {"state": "Updating", "region": "eu-west-1"},
    "tapir": {"state": "Creating"},
    "viper": {"account": "444455556666", "describe_denied": True},
    "weasel": {"manager": "AWS"},
    "wombat": {"access": "everybody"},
    "yak": {"removed": True},
    "yapok": {"origin": "EXTERNAL", "materials": (200.0,), "region": "eu-west-1", "access": "the account"},
    "zorilla": {"access": "nobody"},
}
"""Organisation -> its key on AWS, and what happens to it once the data is written."""


STORAGE_ROLE: Final = "arn:aws:iam::111122223333:role/storage"
"""Who reads and writes on S3; the config's [platform] names it."""
STORAGE_KEY: Final = "AKIA111122223333STORAGE"
"""The access key of that role."""
_ADMIN_ROLE: Final = "arn:aws:iam::111122223333:role/key-admin"


def _policy(account: str, access: str) -> dict[str, Any]:
    """A key's policy: an administrator, and whoever else the access names."""
    whom = {"the platform": STORAGE_ROLE, "everybody": "*", "the account": f"arn:aws:iam::{account}:root"}.get(access)
    manage = {"Sid": "Manage", "Effect": "Allow", "Principal": {"AWS": _ADMIN_ROLE.replace("111122223333", account)}}
    actions = ["kms:DescribeKey", "kms:Get*", "kms:List*", "kms:PutKeyPolicy", "kms:EnableKey", "kms:DisableKey"]
    use = {"Sid": "Use", "Effect": "Allow", "Principal": {"AWS": whom}, "Action": "kms:*", "Resource": "*"}
    statements = [{**manage, "Action": actions, "Resource": "*"}, *([use] if whom else [])]
    return {"Version": "2012-10-17", "Statement": statements}


def fill_google(store: google.Store, seed: int) -> None:
    """Write the Google side: five buckets, and one that nobody configured."""
    random = Random(seed)  # noqa: S311 - a repeatable fleet, no secret
    agent = f"serviceAccount:{store.add_project(PROJECT, 815_000_000_042)}"
    for name, location in GOOGLE_BUCKETS.items():
        store.add_bucket(name, PROJECT, location, versioned=name.endswith("archive"))
    store.add_bucket(NOT_CONFIGURED, PROJECT, "us-east1")
    store.buckets["tpuf-gcp-us-east1"].uploads = ["acme/ns-1/upload-in-progress"]
    # A bucket can only be encrypted with keys of its own location.
    locations = sorted(set(GOOGLE_BUCKETS.values()))
    names = {(one.org, place): _make_key(store, one, agent, place) for one in GOOGLE_CUSTOMERS for place in locations}
    homes = {customer.org: random.choice(tuple(GOOGLE_BUCKETS)) for customer in GOOGLE_CUSTOMERS}
    weights = [customer.weight for customer in GOOGLE_CUSTOMERS]
    for number in range(_OBJECTS["google"]):
        customer = random.choices(GOOGLE_CUSTOMERS, weights)[0]
        bucket = homes[customer.org] if random.random() < 0.85 else random.choice(tuple(GOOGLE_BUCKETS))  # noqa: PLR2004 - most of a customer is in one bucket
        _put_google(store, random, customer, (bucket, names[customer.org, GOOGLE_BUCKETS[bucket]]), number)
    for number, name in enumerate(_odd_names()):
        store.put("tpuf-gcp-us-east1", name, size=number, key=names["acme", "us-east1"])
    hashed = base64.b64encode(hashlib.sha256(CUSTOMER_KEY).digest()).decode()
    for number in range(40):
        store.put("tpuf-gcp-us-east1", f"gale/ns-{number % 4}/{number:04}.seg", customer_key_hash=hashed)
    for number in range(120):
        store.put("tpuf-gcp-europe-west1", f"heron/ns-{number % 6}/{number:04}.seg", size=50_000 * number)
    for customer in GOOGLE_CUSTOMERS:
        for place in locations:
            _change(store, customer, names[customer.org, place])
    owned.fill(store, PROJECT, agent)
    for bucket in store.buckets:
        store.measure(bucket)


def _make_key(store: google.Store, customer: Customer, agent: str, place: str) -> str:
    # One project a customer, as it is where customers bring their own keys.
    project = f"{customer.org}-keys"
    if project not in store.projects:
        store.add_project(project, 900_000_000_000 + len(store.projects))
    location = f"projects/{project}/locations/{place}"
    name = f"{location}/keyRings/tpuf/cryptoKeys/data"
    key = store.add_key(name, versions=customer.versions, created=store.clock() - timedelta(days=_AGE), **customer.key)
    for number, version in key.versions.items():
        version.created = key.created + timedelta(days=_AGE * (number - 1) / customer.versions)
    if customer.hsm is not None:
        state, disables = customer.hsm
        key.backend = f"{location}/singleTenantHsmInstances/{customer.org}"
        store.add_instance(key.backend, state, store.clock() + timedelta(days=disables) if disables else None)
        for version in key.versions.values():
            version.protection = "HSM_SINGLE_TENANT"
    if customer.granted:
        store.grant(name, _DECRYPTER, agent)
    return name


def _put_google(store: google.Store, random: Random, customer: Customer, place: tuple[str, str], number: int) -> None:
    bucket, key = place
    age = random.uniform(0, _AGE)
    created = store.clock() - timedelta(days=age)
    # Rotation moves only new writes: the older an object, the older its version.
    version = min(customer.versions, 1 + int((_AGE - age) / _AGE * customer.versions))
    more: dict[str, Any] = {
        "key": key,
        "version": version,
        "named": not customer.unversioned,
        "created": created,
    }
    lot = random.random()
    if lot < 0.03:  # noqa: PLR2004 - three in a hundred
        more["soft_deleted_since"] = store.clock() - timedelta(days=random.uniform(0, 6))
    elif lot < 0.10 and bucket.endswith("archive"):  # noqa: PLR2004 - seven in a hundred
        more["noncurrent_since"] = store.clock() - timedelta(days=random.uniform(0, age))
    storage_class = "ARCHIVE" if bucket.endswith("archive") else "STANDARD"
    name = f"{customer.org}/ns-{number % 8:02}/{number:06}.seg"
    store.put(bucket, name, size=_size(random), storage_class=storage_class, **more)


def _change(store: google.Store, customer: Customer, name: str) -> None:
    """Let happen to the key what the customer did after the data was written."""
    key = store.key(name)
    if key is None:
        return
    for number, fields in customer.states.items():
        told = dict(fields)
        if (days := told.pop("destroy_in", None)) is not None:
            told["destroy_time"] = store.clock() + timedelta(days=days)
        if told.get("state") == "DESTROYED":
            told["destroyed_time"] = store.clock() - timedelta(days=3)
        for field_name, value in told.items():
            setattr(key.versions[number], field_name, value)
        _tell_google(store, customer.org, name, number, str(told.get("state")))
    for number in customer.deleted_versions:
        del key.versions[number]
    if customer.deleted:
        store.delete_key(name)
    if customer.denied:
        store.deny(customer.denied, name)


def _tell_google(store: google.Store, org: str, name: str, number: int, state: str) -> None:
    """Let the audit log have who switched a version off."""
    call, days = _SWITCHED_OFF.get(state, (None, 0))
    if call is not None:
        asked = {"cryptoKeyVersion": {"state": state}} if state == "DISABLED" else None
        who = {"principalEmail": f"kms-admin@{org}.example"}
        version, at = f"{name}/cryptoKeyVersions/{number}", store.clock() - timedelta(days=days)
        store.note(call, version, asked, at=at, authenticationInfo=who)


_SWITCHED_OFF: Final = {
    "DISABLED": ("UpdateCryptoKeyVersion", 12),
    "DESTROY_SCHEDULED": ("DestroyCryptoKeyVersion", 27),
    "DESTROYED": ("DestroyCryptoKeyVersion", 33),
}
"""State -> the call that led to it, and how many days ago."""


def fill_aws(store: aws.Store, seed: int) -> None:
    """Write the AWS side: three buckets."""
    random = Random(seed)  # noqa: S311 - a repeatable fleet, no secret
    store.principals[STORAGE_KEY] = STORAGE_ROLE
    store.by_iam.add(STORAGE_ROLE)
    for name, region in AWS_BUCKETS.items():
        store.add_bucket(name, region, versioned=name.endswith("versions"))
    store.buckets["tpuf-aws-us-east-1"].uploads = [("ibex/ns-00/upload", "1"), ("ibex/ns-01/upload", "2")]
    arns = {org: _make_aws_key(store, org, dict(about)) for org, about in AWS_KEYS.items()}
    kinds = ("aws:kms", "aws:kms", "aws:kms:dsse")
    for number in range(_OBJECTS["aws"]):
        org = random.choice(tuple(arns))
        bucket = random.choice([name for name, region in AWS_BUCKETS.items() if region == arns[org].split(":")[3]])
        modified = store.clock() - timedelta(days=random.uniform(0, _AGE))
        archived = random.random() < 0.04  # noqa: PLR2004 - four in a hundred
        store.put(
            bucket,
            f"{org}/ns-{number % 6:02}/{number % 1900:06}.seg",
            size=_size(random),
            modified=modified.replace(microsecond=0),
            sse=random.choice(kinds),
            key=arns[org],
            storage_class=random.choice(("GLACIER", "DEEP_ARCHIVE")) if archived else "STANDARD",
        )
    others: dict[str, dict[str, Any]] = {
        "egret": {"sse": "AES256"},
        "finch": {"sse": None},
        "grebe": {"sse": None, "customer_key": CUSTOMER_KEY},
        "hyena": {"sse": "aws:fsx"},
        "iguana": {"sse": "AES256", "head_denied": True},
    }
    for org, how in others.items():
        for number in range(24):
            store.put("tpuf-aws-us-east-1", f"{org}/ns-{number % 3:02}/{number:04}.seg", size=number * 1000, **how)
    for number in range(30):
        store.put("tpuf-aws-us-east-1-versions", f"ibex/ns-00/{number:06}.seg", size=0, delete_marker=True)
    for number, name in enumerate(_odd_names()):
        store.put("tpuf-aws-eu-west-1", name, size=number, sse="aws:kms", key=arns["koala"])
    for org, about in AWS_KEYS.items():
        if about.get("removed"):
            store.remove_key(arns[org])
    for bucket in AWS_BUCKETS:
        store.measure(bucket)


def _make_aws_key(store: aws.Store, org: str, about: dict[str, Any]) -> str:
    region, account = about.pop("region", "us-east-1"), about.pop("account", "111122223333")
    about.pop("removed", None)
    digits = hashlib.sha256(org.encode()).hexdigest()
    name = (
        f"mrk-{digits[:32]}"
        if about.get("multi_region")
        else (f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}")
    )
    if (store_of := about.pop("store", None)) is not None:
        store_id, state, error = store_of
        store.add_key_store(store_id, region, account, state=state, error=error)
        about["store"] = store_id
    if (days := about.pop("deletion_in", None)) is not None:
        about["deletion_date"] = (store.clock() + timedelta(days=days)).replace(microsecond=0)
    about["materials"] = [
        aws.Material(
            hashlib.sha256(f"{org} {number}".encode()).hexdigest(),
            "CURRENT" if number == 0 else "NON_CURRENT",
            imported=valid != "missing",
            valid_to=(store.clock() + timedelta(days=valid)).replace(microsecond=0)
            if isinstance(valid, float)
            else None,
        )
        for number, valid in enumerate(about.pop("materials", ()))
    ]
    about["policy"] = _policy(account, about.pop("access", "the platform"))
    arn = f"arn:aws:kms:{region}:{account}:key/{name}"
    store.add_key(arn, created=(store.clock() - timedelta(days=_AGE)).replace(microsecond=0), **about)
    call = {"Disabled": "DisableKey", "PendingDeletion": "ScheduleKeyDeletion"}.get(about.get("state", ""))
    if call is not None:
        who = f"arn:aws:iam::{account}:user/kms-admin"
        store.note(call, arn, at=store.clock() - timedelta(days=2), principal=who)
    return arn


def _size(random: Random) -> int:
    """Bytes: mostly a few megabytes, some empty."""
    return 0 if random.random() < 0.01 else int(random.lognormvariate(14.5, 1.2))  # noqa: PLR2004 - one in a hundred


def _odd_names() -> Iterator[str]:
    yield from ("manifest.json", "acme/loose-file", "/acme/ns-1/leading", "acme//double", "acme/ns odd/a b+c%20.seg")
    yield from ("acme/ns-<b>/x.seg", "acme/ns-\u202etxt/x.seg", "=1+1/ns/x.seg", "acme/ns-ünï/日本.seg", "acme/ns/../x")


def _feeds() -> str:
    """What makes `serve` hear of the busiest customers' changes: their projects' own audit logs, which need no sink."""
    busiest = sorted(GOOGLE_CUSTOMERS, key=lambda one: one.weight, reverse=True)[:2]
    return "".join(f'[[account]]\nproject = "{one.org}-keys"\nfeed = "projects/{one.org}-keys"\n\n' for one in busiest)


def config(google_endpoint: str, until: date, platform: str | None = None) -> str:
    """The auditor's config for this fleet; AWS endpoints come from the environment.

    `until`: the last day of its exception. `platform`: where the platform's API is; None where nobody can ask it.
    """
    buckets = [f'[[bucket]]\nurl = "gs://{name}"\naccount = "{PROJECT}"\n' for name in GOOGLE_BUCKETS]
    buckets += [f'[[bucket]]\nurl = "s3://{name}"\nregion = "{region}"\n' for name, region in AWS_BUCKETS.items()]
    endpoints = "\n".join(f'{name}_endpoint = "{google_endpoint}"' for name in _SERVICES)
    head = 'state = "state"\n\n[schedule]\nkey_poll = 60\n\n[web]\nlisten = "127.0.0.1:0"\n'
    account = f'[[account]]\nproject = "{PROJECT}"\n\n{_feeds()}[platform]\naws_principals = ["{STORAGE_ROLE}"]\n'
    limits = "[limits]\n# The clouds are our own: no neighbour to be good to.\ngcp_kms_quota_share = 1.0\n"
    layout = 'layout = "{org}/{namespace}/"\n'
    return "\n".join(
        [
            head,
            account,
            f"[gcp]\n{endpoints}\n",
            limits,
            *(one + layout for one in buckets),
            owned.config(PROJECT, until, platform),
        ]
    )
