"""Small whole worlds on both clouds, drawn by Hypothesis: keys with histories, objects, policies, faults."""

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from auditor.embedded.aws import Store as AwsStore
from auditor.embedded.aws.store import Material
from auditor.embedded.google import Store as GoogleStore
from auditor.readability.gcp import HSM_STATES, STATES
from tests.clouds import Clock
from tests.hostile import NAMES

Draw = Any
READER_KEY = "AKIA111122223333READ"
CUSTOMER_KEY = b"0123456789abcdef0123456789abcdef"
CUSTOMER_KEY_HASH = base64.b64encode(hashlib.sha256(CUSTOMER_KEY).digest()).decode()
ROLE = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
RING = "projects/acme/locations/us-east1/keyRings/tpuf"
INSTANCE = "projects/acme/locations/us-east1/singleTenantHsmInstances/one"
AWS_STATES = (
    *("Enabled", "Enabled", "Updating", "Disabled", "PendingDeletion", "PendingImport"),
    *("PendingReplicaDeletion", "Creating", "AStateOfTheFuture"),
)
KEY_DENIALS = (
    "cloudkms.cryptoKeys.get",
    "cloudkms.cryptoKeyVersions.list",
    "cloudkms.cryptoKeys.getIamPolicy",
)
FAULTS = (
    ("cloudkms", "kms ListCryptoKeyVersions", {"status": 429}),
    ("cloudkms", "kms GetCryptoKey ", {"status": 503}),
    ("cloudkms", "kms GetIamPolicy", {"status": 403}),
    ("cloudkms", "kms GetCryptoKey ", {"drop": True}),
    ("storage", "/o?", {"status": 503}),
    ("storage", "softDeleted", {"status": 403}),
    ("storage", "/o?", {"status": 200, "body": b'{"items": ['}),
    ("kms", "kms DescribeKey", {"status": 400, "code": "ThrottlingException"}),
    ("kms", "kms DescribeKey", {"drop": True}),
    ("kms", "kms GetKeyPolicy", {"status": 400, "code": "AccessDeniedException"}),
    ("kms", "AWS_RAM", {"status": 400, "code": "ThrottlingException"}),
    ("kms", "kms ListGrants", {"drop": True}),
    ("kms", "kms ListKeyRotations", {"status": 400, "code": "AccessDeniedException"}),
    ("kms", "kms DescribeCustomKeyStores", {"status": 400, "code": "AccessDeniedException"}),
    ("s3", "s3 HEAD /objects/", {"status": 503}),
    ("s3", "s3 HEAD /objects/", {"status": 400, "bare": True}),
    ("s3", "s3 HEAD /objects/", {"drop": True}),
    ("s3", "versions", {"status": 403, "code": "AccessDenied"}),
    ("s3", "versions", {"status": 200, "body": b"<ListVersionsResult><IsTruncated>tr"}),
)


@dataclass
class World:
    """Both stores and what was done to them, for the reader of a failing example."""

    google: GoogleStore
    aws: AwsStore
    clock: Clock
    probes: str = ""
    """The config's [probe], where it asks for some."""
    story: list[str] = field(default_factory=list)
    faults: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)


def a_world(draw: Draw) -> World:
    """Draw keys, objects and policies; the clouds stand still until `a_step`."""
    clock = Clock()
    world = World(GoogleStore(clock), AwsStore(clock), clock)
    _google(draw, world)
    _aws(draw, world)
    if draw(st.integers(0, 2)) == 0:
        world.probes = "\n[probe]\nreads = true\ndry_runs = true\nper_second = 100\n"
    return world


