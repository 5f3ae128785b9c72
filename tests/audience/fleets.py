"""Fleets of several tenants in which every name, label and text of a tenant bears a mark that nothing else has."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import strategies as st

from auditor import gaps
from auditor.audience.nameable import Nameable
from auditor.audience.narrowing import Audience
from auditor.audience.viewing import keys_of, with_names
from auditor.engine import Facts, judge
from auditor.findings import (
    Actor,
    Agreement,
    BucketCoverage,
    Compared,
    Confidence,
    Coverage,
    Finding,
    Judgement,
    Run,
    Severity,
    Status,
    Subject,
    SubjectKind,
    Tally,
    worst_first,
)
from auditor.handover.bundle import Seen
from auditor.inventory.dependencies import Dependencies
from auditor.inventory.totals import SCHEMA
from auditor.model import (
    AwsKey,
    CustomKeyStore,
    Encryption,
    Evidence,
    Extent,
    Gap,
    GcpKey,
    Grant,
    HsmInstance,
    KeyAccess,
    KeyManager,
    KeyName,
    KeyUnread,
    Reason,
    Right,
)
from auditor.ownership.owning import Sayings
from auditor.ownership.registered import Doubt, Portion, Registered, Registry, Tenancy
from auditor.policy import Policy
from auditor.readability import KeyView
from auditor.rules import load
from auditor.waiver import GivenWaiver, Waiver
from tests.core_builders import NOW, ROLE, a_version, days

AGENT = "service-1@gs-project-accounts.iam.gserviceaccount.com"
MARKS = ("qquartz", "xyzebra", "vvortex")
NOBODY = "jjnobody"
"""The mark of data of which nobody says for certain whose it is."""
SHARED = "gs://shared"
VERSIONS = ("1", "2")
GCP_STATES = ("ENABLED", "DISABLED", "DESTROY_SCHEDULED", "DESTROYED", "IMPORT_FAILED")
AWS_STATES = ("Enabled", "Disabled", "PendingDeletion", "Unavailable", "silent")


def gcp_key(mark: str) -> KeyName:
    return KeyName(f"projects/{mark}-prod/locations/us/keyRings/{mark}-ring/cryptoKeys/{mark}-key")


def aws_key(mark: str) -> KeyName:
    return KeyName(f"arn:aws:kms:us-east-1:111122223333:key/{mark}-0001")


def hsm(mark: str) -> str:
    return f"projects/{mark}-prod/locations/us/singleTenantHsmInstances/{mark}-hsm"


def buckets_of(mark: str) -> tuple[str, str]:
    return f"gs://{mark}-own", f"s3://{mark}-own"


@dataclass(frozen=True)
class Row:
    """Data of one namespace; `mark` tells whose it is, `under` whose key it is under: None: under none."""

    mark: str
    bucket: str
    under: str | None
    version: str
    objects: int
    space: int
    outside: bool = False
    portions: tuple[Portion, ...] = ()

    @property
    def key(self) -> KeyName | None:
        if self.under is None:
            return None
        return gcp_key(self.under) if self.bucket.startswith("gs://") else aws_key(self.under)

    @property
    def namespace(self) -> str:
        return f"{self.mark}/{self.mark}-space-{self.space}"

    @property
    def columns(self) -> dict[str, Any]:
        is_google = self.key is not None and self.bucket.startswith("gs://")
        is_whose = not self.outside and self.mark != NOBODY
        return {
            "bucket": self.bucket,
            "namespace": None if self.outside else self.namespace,
            "tenant": self.mark if is_whose else None,
            "population": "live",
            "encryption": Encryption.CMEK.value if self.key is not None else Encryption.PROVIDER.value,
            "key": self.key.text if self.key is not None else None,
            "key_version": self.version if is_google else None,
            "objects": self.objects,
            "bytes": self.objects * 100,
            "archived": 0,
            "oldest": NOW - days(400),
            "newest": NOW - days(1),
            "first_name": f"{self.namespace}/a-{self.mark}",
            "last_name": f"{self.namespace}/z-{self.mark}",
            "owner": f"{self.mark}-owner@{self.mark}.example",
            "team": f"team {self.mark}",
            "portions": sum(one.bit for one in self.portions),
        }


@dataclass(frozen=True)
class Fleet:
    """Who has what, whose keys are said to be whose, and in which state they are."""

    rows: tuple[Row, ...]
    owned: frozenset[str]
    """Marks of which somebody says that their keys are theirs."""
    states: Mapping[str, tuple[str, str, str]]
    """Mark -> states of the two versions on Google Cloud, and of the key on AWS."""

    @property
    def marks(self) -> tuple[str, ...]:
        return tuple(sorted({*MARKS, NOBODY}))

    @property
    def tenants(self) -> Mapping[KeyName, str]:
        return {key: mark for mark in self.owned for key in (gcp_key(mark), aws_key(mark))}

    def certain(self, mark: str) -> list[Row]:
        """What is certainly this tenant's."""
        mine = [one for one in self.rows if one.mark == mark and not one.outside]
        return [one for one in mine if Portion.DISPUTED not in one.portions]


