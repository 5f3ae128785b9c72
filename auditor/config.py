"""The config file: read once, checked whole, refused with file, setting and hint."""

import hashlib
import ipaddress
import json
import re
import tomllib
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from stat import S_ISREG
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from apscheduler.triggers.cron import CronTrigger
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    StrictBool,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from auditor import waiver
from auditor.addresses import shown
from auditor.errors import UsageError
from auditor.inventory.layout import Layout
from auditor.inventory.layout_sql import namespace_of
from auditor.misspelling import meant
from auditor.model import Cloud, KeyName, Population, cloud_of
from auditor.ownership.registered import ENDINGS
from auditor.ownership.said import Said, revoked
from auditor.ownership.spelling import EACH_ITS_OWN
from auditor.policy import Policy
from auditor.waiver import FIELDS

_S3_NAME: Final = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"  # Amazon S3 User Guide, Bucket naming rules
_GCS_NAME: Final = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"  # Cloud Storage docs, Bucket naming
_VERSION: Final = re.compile(r"cryptoKeyVersions/[1-9][0-9]{0,17}")
_FOLDER: Final = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}/){0,9}[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
"""Plain names: no `..` that somebody on the way might resolve."""
_BUCKET_URL: Final = re.compile(rf"s3://{_S3_NAME}|gs://{_GCS_NAME}")
_AWS_PRINCIPAL: Final = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:(?:role|user)/[\w+=,.@/-]{1,576}")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_INVENTORY: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_AWS_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]+){1,2}-[0-9]{1,2}")  # botocore, partitions.json: regionRegex
_ENDPOINT: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?/?")
_GOOGLE_FEED: Final = re.compile(r"projects/[^/\s]+(?:/subscriptions/[A-Za-z][A-Za-z0-9._~+-]{2,254})?")
# Source: Pub/Sub docs, Guidelines to name resources; names may hold % too, which nothing here would write as it is.
_PRODUCT_ARN: Final = re.compile(
    rf"arn:aws(?:-[a-z]+)*:securityhub:{_AWS_REGION.pattern}:([0-9]{{12}}):product/([0-9]{{12}})/default"
)
PRODUCT_EXAMPLE: Final = "arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default"
_PLATFORM_REGION: Final = re.compile(r"(?:aws|gcp)-[a-z0-9-]{1,60}")  # turbopuffer docs, Regions
_PUBLIC: Final = re.compile(r"https://((?:aws|gcp)-[a-z0-9-]+)\.turbopuffer\.com")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_LOG_NAME: Final = re.compile(r"projects/[a-z0-9][a-z0-9.:-]{3,99}/logs/[A-Za-z0-9_.-](?:[A-Za-z0-9_.-]|%2F){0,199}")
"""Source: Cloud Logging docs, LogEntry: logName."""
_HOST: Final = re.compile(r"\*|(?:\*\.)?[A-Za-z0-9][A-Za-z0-9.-]{0,252}|[0-9A-Fa-f:.]{2,45}")
_QUEUE: Final = re.compile(
    r"https://sqs(?:-fips)?\.[a-z0-9-]{5,30}\.(?:amazonaws\.com(?:\.cn)?|api\.aws)/[0-9]{12}/[A-Za-z0-9_-]{1,80}(?:\.fifo)?"
)  # Amazon SQS Developer Guide, Queue identifiers; AWS General Reference, SQS endpoints
_MAY_HOLD_SECRETS: Final = frozenset({"ledger", "external_id"})
"""Settings whose value no error tells, whatever it is."""
_MOST: Final = 16 * 1024 * 1024
"""Bytes of a config: a hundred thousand [[key]] have room in it, and a device that never ends fills no memory."""
_NAMED: Final = 3
"""How many mistakes besides the first a message names."""


def _folder_url(text: str) -> str:
    bucket, _, folder = text.rstrip("/").removeprefix("s3://").removeprefix("gs://").partition("/")
    if not _BUCKET_URL.fullmatch(f"{text[:5]}{bucket}") or (folder and not _FOLDER.fullmatch(folder)):
        raise ValueError(f"{shown(text)!r} names no folder of a bucket; write s3://BUCKET/FOLDER or gs://BUCKET/FOLDER")
    return text.rstrip("/")


def _bucket_url(text: str) -> str:
    if not _BUCKET_URL.fullmatch(text):
        raise ValueError(f"{text!r} is not a bucket URL; write s3://NAME or gs://NAME, without a path")
    return text


def _region(text: str) -> str:
    if not _AWS_REGION.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of an AWS Region; write it like us-east-1")
    return text


def _inventory_name(text: str) -> str:
    if not _INVENTORY.fullmatch(text):
        raise ValueError(f"{shown(text)!r} is not the name of an inventory configuration: the id that S3 shows of it")
    return text


def _product_arn(text: str) -> str:
    hit = _PRODUCT_ARN.fullmatch(text)
    if hit is None or hit[1] != hit[2]:
        raise ValueError(
            f"{shown(text)!r} is not the default integration of an account's Security Hub; write it like "
            f"{PRODUCT_EXAMPLE}, with the account and Region that take the findings in"
        )
    return text


def _populations(given: tuple[Population, ...]) -> tuple[Population, ...]:
    if not given:
        raise ValueError("is empty, so that nothing would be swept; leave it away to sweep all that the bucket has")
    twice = [one.value for one, count in Counter(given).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]!r} is given twice")
    return given


def _endpoint(text: str) -> str:
    if not _ENDPOINT.fullmatch(text):
        raise ValueError(f"{text!r} is not an endpoint; write http://HOST:PORT or https://HOST")
    return text.rstrip("/")


def _base_url(text: str) -> str:
    found = urlsplit(_endpoint(text))
    # A bearer token goes with every request.
    if found.scheme == "http" and found.hostname not in {"127.0.0.1", "localhost"}:
        raise ValueError(f"{text!r} would send the API key over plain http; write https://, http:// only to 127.0.0.1")
    return text.rstrip("/")


def _platform_region(text: str) -> str:
    if not _PLATFORM_REGION.fullmatch(text):
        raise ValueError(f"{text!r} is not the name of a region of turbopuffer; write it like aws-us-east-1")
    return text


def _variable(text: str) -> str:
    # Whoever put the key itself here must not find it in a log: the text is not told.
    if text.startswith("tpuf_") or not _VARIABLE.fullmatch(text):
        raise ValueError(
            "is not the name of an environment variable; write TURBOPUFFER_API_KEY, and put the key itself there alone"
        )
    return text