def _google(draw: Draw, world: World) -> None:
    store = world.google
    agent = f"serviceAccount:{store.add_project('acme', 123456)}"
    store.add_bucket("data", "acme", "us-east1", versioned=True)
    if draw(st.booleans()):
        store.grant("projects/acme", "roles/cloudkms.viewer", "group:everybody@acme.example")
    ring_grant = draw(st.sampled_from(["none", "none", "ring", "project"]))
    if ring_grant != "none":
        store.grant(RING if ring_grant == "ring" else "projects/acme", ROLE, agent)
    for number in range(draw(st.integers(1, 3))):
        name = f"{RING}/cryptoKeys/k{number}"
        key = store.add_key(name, versions=draw(st.integers(1, 3)))
        for version in key.versions.values():
            version.state = draw(st.sampled_from(["ENABLED", "ENABLED", "ENABLED", *STATES, 77]))
            if version.state == "DESTROY_SCHEDULED":
                version.destroy_time = store.clock() + timedelta(days=draw(st.integers(1, 30)))
            version.reimport_eligible = draw(st.booleans()) and version.state == "DESTROYED"
        if len(key.versions) > 1 and draw(st.integers(0, 5)) == 0:
            del key.versions[draw(st.integers(1, max(key.versions) - 1))]
        key.access_reasons = draw(
            st.sampled_from([None, None, None, [], ["CUSTOMER_INITIATED_ACCESS"], ["GOOGLE_INITIATED_REVIEW"]])
        )
        if draw(st.integers(0, 4)) == 0:
            store.add_instance(INSTANCE, draw(st.sampled_from(list(HSM_STATES))))
            key.backend = INSTANCE
            for version in key.versions.values():
                version.protection = "HSM_SINGLE_TENANT"
        if draw(st.integers(0, 3)):
            store.grant(name, ROLE, agent)
        if draw(st.integers(0, 5)) == 0:
            store.deny(draw(st.sampled_from(KEY_DENIALS)), name)
    for _ in range(draw(st.integers(2, 10))):
        _google_object(draw, store)
    for permission, resource in (
        ("resourcemanager.projects.getIamPolicy", "projects/acme"),
        ("cloudkms.keyRings.getIamPolicy", RING),
        ("storage.buckets.get", "data"),
    ):
        if draw(st.integers(0, 9)) == 0:
            store.deny(permission, resource)


def _google_object(draw: Draw, store: GoogleStore) -> None:
    more: dict[str, Any] = {}
    population = draw(st.sampled_from(["live", "live", "noncurrent", "soft"]))
    if population != "live":
        more[{"noncurrent": "noncurrent_since", "soft": "soft_deleted_since"}[population]] = store.clock()
    kind = draw(st.sampled_from(["key", "key", "key", "provider", "customer"]))
    if kind == "customer":
        more["customer_key_hash"] = CUSTOMER_KEY_HASH
    elif kind == "key":
        key = draw(st.sampled_from(store.keys(RING)))
        # Now and then a version that was deleted, and one that the listing does not tell. That the highest of all was
        # deleted before anybody looked, no service tells: only data that names it can show it.
        given_out = range(1, max(key.versions) + 1)
        more["named"] = draw(st.integers(0, 5)) != 0
        numbers = [*key.versions, *key.versions, 99] if more["named"] else given_out
        more |= {"key": key.name, "version": draw(st.sampled_from(numbers))}
    store.put("data", draw(st.sampled_from(list(NAMES.values()))), size=draw(st.sampled_from([0, 1, 50])), **more)


def _aws(draw: Draw, world: World) -> None:
    store = world.aws
    store.principals[READER_KEY] = ROLE_ARN
    store.by_iam.update({ROLE_ARN} if draw(st.booleans()) else ())
    store.add_bucket("objects", versioned=draw(st.booleans()))
    arns: list[str] = []
    for number in range(draw(st.integers(1, 3))):
        account = draw(st.sampled_from(["111122223333", "111122223333", "444455556666"]))
        arn = f"arn:aws:kms:us-east-1:{account}:key/00000000-0000-4000-8000-00000000000{number}"
        more: dict[str, Any] = {"state": draw(st.sampled_from(AWS_STATES))}
        if more["state"] == "PendingDeletion":
            more["deletion_date"] = store.clock().replace(microsecond=0) + timedelta(days=draw(st.integers(7, 30)))
        if draw(st.integers(0, 4)) == 0:
            state = draw(st.sampled_from(["CONNECTED", "CONNECTING", "FAILED", "DISCONNECTED", "DISCONNECTING"]))
            store.add_key_store(f"cks-{number}", "us-east-1", account, state=state)
            more |= {"store": f"cks-{number}", "origin": "EXTERNAL_KEY_STORE"}
        elif draw(st.integers(0, 3)) == 0:
            valid_to = store.clock().replace(microsecond=0) + timedelta(days=draw(st.integers(1, 60)))
            more |= {"origin": "EXTERNAL", "valid_to": valid_to}
        if more.get("origin") == "EXTERNAL" and draw(st.booleans()):
            more["materials"] = draw(st.lists(_materials(store), min_size=1, max_size=3, unique_by=lambda one: one.id))
        more["manager"] = draw(st.sampled_from(["CUSTOMER", "CUSTOMER", "CUSTOMER", "AWS"]))
        if more["manager"] == "CUSTOMER":  # nobody can write a policy or a grant for a key that AWS manages
            more |= draw(_policies())
        more["describe_denied"] = draw(st.integers(0, 7)) == 0
        store.add_key(arn, **more)
        arns.append(arn)
    for _ in range(draw(st.integers(3, 9))):
        kind = draw(st.sampled_from(["key", "key", "key", "key", "AES256", "plain", "customer", "fsx", "denied"]))
        how: dict[str, Any] = {
            "key": {"sse": draw(st.sampled_from(["aws:kms", "aws:kms:dsse"])), "key": draw(st.sampled_from(arns))},
            "AES256": {"sse": "AES256"},
            "plain": {"sse": None},
            "customer": {"sse": None, "customer_key": CUSTOMER_KEY},
            "fsx": {"sse": "aws:fsx"},
            "denied": {"sse": "AES256", "head_denied": True},
        }[kind]
        how["storage_class"] = draw(st.sampled_from(["STANDARD", "STANDARD", "GLACIER"]))
        name = draw(st.sampled_from(list(NAMES.values())))
        store.put("objects", name, size=draw(st.sampled_from([0, 1, 50])), **how)
    if draw(st.integers(0, 4)) == 0:
        store.remove_key(draw(st.sampled_from(arns)))