def _rows(mark: str) -> st.SearchStrategy[Row]:
    own = st.sampled_from([SHARED, *buckets_of(mark if mark != NOBODY else MARKS[0])])
    strays = st.sampled_from([mark, mark, mark, None, *MARKS])
    portions = st.sampled_from([(), (), (Portion.FOREIGN_TENANT,), (Portion.WRONG_KEY, Portion.MIXED_KEYS)])
    if mark != NOBODY:
        portions |= st.just((Portion.DISPUTED,))
    return st.builds(
        Row,
        st.just(mark),
        own,
        strays,
        st.sampled_from(VERSIONS),
        st.integers(1, 9),
        st.integers(1, 3),
        st.booleans() if mark == NOBODY else st.just(value=False),
        portions,
    )


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    rows = [one for mark in MARKS for one in draw(st.lists(_rows(mark), min_size=1, max_size=5))]
    rows += draw(st.lists(_rows(NOBODY), max_size=3))
    # Of a key that nobody speaks of, and that nothing but strangers' data is under, nobody can know whose it is.
    under = {(one.key, one.mark) for one in rows}
    alone = {one.under for one in rows if one.under is not None and (one.key, one.under) not in under}
    states = st.tuples(*[st.sampled_from(GCP_STATES)] * 2, st.sampled_from(AWS_STATES))
    return Fleet(
        rows=tuple({(one.bucket, one.namespace, one.key, one.version, one.outside): one for one in rows}.values()),
        owned=draw(st.frozensets(st.sampled_from(MARKS))) | alone,
        states={mark: draw(states) for mark in (*MARKS, NOBODY)},
    )


def opened(fleet: Fleet, folder: Path) -> Dependencies:
    """What sweeps wrote, beside what registries say."""
    path = folder / "placed.parquet"
    fields = [*SCHEMA, *(pa.field(name, pa.string()) for name in ("owner", "team")), pa.field("portions", pa.int64())]
    rows = sorted((one.columns for one in fleet.rows), key=lambda one: one["namespace"] or "")
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(fields)), path)
    return Dependencies((), (path,))


def _evidence(mark: str, key: KeyName) -> tuple[Evidence, ...]:
    return (
        Evidence("describe", key.text, NOW, f"request-{mark}", "0" * 64),
        Evidence("read", f"gs://{mark}-own/{mark}-object", NOW, None, "1" * 64),
    )