def _cron(text: str) -> str:
    try:
        next_time = CronTrigger.from_crontab(text, timezone="UTC").get_next_fire_time(None, datetime.now(UTC))
    except ValueError as error:
        raise ValueError(f"{text!r} is not a cron line of five fields ({error})") from None
    if next_time is None:
        raise ValueError(f"{text!r} names a day that never comes")
    return text


def _forms(given: tuple[str, ...]) -> tuple[str, ...]:
    if not given:
        raise ValueError('names none; write ["html"], or leave [schedule] report away')
    return tuple(dict.fromkeys(given))


def _scheduler(given: str) -> str:
    if not re.fullmatch(r"tls://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}", given):
        raise ValueError(
            f"{given!r} is no scheduler of Dask that is asked over TLS; write it like tls://dask.internal:8786"
        )
    return given


def _folder(given: object) -> object:
    if isinstance(given, str) and not given.strip():
        raise ValueError("is empty; name a folder for the ledger and the inventory")
    try:
        return Path(given).expanduser() if isinstance(given, str) else given
    except RuntimeError as error:
        raise ValueError(f"{given!r} names no folder: {error}") from None


def _file(given: object) -> object:
    if not isinstance(given, str):
        return given
    if Path(given).suffix.lower() not in ENDINGS:
        raise ValueError(f"{given!r} is no registry; its name ends in {', '.join(ENDINGS)}")
    return _some_file(given)