ROLE_ARN = "arn:aws:iam::111122223333:role/storage"
OTHER_ARN = "arn:aws:iam::111122223333:role/other"
PATH_ARN = "arn:aws:iam::111122223333:role/service-role/storage"
VARIABLE = "arn:aws:kms:*:${aws:PrincipalAccount}:key/*"
ROOT_ARN = "arn:aws:iam::111122223333:root"
VIA = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
STATEMENTS = (
    {"Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": "kms:*", "Resource": "*"},
    {"Effect": "Allow", "Principal": {"AWS": [OTHER_ARN, ROLE_ARN]}, "Action": "kms:Decrypt", "Resource": "*"},
    {"Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": "kms:Encrypt", "Resource": "*"},
    {"Effect": "Allow", "Principal": {"AWS": OTHER_ARN}, "Action": "kms:*", "Resource": "*"},
    {"Effect": "Allow", "Principal": {"AWS": ROOT_ARN}, "Action": "kms:*", "Resource": "*"},
    {"Effect": "Allow", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"},
    {"Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": "kms:Decrypt", "Resource": "*", "Condition": VIA},
    {"Effect": "Deny", "Principal": {"AWS": ROLE_ARN}, "Action": "kms:D*", "Resource": "*"},
    {"Effect": "Deny", "Principal": {"AWS": OTHER_ARN}, "Action": "kms:*", "Resource": "*"},
    {"Effect": "Deny", "NotPrincipal": {"AWS": [ROLE_ARN, ROOT_ARN]}, "Action": "kms:Decrypt", "Resource": "*"},
    {"Effect": "Deny", "NotPrincipal": {"AWS": ROLE_ARN}, "Action": "kms:Decrypt", "Resource": "*"},
    {"Effect": "Deny", "NotPrincipal": {"AWS": OTHER_ARN}, "Action": "kms:Decrypt", "Resource": "*"},
    {"Effect": "Allow", "Principal": {"AWS": PATH_ARN}, "Action": "kms:Decrypt", "Resource": "*"},
    {"Effect": "Deny", "Principal": {"AWS": PATH_ARN}, "Action": "kms:Decrypt", "Resource": "*"},
    # Without a resource or an action it has no effect.
    {"Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": "kms:*"},
    {"Effect": "Deny", "Principal": "*", "Action": "kms:*"},
    {"Effect": "Deny", "Principal": "*", "Resource": "*"},
    {"Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": "kms:*", "Resource": VARIABLE},
    {"Effect": "Deny", "Principal": {"AWS": ROLE_ARN}, "Action": "kms:*", "Resource": VARIABLE},
)


@st.composite
def _policies(draw: Draw) -> dict[str, Any]:
    """Key policies as people write them, good and bad; mostly the one that names the platform's role."""
    kind = draw(st.sampled_from(["named", "named", "named", "default", "drawn", "drawn"]))
    if kind == "default":
        return {}
    chosen = [STATEMENTS[0]] if kind == "named" else draw(st.lists(st.sampled_from(STATEMENTS), min_size=1, max_size=3))
    found: dict[str, Any] = {"policy": {"Statement": chosen}}
    if draw(st.integers(0, 5)) == 0:
        # RAM writes nothing else. Source: AWS RAM API Reference, CreatePermission: policyTemplate.
        allowing = [one for one in STATEMENTS if one["Effect"] == "Allow"]
        found["shared"] = {"Statement": [draw(st.sampled_from(allowing))]}
    if draw(st.integers(0, 3)) == 0:
        grantee = draw(st.sampled_from([ROLE_ARN, OTHER_ARN]))
        found["grants"] = [{"GranteePrincipal": grantee, "Operations": [draw(st.sampled_from(["Decrypt", "Encrypt"]))]}]
    return found


@st.composite
def _materials(draw: Draw, store: AwsStore) -> Material:
    valid_to = store.clock().replace(microsecond=0) + timedelta(days=draw(st.integers(1, 60)))
    return Material(
        id=draw(st.sampled_from(["a" * 64, "b" * 64, "c" * 64])),
        state=draw(st.sampled_from(["CURRENT", "NON_CURRENT", "PENDING_ROTATION"])),
        imported=draw(st.integers(0, 3)) != 0,
        valid_to=draw(st.sampled_from([None, valid_to])),
    )


def a_step(draw: Draw, world: World) -> None:
    """Let one thing happen that the clouds allow."""
    kind = draw(st.sampled_from(["version", "version", "aws", "aws", "policy", "time", "grant", "deny", "fault"]))
    if kind == "version":
        _version_step(draw, world)
    elif kind == "aws":
        _aws_step(draw, world)
    elif kind == "policy":
        _policy_step(draw, world)
    elif kind == "time":
        length = draw(st.sampled_from([timedelta(minutes=6), timedelta(days=2), timedelta(days=35)]))
        world.clock.ahead += length
        world.story.append(f"time passes: {length}")
    elif kind == "grant":
        key = draw(st.sampled_from(world.google.keys(RING)))
        world.google.revoke(key.name, f"serviceAccount:{world.google.agent('acme')}")
        world.story.append(f"grant on {key.name} revoked")
    elif kind == "deny":
        key = draw(st.sampled_from(world.google.keys(RING)))
        permission = draw(st.sampled_from(KEY_DENIALS))
        world.google.deny(permission, key.name)
        world.story.append(f"{permission} denied on {key.name}")
    else:
        service, match, how = draw(st.sampled_from(FAULTS))
        told = dict(how) if draw(st.booleans()) else {**how, "times": draw(st.integers(1, 2))}
        world.faults.append((service, match, told))
        world.story.append(f"fault: {match} {told}")


def _policy_step(draw: Draw, world: World) -> None:
    keys = [one for one in world.aws.keys("111122223333", "us-east-1") if one.manager == "CUSTOMER"]
    if keys:
        key = draw(st.sampled_from(keys))
        key.policy, key.shared, key.grants = None, None, []
        for field_name, value in draw(_policies()).items():
            setattr(key, field_name, value)
        world.story.append(f"{key.arn}: policy {key.policy}, shared {key.shared}, grants {key.grants}")


def _version_step(draw: Draw, world: World) -> None:
    key = world.google.key(draw(st.sampled_from(world.google.keys(RING))).name)
    if key is None or not key.versions:
        return
    number = draw(st.sampled_from(sorted(key.versions)))
    version = key.versions[number]
    moves = {
        "ENABLED": ["DISABLED", "DESTROY_SCHEDULED"],
        "DISABLED": ["ENABLED", "DESTROY_SCHEDULED"],
        "DESTROY_SCHEDULED": ["DISABLED"],
        "DESTROYED": ["deleted"],
        "IMPORT_FAILED": ["deleted", "ENABLED"],
        "GENERATION_FAILED": ["deleted"],
        "PENDING_GENERATION": ["ENABLED"],
        "PENDING_IMPORT": ["ENABLED"],
    }.get(str(version.state), [])
    if not moves:
        return
    to = draw(st.sampled_from(moves))
    world.story.append(f"{key.name} version {number}: {version.state} -> {to}")
    if to == "deleted":
        del key.versions[number]
        return
    version.state = to
    version.destroy_time = world.clock() + timedelta(days=30) if to == "DESTROY_SCHEDULED" else None


def _aws_step(draw: Draw, world: World) -> None:
    keys = [key for account in ("111122223333", "444455556666") for key in world.aws.keys(account, "us-east-1")]
    if not keys:
        return
    key = world.aws.key(draw(st.sampled_from(keys)).arn)
    if key is None:
        return
    moves = {
        "Enabled": ["Disabled", "PendingDeletion", "PendingImport"],
        "Disabled": ["Enabled", "PendingDeletion"],
        "PendingDeletion": ["Disabled"],
        "PendingReplicaDeletion": ["Disabled", "PendingDeletion"],
        "PendingImport": ["Enabled"],
        "Creating": ["Enabled"],
        "Updating": ["Enabled"],
    }.get(key.state, [])
    if not moves:
        return
    to = draw(st.sampled_from(moves))
    world.story.append(f"{key.arn}: {key.state} -> {to}")
    key.state = to
    key.valid_to = None
    later = world.clock().replace(microsecond=0) + timedelta(days=7)
    key.deletion_date = later if to == "PendingDeletion" else None