def readings(fleet: Fleet) -> Iterator[tuple[KeyName, KeyView]]:
    """Each key with its state, what is behind it, and who else may use it."""
    for mark, (first, second, aws) in fleet.states.items():
        key = gcp_key(mark)
        right = Right(AGENT, "cloudkms.cryptoKeyVersions.useToDecrypt", Grant.DIRECT)
        stranger = f"{mark}-stranger@{mark}.example"
        access = KeyAccess((right,), others=(stranger,), public=False, ring_keys=(f"{key}-{mark}-spare",))
        versions = (
            a_version("1", first, destroy_time=NOW + days(3), created=NOW - days(500), protection_level="SOFTWARE"),
            a_version("2", second, destroy_time=NOW + days(9), created=NOW - days(300)),
        )
        instance = HsmInstance(hsm(mark), "ACTIVE")
        yield (
            key,
            KeyView(
                key,
                GcpKey(
                    key,
                    versions,
                    primary="2",
                    access=access,
                    hsm_instance=instance,
                    destroy_delay=timedelta(days=1),
                    evidence=_evidence(mark, key),
                ),
                None,
            ),
        )
        name = aws_key(mark)
        store = CustomKeyStore(f"cks-{mark}", "DISCONNECTED" if aws == "Unavailable" else "CONNECTED")
        told = AwsKey(
            name,
            aws,
            KeyManager.CUSTOMER,
            "AWS_CLOUDHSM",
            deletion_date=NOW + days(2) if aws == "PendingDeletion" else None,
            store=store,
            access=KeyAccess((Right(ROLE, "kms:Decrypt", Grant.DIRECT),), others=(f"arn:aws:iam::9:role/{mark}",)),
            evidence=_evidence(mark, name),
        )
        silent = KeyUnread(name, Reason.ACCESS_DENIED, f"Denied{mark}", f"grant kms:DescribeKey on {name}")
        yield name, KeyView(name, silent if aws == "silent" else told, None)


def _coverage(rows: Dependencies) -> tuple[BucketCoverage, ...]:
    held: dict[str, int] = defaultdict(int)
    for one in rows.holdings():
        held[one.bucket] += one.objects or 0
    counted = Compared(Agreement.UNEXPLAINED, NOW, NOW, 9_999, 9_999, 1_000)
    why = f"broke off behind {MARKS[0]} in"
    return tuple(
        BucketCoverage(bucket, True, count, count, 0, 3, 2, NOW, NOW, NOW, f"{why} {bucket}", compared=counted)
        for bucket, count in sorted(held.items())
    )


def _more(mark: str, number: int) -> Iterator[Finding]:
    """Findings about what is the operator's, in words that name a tenant."""
    kinds = {
        SubjectKind.REGISTRY: ("registry-mismatch", f"registry {mark}.csv (dispute)"),
        SubjectKind.FEED: ("feed-silent", f"https://sqs.example/{mark}"),
        SubjectKind.AUDIT_LOG: ("audit-log-off", f"projects/{mark}-prod/logs/activity"),
        SubjectKind.WAIVER: ("waiver-ending", f"rotation-off: tenant {mark}"),
    }
    for place, (kind, (rule, name)) in enumerate(kinds.items()):
        yield Finding(
            id=f"{number:08x}{place:08x}",
            rule=rule,
            severity=Severity.LOW,
            status=Status.OPEN,
            subject=Subject(kind, name),
            readability=None,
            cause=f"something with {mark} and {gcp_key(mark)}",
            confidence=Confidence.PROVEN,
            extent=Extent(),
            members=(),
            final_at=None,
            since=NOW,
            since_source="first_read",
            evidence=_evidence(mark, gcp_key(mark)),
            undo=(),
            first_seen=NOW,
            last_seen=NOW,
        )


def judgement_of(fleet: Fleet, rows: Dependencies) -> Judgement:
    """What the real judge makes of it, and what else a judgement has."""
    keys = dict(readings(fleet))
    coverage = _coverage(rows)
    agents = {one.bucket: (AGENT,) if one.bucket.startswith("gs://") else (ROLE,) for one in coverage}
    registered = Registered(
        "",
        tuple(Registry(f"registry {mark}.csv", tuple(one.bucket for one in coverage), 9, NOW) for mark in fleet.marks),
    )
    said = Sayings(registered, tenants=fleet.tenants)
    policy = Policy(allowed_protection_levels=frozenset({"HSM"}), horizon=timedelta(days=30))
    judged = judge(Facts(rows, keys, agents, coverage, policy, NOW, said=said), load())
    findings = [replace(one, actor=_actor(one)) for one in judged.findings]
    findings += [each for number, mark in enumerate(fleet.marks) for each in _more(mark, number)]
    every = tuple(one.id for one in findings)
    return Judgement(
        run=Run("id", NOW, NOW, "0", tuple(f"reader@{mark}.example" for mark in fleet.marks), "c" * 64, "r", days(0)),
        now=NOW,
        coverage=Coverage(coverage, len(keys), len(keys), 4),
        assessed=judged.assessed,
        findings=tuple(sorted(findings, key=worst_first)),
        gaps=tuple(_gaps(fleet, keys, coverage)),
        tallies=(*judged.tallies, Tally("registry-mismatch", {}), Tally("feed-silent", {})),
        sweeps=tuple(f"sweep of {one.bucket}" for one in coverage),
        waivers=tuple(_waivers(fleet, every)),
        registered=registered,
        oldest_key_read=NOW,
    )