def _some_file(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        return Path(given).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{given!r} names no file: {error}") from None


def full_key_name(text: str) -> str:
    """Check that the text is a key's full name, and say what it is instead where that can be told.

    Raises:
        ValueError: it is not.
    """
    try:
        return KeyName.parse(text).text
    except ValueError:
        pass
    if "alias/" in text:
        raise ValueError(
            f"{text!r} is an alias, which moves; write the key behind it, arn:aws:kms:REGION:ACCOUNT:key/ID"
        )
    if "/cryptoKeyVersions/" in text:
        raise ValueError(f"{text!r} is a key version; a key is watched whole: leave /cryptoKeyVersions/N away")
    raise ValueError(
        f"{text!r} is not the full name of a key; write arn:aws:kms:REGION:ACCOUNT:key/ID or "
        "projects/P/locations/L/keyRings/R/cryptoKeys/K"
    )


def _as_given(given: object) -> object:
    """Refuse what entries of registries may not have either: names may end with a space, and it may be one."""
    if isinstance(given, str) and given.strip() and given != given.strip():
        raise ValueError(f"{given!r} begins or ends with a space, and would be another name with it: take it away")
    return given


def _agents(given: object) -> object:
    named = isinstance(given, list | tuple) and all(isinstance(one, str) and _EMAIL.fullmatch(one) for one in given)
    if given != "bucket" and not named:
        raise ValueError(f'{given!r} is neither "bucket" nor a list of e-mail addresses; write ["NAME@..."]')
    return given


def _aws_principal(text: str) -> str:
    if not _AWS_PRINCIPAL.fullmatch(text):
        raise ValueError(
            f"{text!r} is not the ARN of a role or user; write arn:aws:iam::ACCOUNT:role/NAME, "
            "and for a session the role behind it"
        )
    return text


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or not port.isascii() or int(port) > 65535:  # noqa: PLR2004 - the largest TCP port
        raise ValueError(f"{text!r} is not HOST:PORT")
    if host == "localhost":
        return text
    try:
        is_six = isinstance(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")), ipaddress.IPv6Address)
    except ValueError:
        raise ValueError(
            f"{text!r} does not begin with an address; write 127.0.0.1:PORT, 0.0.0.0:PORT or [::]:PORT"
        ) from None
    if is_six != (host[0] == "[" and host[-1] == "]") or "%" in host:
        raise ValueError(f"{text!r} is not HOST:PORT; an IPv6 address stands in brackets, without a zone")
    return text


def _token_variable(text: str) -> str:
    # Whoever put the token itself here must not find it in a log: the text is not told.
    if not _VARIABLE.fullmatch(text):
        raise ValueError(
            "is not the name of an environment variable; write AUDITOR_TOKEN, and put the token itself there alone"
        )
    return text


def _hosts(given: tuple[str, ...]) -> tuple[str, ...]:
    for one in given:
        if not _HOST.fullmatch(one):
            raise ValueError(f"{one!r} is no name or address; write auditor.example.com, *.example.com, 10.0.0.7 or *")
    return given


BucketUrl = Annotated[str, AfterValidator(_bucket_url)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Cron = Annotated[str, AfterValidator(_cron)]
AwsPrincipal = Annotated[str, AfterValidator(_aws_principal)]
FullKeyName = Annotated[str, AfterValidator(full_key_name)]
Name = Annotated[str, Field(min_length=1, max_length=300)]
Label = Annotated[Name, BeforeValidator(_as_given)]
"""What registries and data say as well, to the letter."""


class _Table(BaseModel):
    """One table of the file: frozen, and no setting that we do not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Schedule(_Table):
    """When the daemon works."""

    sweep: Cron = "0 */6 * * *"
    """Cron line, UTC: when every bucket is listed."""
    key_poll: int = Field(default=60, ge=5, le=86_400)
    """Seconds between two readings of all key states."""
    report: Cron | None = None
    """Cron line, UTC: when a report is made and kept; None: never."""


class Account(_Table):
    """How to reach the keys and logs of one AWS account or Google project."""

    id: str | None = Field(default=None, pattern=r"^[0-9]{12}$")
    """AWS account id; give this or `project`."""
    project: str | None = None
    """Google project id."""
    role_arn: str | None = Field(default=None, pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$")
    """AWS role to assume for this account."""
    external_id: str | None = None
    """External id for that role."""
    profile: str | None = None
    """AWS profile to start from."""
    impersonate: str | None = None
    """Google service account to act as."""
    quota_project: str | None = None
    """Google project that the requests count against."""
    feed: str | None = None
    """What tells soon that somebody changed a key; without one its keys are polled alone.

    The URL of an SQS queue; on Google Cloud a subscription that a log sink fills, projects/PROJECT/subscriptions/NAME,
    or the audit log itself, projects/PROJECT."""

    @model_validator(mode="after")
    def _one_cloud(self) -> Self:
        if (self.id is None) == (self.project is None):
            raise ValueError("give either id (AWS) or project (Google Cloud)")
        if self.id is None and (self.role_arn or self.external_id or self.profile):
            raise ValueError("role_arn, external_id and profile belong to an AWS account; this one has a project")
        if self.project is None and (self.impersonate or self.quota_project):
            raise ValueError("impersonate and quota_project belong to a Google project; this one has an AWS id")
        if self.role_arn and self.id != self.role_arn.split(":")[4]:
            raise ValueError(f"role_arn {self.role_arn!r} is a role of another account than id {self.id!r}")
        if self.feed is not None:
            self._check_feed(self.feed)
        return self

    def _check_feed(self, feed: str) -> None:
        shape, like = (
            (_QUEUE, "the URL of an SQS queue, https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")
            if self.id is not None
            else (
                _GOOGLE_FEED,
                "a subscription of Pub/Sub, projects/PROJECT/subscriptions/NAME, or projects/PROJECT for the audit log",
            )
        )
        if not shape.fullmatch(feed):
            whose = f"AWS account {self.id}" if self.id is not None else f"Google project {self.project}"
            raise ValueError(f"feed {shown(feed)!r} of {whose} is not one: give {like}")
        if self.project is not None and "/subscriptions/" not in feed and feed != f"projects/{self.project}":
            raise ValueError(f"feed {feed!r} is the audit log of another project than {self.project}")


class Platform(_Table):
    """Who must be able to decrypt."""

    gcp_service_agents: Annotated[Literal["bucket"] | tuple[str, ...], BeforeValidator(_agents)] = "bucket"
    """`bucket`: the storage service agent of each bucket's project; or a list of e-mail addresses."""
    aws_principals: tuple[AwsPrincipal, ...] = ()
    """ARNs of the roles or users that read and write on S3; without them who may decrypt is not judged on AWS."""


class Bucket(_Table):
    """One bucket that is swept."""

    url: BucketUrl
    """s3://NAME or gs://NAME."""
    layout: str
    """What an object name begins with, for example `{org}/{namespace}/`; the fields are the namespace."""
    tenant_field: str | None = None
    """The layout's field that names the tenant; `tenant`, else `org`, if the layout has it."""
    region: Annotated[str, AfterValidator(_region)] | None = None
    """AWS Region of the bucket (S3 only)."""
    account: str | None = None
    """Account id or project that the bucket is read with; else the default identity."""
    populations: Annotated[tuple[Population, ...], AfterValidator(_populations)] = ()
    """live, noncurrent, soft_deleted; default: all that the bucket has."""
    answer: Annotated[Path, BeforeValidator(_some_file)] | None = None
    """What a warehouse answered to the statement of `cmek-auditor aggregate`; then nothing is listed."""
    s3_metadata: StrictBool = False
    """Read the live inventory table of S3 Metadata (S3 only); then nothing is listed."""
    s3_inventory: Annotated[str, AfterValidator(_inventory_name)] | None = None
    """The name of an inventory configuration of S3 Inventory (S3 only): its reports tell what is there."""
    swept_by: Literal["auditor", "workers"] = "auditor"
    """`workers`: by `scan --index` alone; neither the schedule nor a scan that does not name it sweeps it."""

    @property
    def _elsewhere(self) -> str:
        return "s3_metadata" if self.s3_metadata else "answer"

    @model_validator(mode="after")
    def _fits_the_cloud(self) -> Self:
        try:
            layout = Layout.parse(self.layout, self.tenant_field)
            if self.answer is not None or self.s3_metadata:
                namespace_of(layout)
        except UsageError as error:
            raise ValueError(f"{error}{'; ' + error.hint if error.hint else ''}") from None
        if self.answer is not None and self.s3_metadata:
            raise ValueError("answer and s3_metadata exclude each other: one of them tells of the objects")
        if (self.answer is not None or self.s3_metadata) and self.swept_by == "workers":
            raise ValueError(f"{self._elsewhere} and swept_by exclude each other: nobody lists what a table tells of")
        if self.url.startswith("gs://") and self.s3_metadata:
            raise ValueError("s3_metadata is for S3 buckets only")
        if self.s3_inventory is not None:
            self._fits_a_report()
        if self.url.startswith("gs://") and self.region is not None:
            raise ValueError("region is for S3 buckets only")
        if self.url.startswith("s3://") and Population.SOFT_DELETED in self.populations:
            raise ValueError("S3 has no soft_deleted objects; take it out of populations")
        return self

    def _fits_a_report(self) -> None:
        """See that a report can tell of it.

        Raises:
            ValueError: it cannot.
        """
        if self.url.startswith("gs://"):
            raise ValueError("s3_inventory is for S3 buckets only")
        if self.answer is not None or self.s3_metadata:
            raise ValueError(f"{self._elsewhere} and s3_inventory exclude each other: one of them tells of the objects")
        if self.swept_by == "workers":
            raise ValueError("s3_inventory and swept_by exclude each other: nobody lists what a report tells of")


class Key(_Table):
    """A key that is watched in any case."""

    name: FullKeyName
    """The key's full name: it is watched even when no data names it yet."""
    intended_state: Literal["enabled", "revoked"] = "enabled"
    """`revoked`: the key is meant to be unusable, and that its data can still be read is the finding."""
    tenant: Label | None = None
    """Whose key it is: data of other tenants under it is a finding."""
    owner: Label | None = None
    """Who answers for data under it of which no registry names an owner."""
    team: Label | None = None
    """In which team; likewise."""
    since: date | None = None
    """From which day on (UTC) it is meant to be revoked; without a day, at once."""

    @model_validator(mode="after")
    def _dated_revocation(self) -> Self:
        if self.since is not None and self.intended_state != "revoked":
            raise ValueError('since belongs to intended_state = "revoked"')
        return self

    @property
    def said(self) -> Said:
        """What it says of the key; that it is to work only where that is written."""
        is_said = "intended_state" in self.model_fields_set
        since = datetime.combine(self.since, time(), UTC) if self.since is not None else None
        meant = self.intended_state == "revoked" if is_said else None
        return Said(KeyName(self.name), self.tenant, self.owner, self.team, meant, since)


class Registry(_Table):
    """What says which key each namespace is to be under, and whose it is; or, of a bundle, which it is under."""

    _written: str | None = PrivateAttr(default=None)
    kind: Literal["file", "turbopuffer", "bundle"]
    """`file`: CSV with a header, a JSON array of objects, or one JSON object a line. `turbopuffer`: its API. `bundle`:
    what `cmek-auditor bundle` of whoever sees the buckets has written."""
    path: Annotated[Path, BeforeValidator(_file)] | None = None
    """.csv, .json or .jsonl, relative to the config file: namespace, and as it has them bucket, key, tenant,
    owner, team, bytes."""
    bucket: BucketUrl | None = None
    """Which bucket its namespaces are in; where there are several, a file may say it itself. Without any [[bucket]] it
    is told and not looked at."""
    fields: dict[str, Annotated[str, BeforeValidator(_as_given)]] = Field(default_factory=dict)
    """Fields of the layout that its namespaces lack, with their value."""
    signer: Annotated[Path, BeforeValidator(_some_file)] | None = None
    """Of a bundle: the public key that it is signed with, a PEM file, relative to the config file."""
    tenant: Label | None = None
    """Of a bundle: whose it is to be; another tenant's is refused. Default: whoever's the first one is."""
    max_age_hours: float = Field(default=48, gt=0, le=87_600)
    """Of a bundle: how long ago the oldest of its sweeps may have begun."""
    region: Annotated[str, AfterValidator(_platform_region)] | None = None
    """turbopuffer's name of the region, for example aws-us-east-1."""
    base_url: Annotated[str, AfterValidator(_base_url)] | None = None
    """Where its API is; default: the region's public one."""
    api_key_env: Annotated[str, AfterValidator(_variable)] | None = None
    """The name of the environment variable that holds the API key, which is never written down."""
    metadata_per_sweep: int = Field(default=20_000, ge=1, le=10_000_000)
    """Of how many namespaces each sweep reads the metadata at most; each is billed as a query."""
    reread_days: int = Field(default=7, ge=1, le=365)
    """After how many days the metadata of a namespace is read again."""
    requests_per_second: float = Field(default=20.0, ge=0.1, le=1_000.0)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        every = frozenset().union(*_OF_KINDS.values())
        for name in sorted((every - _OF_KINDS[self.kind]) & self.model_fields_set):
            kind = next(kind for kind, names in _OF_KINDS.items() if name in names)
            raise ValueError(f'{name} is a setting of kind = "{kind}"; this registry is of kind "{self.kind}"')
        if self.kind in {"file", "bundle"} and self.path is None:
            raise ValueError(f'path is missing: kind = "{self.kind}" needs it')
        if self.kind == "bundle" and self.signer is None:
            raise ValueError('signer is missing: kind = "bundle" needs the public key that it is signed with')
        if self.kind == "turbopuffer":
            if self.api_key_env is None:
                raise ValueError('api_key_env is missing: kind = "turbopuffer" needs it')
            if self.region is None and self.base_url is None:
                raise ValueError('region is missing: kind = "turbopuffer" needs it, or a base_url')
            self._is_one_place()
        return self

    def _is_one_place(self) -> None:
        public = _PUBLIC.fullmatch(self.base_url or "")
        if public is not None and self.region not in {None, public[1]}:
            raise ValueError(f"base_url is of region {public[1]}, and region says {self.region}")
        region = self.region or (public[1] if public is not None else "")
        scheme = {"aws": "s3://", "gcp": "gs://"}.get(region.partition("-")[0])
        if scheme is not None and self.bucket is not None and not self.bucket.startswith(scheme):
            raise ValueError(f"bucket {self.bucket} is in another cloud than region {region}")

    @property
    def cloud(self) -> Cloud | None:
        """In which cloud its namespaces are; None where each entry may name another."""
        if self.bucket is not None:
            return cloud_of(self.bucket)
        region = self.region or (hit[1] if (hit := _PUBLIC.fullmatch(self.base_url or "")) else "")
        return {"aws": Cloud.AWS, "gcp": Cloud.GCP}.get(region.partition("-")[0])

    @property
    def url(self) -> str:
        """Where the API of the platform is."""
        return self.base_url or f"https://{self.region}.turbopuffer.com"

    @property
    def name(self) -> str:
        """How it is told of."""
        if self.path is None:
            given = "".join(f" {field}={value}" for field, value in sorted(self.fields.items()))
            of = f"of {self.bucket}" if self.bucket else f"by {self.api_key_env}"
            return f"turbopuffer {self.region or urlsplit(self.url).netloc}{given} {of}"
        told = self._written or self.path.name
        return f"{told} of {self.bucket}" if self.bucket else told

    def tell_path(self) -> None:
        """Be told of by the path as the config has it from now on: another one's file has the same name."""
        self._written = str(self.path)


_OF_KINDS: Final = {
    "file": frozenset({"path", "bucket", "fields"}),
    "turbopuffer": frozenset(
        {"bucket", "fields", "region", "base_url", "api_key_env", "metadata_per_sweep", "reread_days"}
        | {"requests_per_second"}
    ),
    "bundle": frozenset({"path", "signer", "tenant", "max_age_hours"}),
}
"""Settings that registries of a kind have."""


class Match(_Table):
    """To which data a waiver is narrowed; `*` stands for any text, and all that is given must fit."""

    # Names may begin or end with a space: another name is another's data.
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=False)

    key: Name | None = None
    """Full name of a key, or of a version of it."""
    bucket: Name | None = None
    """s3://NAME or gs://NAME."""
    namespace: Name | None = None
    """The layout's fields joined by `/`."""
    tenant: Name | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not any(getattr(self, field) for field in FIELDS):
            raise ValueError("name a key, bucket, namespace or tenant; `*` stands for any text")
        if self.key is not None and not _is_whole(self.key):
            raise ValueError(
                f"key {self.key!r} is not the full name of a key, nor of a version of it (KEY/cryptoKeyVersions/N)"
            )
        if self.bucket is not None and not self.bucket.startswith(("s3://", "gs://", "*")):
            raise ValueError(f"bucket {self.bucket!r} does not begin with s3:// or gs://")
        return self


def _is_whole(pattern: str) -> bool:
    """Whether a pattern may be a key's full name, or a version's: the short forms of commands fit nothing judged."""
    _, _, below = pattern.partition("/cryptoKeys/")
    _, has_more, version = below.partition("/")
    is_below = not has_more or "*" in pattern or _VERSION.fullmatch(version) is not None
    return pattern.startswith(("arn:", "projects/", "*")) and is_below


class Waiver(_Table):
    """An exception that somebody answers for: findings wholly within it are waived until a date."""

    rule: str
    """Whose findings; `cmek-auditor rules` lists all rules."""
    match: Match
    until: date = Field(lt=date(3000, 1, 1))
    """The last day (UTC) on which it counts; at most a year ahead."""
    owner: Name
    """Who answers for it."""
    approved_by: Name
    reason: Name

    def given(self) -> waiver.Waiver:
        """The same for the judge."""
        return waiver.Waiver(
            rule=self.rule,
            until=datetime.combine(self.until + timedelta(days=1), time(), UTC),
            owner=self.owner,
            approved_by=self.approved_by,
            reason=self.reason,
            **self.match.model_dump(),
        )


class Gcp(_Table):
    """Other endpoints than Google's own; http:// means plain and without credentials."""

    storage_endpoint: Endpoint | None = None
    kms_endpoint: Endpoint | None = None
    iam_endpoint: Endpoint | None = None
    logging_endpoint: Endpoint | None = None
    pubsub_endpoint: Endpoint | None = None
    monitoring_endpoint: Endpoint | None = None


class AuditLog(_Table):
    """Whether the clouds' audit logs are asked who did what a finding says."""

    attribute: StrictBool = True
    """Ask them, where there is such a finding and nobody is known yet."""


class Limits(_Table):
    """How hard the clouds are asked."""

    requests_per_second: float = Field(default=500, gt=0, le=10_000)
    """Requests a second and bucket."""
    streams: int | None = Field(default=None, ge=1, le=16)
    """Parts of one bucket that are listed at once; None: four from Amazon and Google themselves, else one."""
    reverify_days: int = Field(default=30, ge=0, le=365)
    """Days within which every version of S3 is HEADed again though it is listed as it was; 0: by every sweep."""
    kms_quota_share: float = Field(default=0.1, gt=0, le=1)
    """Share of the AWS KMS request quota that polls may use."""
    gcp_kms_quota_share: float = Field(default=0.5, gt=0, le=1)
    """Share of the Cloud KMS read quota that polls may use: that of one project and region, for all keys together."""


class Workers(_Table):
    """Who lists a large bucket together."""

    processes: int = Field(default=1, ge=1, le=256)
    """So many list at once, each at its part of requests_per_second; 1: the auditor itself lists."""
    dask: Annotated[str, AfterValidator(_scheduler)] | None = None
    """tls://HOST:PORT of the scheduler of a Dask cluster whose workers they are; None: they are of this machine."""
    tls_ca: Annotated[Path, BeforeValidator(_some_file)] | None = None
    """Who has signed the certificates of the cluster and of the auditor, a PEM file, relative to the config file."""
    tls_cert: Annotated[Path, BeforeValidator(_some_file)] | None = None
    """The auditor's own certificate there, a PEM file."""
    tls_key: Annotated[Path, BeforeValidator(_some_file)] | None = None
    """Its private key, a PEM file without a password."""

    @model_validator(mode="after")
    def _are_known_to_each_other(self) -> Self:
        files = {"tls_ca": self.tls_ca, "tls_cert": self.tls_cert, "tls_key": self.tls_key}
        if self.dask is None:
            if given := [name for name, file in files.items() if file is not None]:
                raise ValueError(f"{given[0]} belongs to dask; processes of this machine need none")
            return self
        if lacking := [name for name, file in files.items() if file is None]:
            raise ValueError(
                f"dask needs {lacking[0]} too: whoever reaches a cluster without TLS runs what he wants there"
            )
        if self.processes == 1:
            raise ValueError("dask needs processes: how many of its workers list at once, 2 or more")
        return self


class Sweeping(_Table):
    """What is asked of the clouds beside the buckets, when a sweep has ended."""

    cloud_counts: StrictBool = False
    """Ask the clouds' own metrics how many objects they count in each bucket, and compare."""


class Retention(_Table):
    """How long what sweeps wrote is kept."""

    snapshots: int = Field(default=3, ge=1, le=1_000)
    """The last so many of each bucket."""
    weekly_snapshots: int = Field(default=4, ge=0, le=520)
    """Beside them the first of each week, for so many weeks."""


ReportForm = Literal["html", "json", "csv", "ocsf", "oscal", "asff"]


class Report(_Table):
    """Which reports `[schedule] report` keeps."""

    formats: Annotated[tuple[ReportForm, ...], AfterValidator(_forms)] = ("html", "json", "csv")
    """As `report --as` names them."""
    keep: int = Field(default=60, ge=1, le=1_000)
    """The newest so many stay."""
    upload: Annotated[str, AfterValidator(_folder_url)] | None = None
    """s3://BUCKET/FOLDER or gs://BUCKET/FOLDER, where `serve` puts what it keeps as well; None: nowhere."""
    upload_region: Annotated[str, AfterValidator(_region)] | None = None
    """AWS Region of that bucket (S3 only)."""
    upload_account: str | None = None
    """Account id or project that it is written with; else the default identity."""

    security_hub: Annotated[str, AfterValidator(_product_arn)] | None = None
    """ARN of the integration of AWS Security Hub, its account's default one, that takes in what is told as ASFF."""

    @model_validator(mode="after")
    def _tells_security_hub(self) -> Self:
        if "asff" in self.formats and self.security_hub is None:
            raise ValueError(f"formats has asff, which needs security_hub; write it like {PRODUCT_EXAMPLE}")
        return self

    @model_validator(mode="after")
    def _uploads_somewhere(self) -> Self:
        if self.upload is None and (self.upload_region or self.upload_account):
            raise ValueError("upload_region and upload_account need upload")
        if self.upload_to("gs://") is not None and self.upload_region is not None:
            raise ValueError("upload_region is for S3 buckets only")
        return self

    def upload_to(self, scheme: str) -> str | None:
        """BUCKET or BUCKET/FOLDER where reports are put, if that is a bucket of this scheme."""
        if self.upload is None or not self.upload.startswith(scheme):
            return None
        return self.upload.removeprefix(scheme)


class Probe(_Table):
    """Whether keys are also tried, and how often; all off unless asked for."""

    reads: StrictBool = False
    """Read one byte of one object under each key version of each bucket."""
    dry_runs: StrictBool = False
    """AWS: ask KMS whether the caller, being the platform, may decrypt."""
    verify_connectivity: StrictBool = False
    """Google: let Cloud KMS try the EKM connections behind keys."""
    per_hour: int = Field(default=3600, ge=1, le=1_000_000)
    """Reads and dry runs together."""
    per_second: float = Field(default=1, ge=0.02, le=100)
    """The same, at most at once; at least one in 50 seconds, so that a round ends in its minute."""


ProtectionLevel = Literal["SOFTWARE", "HSM", "HSM_SINGLE_TENANT", "EXTERNAL", "EXTERNAL_VPC"]


class Thresholds(_Table):
    """`[policy]`: the thresholds of the rules."""

    horizon_days: float = Field(default=30, ge=0, le=36_500)
    """data-expiring: how far ahead a date counts."""
    sweep_max_age_hours: float = Field(default=24, gt=0, le=876_000)
    """sweep-stale."""
    min_coverage: float = Field(default=1.0, ge=0, le=1)
    """sweep-incomplete: the share of objects whose key must be known."""
    poll_max_age_minutes: float = Field(default=15, gt=0, le=525_600)
    """poll-stale."""
    feed_max_silence_minutes: float = Field(default=60, ge=1, le=525_600)
    """feed-silent: how long the service of a feed may give no answer."""
    propagation_minutes: float = Field(default=10, ge=0, le=525_600)
    """probe-disagrees: how long after a change a read may still find the old state."""
    confirm_missing_minutes: float = Field(default=5, ge=0, le=525_600)
    """How long an AWS key must stay unfound until it counts as gone."""
    rotation_period_days: float = Field(default=365, gt=0, le=36_500)
    """rotation-overdue: how old what new data is encrypted with may be."""
    stale_version_days: float = Field(default=365, ge=0, le=36_500)
    """stale-version: how old a replaced version may be that data is still under."""
    min_destroy_delay_days: float = Field(default=30, ge=0, le=120)
    """short-destroy-delay: how long a version must stay scheduled before it is destroyed."""
    quarantine_days: float = Field(default=14, ge=0, le=36_500)
    """retire: how long a version that holds nothing stays disabled before it is destroyed."""
    no_data_elsewhere: StrictBool = False
    """retire, bundle: buckets that no config names hold nothing under these keys; only who knows all can say so."""
    allowed_protection_levels: list[ProtectionLevel] = Field(default=[])
    """protection-level: the levels of Cloud KMS that versions may have; empty: every one."""

    def policy(self) -> Policy:
        """The same as the rules read it."""
        return Policy(
            horizon=timedelta(days=self.horizon_days),
            sweep_max_age=timedelta(hours=self.sweep_max_age_hours),
            min_coverage=self.min_coverage,
            poll_max_age=timedelta(minutes=self.poll_max_age_minutes),
            feed_max_silence=timedelta(minutes=self.feed_max_silence_minutes),
            propagation=timedelta(minutes=self.propagation_minutes),
            confirm_missing=timedelta(minutes=self.confirm_missing_minutes),
            rotation_period=timedelta(days=self.rotation_period_days),
            stale_version=timedelta(days=self.stale_version_days),
            min_destroy_delay=timedelta(days=self.min_destroy_delay_days),
            quarantine=timedelta(days=self.quarantine_days),
            no_data_elsewhere=self.no_data_elsewhere,
            allowed_protection_levels=frozenset(self.allowed_protection_levels),
        )


class Web(_Table):
    """Where the daemon answers, and whom."""

    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:9464"
    """Address and port; port 0 takes a free one. One beyond loopback needs TLS and a login."""
    tls_cert: Annotated[Path, BeforeValidator(_some_file)] | None = None
    """The certificate with its chain, a PEM file, relative to the config file."""
    tls_key: Annotated[Path, BeforeValidator(_some_file)] | None = None
    """Its private key, a PEM file without a password."""
    token_env: Annotated[str, AfterValidator(_token_variable)] | None = None
    """The name of the environment variable that holds a bearer token, which is never written down."""
    users_file: Annotated[Path, BeforeValidator(_some_file)] | None = None
    """Users and their hashed passwords, a line each, as `cmek-auditor password NAME` makes them."""
    hosts: Annotated[tuple[str, ...], AfterValidator(_hosts)] = ()
    """Names that requests may call it by; default: those of the certificate. On loopback, beside its own."""

    @model_validator(mode="after")
    def _is_closed(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            missing = "tls_key" if self.tls_key is None else "tls_cert"
            raise ValueError(f"{missing} is missing: TLS needs the certificate and its key")
        lacking = [
            *(["TLS (tls_cert, tls_key)"] if self.tls_cert is None else []),
            *(["a login (token_env, users_file)"] if not self.asks else []),
        ]
        if lacking and not self.is_local:
            raise ValueError(f"listen = {self.listen!r} is beyond loopback, and that needs {' and '.join(lacking)}")
        return self

    @property
    def host(self) -> str:
        """The address alone."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def is_local(self) -> bool:
        """Only this machine reaches it."""
        return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback

    @property
    def asks(self) -> bool:
        """Whoever reads has to log in."""
        return self.token_env is not None or self.users_file is not None


def _own_log(name: str) -> str:
    """What Cloud Logging calls a log: its id is letters, digits and `_-.`, with `/` as %2F."""
    if not _LOG_NAME.fullmatch(name):
        raise ValueError(f"{name!r} names no log; write projects/PROJECT/logs/NAME, with any / of NAME as %2F")
    if "googleapis.com" in name:
        raise ValueError(f"{name!r} is a log of Google's own services; name another one")
    return name


class Log(_Table):
    """How the daemon logs."""

    json_lines: bool = Field(default=False, alias="json")
    """One JSON object a line instead of plain text."""
    cloud_logging: Annotated[str, AfterValidator(_own_log)] | None = None
    """The log of Cloud Logging that `serve` writes what happens to as well: projects/PROJECT/logs/NAME."""

    @property
    def project(self) -> str | None:
        """Whose log that is."""
        return self.cloud_logging.split("/")[1] if self.cloud_logging is not None else None


def _database(url: str) -> str:
    """Not told in any error: whoever writes a password into it would find that in a log."""
    if not url.startswith("postgresql+psycopg://"):
        raise ValueError("names no PostgreSQL database; write postgresql+psycopg://USER@HOST:PORT/DATABASE")
    if urlsplit(url).password is not None or "password=" in url:
        raise ValueError("holds a password; give it as PGPASSWORD, or in a file as ~/.pgpass")
    return url


class Config(_Table):
    """The whole file."""

    state: Annotated[Path, BeforeValidator(_folder)] = Path("var")
    """Folder of the ledger and the inventory, relative to the config file."""
    ledger: Annotated[str, AfterValidator(_database)] | None = None
    """A PostgreSQL database for the ledger, which several machines may share; else a file in the folder of `state`."""
    inventory: Annotated[str, AfterValidator(_folder_url)] | None = None
    """s3://BUCKET/FOLDER or gs://BUCKET/FOLDER: what sweeps learnt is put there as well, for auditors elsewhere."""
    inventory_region: Annotated[str, AfterValidator(_region)] | None = None
    """AWS Region of that bucket (S3 only)."""
    inventory_account: str | None = None
    """Account id or project that it is read and written with; else the default identity."""
    schedule: Schedule = Schedule()
    account: tuple[Account, ...] = ()
    platform: Platform = Platform()
    bucket: tuple[Bucket, ...] = ()
    """Without any, data depends on keys as far as registries say so, and no object is seen (keys-only)."""
    registry: tuple[Registry, ...] = ()
    key: tuple[Key, ...] = ()
    gcp: Gcp = Gcp()
    audit_log: AuditLog = AuditLog()
    limits: Limits = Limits()
    workers: Workers = Workers()
    sweep: Sweeping = Sweeping()
    retention: Retention = Retention()
    report: Report = Report()
    probe: Probe = Probe()
    policy: Thresholds = Thresholds()
    waiver: tuple[Waiver, ...] = ()
    web: Web = Web()
    log: Log = Log()
    _file: str | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _names_are_told_apart(self) -> Self:
        shared = Counter(one.name for one in self.registry)
        for each in [one for one in self.registry if one.path is not None and shared[one.name] > 1]:
            each.tell_path()
        for what, names in (
            ("bucket url", [one.url for one in self.bucket]),
            ("key name", [one.name for one in self.key]),
            ("account", [one.id or one.project or "" for one in self.account]),
            ("feed", [one.feed for one in self.account if one.feed is not None]),
            ("registry", [one.name for one in self.registry]),
            ("waiver", [one.given().name for one in self.waiver]),
        ):
            twice = [name for name, count in Counter(names).items() if count > 1]
            if twice:
                raise ValueError(f"{what} {twice[0]!r} is given twice")
        if not (self.bucket or self.key or self.registry):
            raise ValueError("no bucket, no registry and no key is configured, so that there is nothing to audit")
        for one in self.bucket:
            field = "id" if one.url.startswith("s3://") else "project"
            if one.account is not None and one.account not in {getattr(each, field) for each in self.account}:
                raise ValueError(f"bucket {one.url} names account {one.account!r}, and no [[account]] has that {field}")
        for registry in self.registry:
            self._check(registry)
        if self.report.upload is not None:
            if self.schedule.report is None:
                what = "[report] upload puts what is kept somewhere else"
                raise ValueError(f"{what}, and [schedule] report keeps nothing")
            self._check_own("[report] upload", self.report.upload, self.report.upload_account)
        if self.inventory is not None:
            self._check_own("inventory", self.inventory, self.inventory_account)
            if not self.inventory.startswith("s3://") and self.inventory_region is not None:
                raise ValueError("inventory_region is for S3 buckets only")
        elif self.inventory_region or self.inventory_account:
            raise ValueError("inventory_region and inventory_account need inventory")
        return self

    def _check_own(self, what: str, url: str, account: str | None) -> None:
        """See that a folder of our own is in no bucket that is audited, and that an account is there.

        Raises:
            ValueError: it is not so.
        """
        bucket = "/".join(url.split("/")[:3])
        if bucket in {one.url for one in self.bucket}:
            raise ValueError(f"{what} is in {bucket}, whose data is audited; name a bucket of your own")
        field = "id" if bucket.startswith("s3://") else "project"
        if account not in {None, *(getattr(each, field) for each in self.account)}:
            raise ValueError(f"{what}_account is {account!r}, and no [[account]] has that {field}")

    def own_folders(self, scheme: str, *, copies: bool = False) -> frozenset[str]:
        """BUCKET/FOLDER of each place of this scheme that something is put into; `copies`: only what is read again."""
        every = (self.inventory, None if copies else self.report.upload)
        return frozenset(one.removeprefix(scheme) for one in every if one is not None and one.startswith(scheme))

    def _check(self, one: Registry) -> None:
        if one.kind == "bundle" and self.bucket:
            raise ValueError(
                f"registry {one.name} is an operator's bundle, which is for a config without [[bucket]]: what this one "
                "sees itself and what others say they saw are never in one judgement"
            )
        if not self.bucket:
            if one.fields:
                raise ValueError(f"registry {one.name} gives fields, which only the layout of a [[bucket]] has")
            return
        if one.kind == "turbopuffer" and one.bucket is None:
            raise ValueError(f'registry {one.name}: bucket is missing: kind = "turbopuffer" needs it')
        mine = [each for each in self.bucket if one.bucket in {None, each.url}]
        if not mine:
            raise ValueError(f"registry {one.name} names bucket {one.bucket}, and no [[bucket]] has that url")
        for each in mine:
            fields = Layout.parse(each.layout, each.tenant_field).fields
            if unknown := [name for name in one.fields if name not in fields]:
                raise ValueError(f"registry {one.name} gives field {unknown[0]!r}, which layout {each.layout} lacks")
            if bad := [value for value in one.fields.values() if not value or "/" in value]:
                raise ValueError(f"registry {one.name} gives {bad[0]!r}, which no field can be: it is empty or holds /")
            if one.kind == "turbopuffer":
                self._check_fields(one, each.layout, fields)

    def _check_fields(self, one: Registry, layout: str, fields: tuple[str, ...]) -> None:
        """The API gives one field, its id; the config all others."""
        if "namespace" not in fields:
            raise ValueError(
                f"registry {one.name}: layout {layout} has no field {{namespace}}, which its ids are; "
                "call the field so that turbopuffer's name of a namespace stands in"
            )
        if "namespace" in one.fields:
            raise ValueError(f"registry {one.name} gives field 'namespace', which its ids are")
        if lacking := [name for name in fields if name not in {*one.fields, "namespace"}]:
            raise ValueError(
                f"registry {one.name} does not give field {lacking[0]!r} of layout {layout}; "
                f'write fields = {{ {lacking[0]} = "..." }}'
            )

    @property
    def judging(self) -> Policy:
        """All that the rules are to demand."""
        return replace(self.policy.policy(), revoked=revoked((one.said for one in self.key), EACH_ITS_OWN))

    @property
    def digest(self) -> str:
        """SHA-256 of the settings in force, hexadecimal; the same settings give the same digest.

        Not of the file: defaults are in it, and comments are not. Waivers apart, which change nothing of what is read
        and judged: each judgement tells them in full.
        """
        told = self.model_dump(mode="json", exclude={"waiver"})
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def shared_out(self, workers: int) -> "Config":
        """The same for one of so many processes, which together ask no more of a bucket than one may."""
        rate = self.limits.requests_per_second / workers
        return self.model_copy(update={"limits": self.limits.model_copy(update={"requests_per_second": rate})})

    @property
    def places_digest(self) -> str:
        """SHA-256 of the settings that tell which buckets there are and whose lists are asked, hexadecimal."""
        places = {"account", "bucket", "gcp"}
        told = self.model_dump(mode="json", include=places)
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    @property
    def file_digest(self) -> str | None:
        """SHA-256 of the file as it was read, hexadecimal: `sha256sum` says the same of it; None of one made here."""
        return self._file

    def tell_file(self, content: bytes) -> None:
        """Know from now on which file it was read from."""
        self._file = hashlib.sha256(content).hexdigest()


def load(path: Path, *, again: bool = False) -> Config:
    """Read and check a config file; relative paths in it start at its folder.

    `again`: a daemon that works asks, and must never wait for whoever writes into a pipe.

    Raises:
        UsageError: the file is missing, unreadable, no TOML, or says something that cannot be.
    """
    try:
        content = _content(path, again=again)
        text = content.decode()
    except FileNotFoundError:
        raise UsageError(
            f"config file {path} does not exist", "write one after docs/auditor.example.toml, or name it with --config"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"config file {path} is not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"config file {path} cannot be read: {error.strerror}", "check its permissions") from None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"config file {path} is not TOML: {_one_line(str(error))}", "mend that line") from None
    except RecursionError:
        raise UsageError(f"config file {path} has tables too deep in one another", "is it this file?") from None
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise _refusal(path, error) from None
    config.tell_file(content)
    folder = _begins(path)
    registries = tuple(one.model_copy(update=_absolute(folder, one, ("path", "signer"))) for one in config.registry)
    buckets = tuple(one.model_copy(update=_absolute(folder, one, ("answer",))) for one in config.bucket)
    web = config.web.model_copy(update=_absolute(folder, config.web, ("tls_cert", "tls_key", "users_file")))
    workers = config.workers.model_copy(update=_absolute(folder, config.workers, ("tls_ca", "tls_cert", "tls_key")))
    state = folder / config.state
    return config.model_copy(
        update={"state": state, "bucket": buckets, "registry": registries, "web": web, "workers": workers}
    )


def _content(path: Path, *, again: bool) -> bytes:
    if again and not S_ISREG(path.stat().st_mode):
        raise UsageError(f"config file {path} is no file", "put one in its place")
    with path.open("rb") as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise UsageError(f"config file {path} is larger than 16 MiB", "is it this file?")
    return content


def _begins(path: Path) -> Path:
    """Where relative paths of the file start, by one name: by another, settings that are equal had another digest."""
    folder = path.parent.absolute()
    # A link that leads to it keeps its name: what is behind it may be another folder with each release.
    return folder.resolve() if ".." in folder.parts else folder


def _absolute(folder: Path, table: BaseModel, names: tuple[str, ...]) -> dict[str, Path]:
    """Those of these settings that are given, relative to the config file's folder."""
    given = ((name, getattr(table, name)) for name in names)
    return {name: folder / file for name, file in given if file is not None}


def _refusal(path: Path, error: ValidationError) -> UsageError:
    # A setting that is misspelt is missing as well: what nobody knows is told first.
    first, *others = sorted(_mistakes(error), key=lambda one: one["type"] != "extra_forbidden")
    setting = _setting(first["loc"])
    given = _one_line(shown(repr(first["input"]) if not isinstance(first["input"], date) else str(first["input"])))
    if _MAY_HOLD_SECRETS.intersection(first["loc"]):
        given = "what stands there"
    more = _and_more([_setting(one["loc"]) for one in others])
    match first["type"]:
        case "extra_forbidden":
            return UsageError(f"{path}: {setting}: there is no such setting{more}", meant(Config, first["loc"]))
        case "missing":
            return UsageError(f"{path}: {setting}: is missing{more}", "docs/auditor.example.toml shows every setting")
        case "value_error":
            told = _one_line(shown(str(first["ctx"]["error"])))
            return UsageError(f"{path}: {setting}: {told}{more}", "docs/auditor.example.toml shows every setting")
        case "tuple_type" if len(first["loc"]) == 1:
            return UsageError(f"{path}: {setting}: is a list of tables, not {given}{more}", f"write [[{setting}]]")
        case "tuple_type":
            return UsageError(f"{path}: {setting}: is a list, not {given}{more}", f"write {first['loc'][-1]} = [...]")
        case "model_type":
            return UsageError(f"{path}: {setting}: is one table, not {given}{more}", f"write [{setting}] once")
        case "date_from_datetime_inexact" | "date_from_datetime_parsing" | "date_parsing" | "date_type":
            hint = "write a day without a time, 2026-11-01"
            return UsageError(f"{path}: {setting}: is a day, not {given}{more}", hint)
        case _:
            return UsageError(f"{path}: {setting}: {first['msg'].lower()}, not {given}{more}", "mend the value")


def _mistakes(error: ValidationError) -> list[ErrorDetails]:
    """What is really wrong: a list that is too short only because its entries were refused is not."""
    found = error.errors(include_url=False)
    lists = {one["loc"][:depth] for one in found for depth in range(len(one["loc"]))}
    return [one for one in found if one["type"] != "too_short" or one["loc"] not in lists]


def _and_more(settings: list[str]) -> str:
    if not settings:
        return ""
    named = [*settings[:_NAMED], *(["..."] if len(settings) > _NAMED else [])]
    return f" (and {len(settings)} more: {', '.join(named)})"


def _setting(where: tuple[int | str, ...]) -> str:
    told = ""
    for step in where:
        told += f"[{step + 1}]" if isinstance(step, int) else f".{step}" if told else str(step)
    return _one_line(told) or "file"


def _one_line(text: str) -> str:
    """Keep hostile text on one line and short."""
    line = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    return line if len(line) <= 200 else f"{line[:200]}..."  # noqa: PLR2004 - one terminal line or two