def _actor(one: Finding) -> Actor | None:
    """Somebody of whoever's key it is."""
    mark = next((mark for mark in (*MARKS, NOBODY) if mark in one.subject.id), None)
    if mark is None or one.subject.kind is SubjectKind.BUCKET:
        return None
    return Actor(f"{mark}-admin@{mark}.example", "Disable", NOW, f"from {mark}", f"role {mark}", f"event-{mark}")


def _gaps(fleet: Fleet, keys: Mapping[KeyName, KeyView], coverage: tuple[BucketCoverage, ...]) -> Iterator[Gap]:
    for view in keys.values():
        yield from gaps.of_key(view, (AGENT,))
    for one in coverage:
        yield Gap(one.bucket, Reason.TIMEOUT, f"broke off behind {MARKS[0]}/{MARKS[1]}", f"look at {MARKS[2]}")
    for mark in fleet.marks:
        yield Gap(f"registry {mark}.csv", Reason.MALFORMED, f"entry of {mark}", f"mend {mark}")
        yield Gap(gcp_key(mark).text, Reason.TIMEOUT, f"gs://{mark}-own and {gcp_key(MARKS[0])}", f"ask {mark}")
        yield Gap(f"projects/{mark}-prod/logs/activity", Reason.TIMEOUT, f"of {mark}", mark)
    yield Gap(gaps.BUCKET_LISTS, Reason.ACCESS_DENIED, f"the accounts of gs://{MARKS[0]}-own", MARKS[1])


def _waivers(fleet: Fleet, findings: tuple[str, ...]) -> Iterator[GivenWaiver]:
    for mark in fleet.marks:
        words = f"{mark}@{mark}.example", f"boss of {mark}", f"because of {mark}"
        for more in ({"tenant": mark}, {"key": gcp_key(mark).text}, {"namespace": f"{mark}/*"}):
            yield GivenWaiver(Waiver("rotation-off", NOW + days(9), *words, **more), findings)
    both = f"{MARKS[0]} and {MARKS[1]}"
    yield GivenWaiver(Waiver("sweep-stale", NOW + days(9), both, both, both, bucket="*"), findings)


def audience_of(fleet: Fleet, judgement: Judgement, rows: Dependencies, tenant: str) -> Audience:
    """As it is made of a real judgement, by what the fleet says."""
    doubt = Doubt()
    unnamed = Tenancy(tenant, doubt)
    nameable = Nameable(tenant, fleet.tenants, map(KeyName, rows.keys_of_others(tenant, doubt)))
    # Who answers for data that no registry names anybody for is whoever answers for the key.
    tenancy = with_names(unnamed, keys_of(rows.alone(unnamed)), nameable, ())
    alone = rows.alone(tenancy)
    return Audience(
        tenancy=tenancy,
        rows=alone,
        owned=nameable.owned,
        principals=frozenset({ROLE}),
        behind={
            name: frozenset(behind)
            for mark in fleet.states
            for name, behind in ((gcp_key(mark), [hsm(mark)]), (aws_key(mark), [f"111122223333/us-east-1/cks-{mark}"]))
        },
        read={name: NOW for name, view in readings(fleet) if not isinstance(view.reading, KeyUnread)},
        rules=load(),
        homes={one: one.removeprefix("sweep of ") for one in judgement.sweeps},
        seen=Seen(elsewhere=4, registries=False, unclear=rows.of_nobody(doubt), unswept=0),
        reaches=reaching(rows, alone),
    )


def reaching(rows: Dependencies, alone: Dependencies) -> Callable[[str], bool]:
    def reaches(pattern: str) -> bool:
        def within(some: Dependencies) -> int:
            members = [(one.bucket, one.encryption, one.key, one.key_version) for one in some.holdings()]
            return some.beyond([(members, ())], pattern, None)[0][0]

        return 0 < within(alone) == within(rows)

    return reaches
