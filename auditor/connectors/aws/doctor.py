"""One harmless request for each permission that buckets and keys of AWS are read with."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from auditor.checkup import Answer, Check, Choosing, Question, Round, Told
from auditor.connectors.aws.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.aws.keys import WITH_MATERIAL, is_rotated, parse_key
from auditor.connectors.aws.probes import AwsProbes
from auditor.connectors.aws.session import AwsClients
from auditor.errors import UsageError
from auditor.model import NO_RIGHT, Cloud, KeyName, Probe, ProbeOutcome, Reason, Sample

_NOWHERE: Final = "a name that cmek-auditor asks for and nobody uses"
_NOT_THERE: Final = frozenset({"404", "405"})
_BARE: Final = "400"
_CANNOT: Final = "UnsupportedOperationException"
_OF_KEY: Final = "kms:GetKeyPolicy"


@dataclass(frozen=True, slots=True)
class S3Place:
    """One bucket, and how it is read."""

    url: str
    region: str | None
    account: str | None
    live_only: bool

    @property
    def name(self) -> str:
        """The bucket's own name."""
        return self.url.removeprefix("s3://")

    @property
    def listing(self) -> str:
        """The permission that a sweep lists with."""
        return "s3:ListBucket" if self.live_only else "s3:ListBucketVersions"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of it the config has switched on."""

    principals: tuple[str, ...]
    reads: bool
    dry_runs: bool


@dataclass(slots=True)
class _Seen:
    """What earlier rounds were told of one bucket."""

    name: str | None = None
    version: str | None = None
    listed: bool = False
    key: str | None = None
    default_key: str | None = None

    def named(self) -> Iterator[KeyName]:
        """Keys that an object or the bucket names in full."""
        for text in (self.key, self.default_key):
            try:
                if text:
                    yield KeyName.parse(text)
            except ValueError:
                continue


@dataclass(slots=True)
class AwsDoctor:
    """`checkup.Doctor`; makes one request, or asks for one page, for each permission."""

    clients: AwsClients
    buckets: tuple[S3Place, ...]
    roles: Mapping[str, str | None]
    """Account of the config -> the role that is assumed for it."""
    wanted: Wanted
    prober: AwsProbes
    choose: Choosing
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _described: dict[KeyName, Mapping[str, Any]] = field(default_factory=dict)

    def rounds(self, keys: Iterable[KeyName]) -> Iterator[Round]:
        """Yield credentials and buckets, then objects, then keys, then what hangs on the kind of each key."""
        self._seen = {one.url: _Seen() for one in self.buckets}
        accounts = sorted({one.account for one in self.buckets}.union(self.roles), key=lambda one: one or "")
        lists = sorted({one.account for one in self.buckets}, key=lambda one: one or "")
        yield [
            *(self._identity(one) for one in accounts),
            *(one for place in self.buckets for one in self._of_bucket(place)),
            *(self._all_buckets(one) for one in lists),
        ]
        yield [one for place in self.buckets for one in self._of_object(place)]
        found = {one for seen in self._seen.values() for one in seen.named()}
        chosen, told = self.choose({one for one in {*keys, *found} if one.cloud is Cloud.AWS})
        yield [*told, *(self._describe(one) for one in chosen)]
        yield [one for name in chosen for one in self._of_key(name)] + list(self._stores(chosen))

    # Credentials

    def _identity(self, account: str | None) -> Question:
        role = self.roles.get(account or "")

        def ask() -> Told:
            found = self.clients.caller(account)
            if isinstance(found, Reason):
                refused = role is not None and found is Reason.EXPIRED_CREDENTIALS
                return Told(
                    found,
                    f"cannot become {role}" if refused else "no identity could be learnt",
                    f"let the auditor's own identity assume {role}, by the role's trust policy and by its own"
                    if refused
                    else hint_for(found, "sts:GetCallerIdentity"),
                    Answer.MISSING if found is Reason.EXPIRED_CREDENTIALS else None,
                )
            if account is not None and account in self.roles and found[0] != account:
                return Told(
                    None,
                    f"{found[1]} is of another account",
                    f"give [[account]] {account} a role_arn or profile of that account",
                    Answer.MISSING,
                )
            return Told(None, found[1])

        what = f"become {role}" if role else "credentials"
        return Question(_group(account), what, ask, "sts:AssumeRole" if role else None, self._endpoint("sts", account))

    # Buckets

    def _of_bucket(self, place: S3Place) -> Iterator[Question]:
        seen, bucket = self._seen[place.url], {"Bucket": place.name}

        def question(what: str, permission: str, ask: Callable[[Any], str | Told]) -> Question:
            client = self._s3(place)
            return Question(
                _group(place.account),
                f"{place.url}: {what}",
                lambda: _tried(lambda: ask(client()), permission),
                permission,
                self._endpoint("s3", place.account, place.region),
            )

        def head(client: Any) -> str | Told:
            told = client.head_bucket(**bucket)
            region = told.get("BucketRegion") or told["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
            if region and place.region not in {None, region}:
                text = f"it is in {region}, and the config says {place.region}"
                return Told(None, text, f"set its `region` to {region}", Answer.MISSING)
            return f"in {region}" if region else "there"

        def encryption(client: Any) -> str:
            for rule in client.get_bucket_encryption(**bucket)["ServerSideEncryptionConfiguration"]["Rules"]:
                seen.default_key = rule.get("ApplyServerSideEncryptionByDefault", {}).get("KMSMasterKeyID")
            return f"default key {seen.default_key}" if seen.default_key else "no default key of a customer"

        def listed(client: Any) -> str:
            if place.live_only:
                rows = client.list_objects_v2(**bucket, MaxKeys=1).get("Contents", [])
            else:
                # Delete markers may come first, and cannot be asked anything.
                rows = client.list_object_versions(**bucket, MaxKeys=20).get("Versions", [])
            seen.listed = True
            if rows:
                seen.name, seen.version = rows[0]["Key"], rows[0].get("VersionId")
            return "answered" if rows else "answered; no object was seen"

        def uploads(client: Any) -> str:
            client.list_multipart_uploads(**bucket, MaxUploads=1)
            return "answered"

        yield question("list", place.listing, listed)
        yield question("is there", "s3:ListBucket", head)
        versioning = "s3:GetBucketVersioning"
        yield question(
            "versioning", versioning, lambda one: one.get_bucket_versioning(**bucket).get("Status") or "never had it"
        )
        yield question("default encryption", "s3:GetEncryptionConfiguration", encryption)
        yield question("unfinished uploads", "s3:ListBucketMultipartUploads", uploads)

    def _of_object(self, place: S3Place) -> Iterator[Question | Check]:
        seen = self._seen[place.url]
        permission = "s3:GetObject" if place.live_only else "s3:GetObjectVersion"
        asked = {"Bucket": place.name, "Key": seen.name or _NOWHERE}
        if not place.live_only:
            asked["VersionId"] = seen.version or "null"

        def ask() -> Told:
            try:
                told = self._s3(place)().head_object(**asked)
                seen.key = told.get("SSEKMSKeyId")
            except FAULTS as error:
                code = code_of(error)
                if code in _NOT_THERE:
                    return Told(None, "answered: there is no such object")
                if code == _BARE and seen.listed:
                    return Told(None, "answered as of data under its writer's own key")
                if code == "403" and seen.name is None:
                    text = "refused, of a name that is not there: without s3:ListBucket that says nothing"
                    return Told(Reason.ACCESS_DENIED, text, "grant what the listing needs, and ask again", None)
                return _not_told(error, permission)
            return Told(None, f"under {seen.key}" if seen.key else "answered")

        endpoint = self._endpoint("s3", place.account, place.region)
        group = _group(place.account)
        yield Question(group, f"{place.url}: HEAD of one object", ask, permission, endpoint)
        if not self.wanted.reads:
            yield Check(group, f"{place.url}: read one byte", Answer.OFF, "[probe] reads is off", "kms:Decrypt")
            return
        yield Question(
            group, f"{place.url}: read one byte", lambda: self._read_byte(place, seen), "kms:Decrypt", endpoint
        )

    def _read_byte(self, place: S3Place, seen: _Seen) -> Told:
        if seen.name is None:
            return Told(Reason.NOT_VISIBLE, "no object was seen that could be read")
        key = next((one.text for one in seen.named() if one.text == seen.key), _SOME_KEY)
        return _of_probe(self.prober.read(Sample(place.url, key, None, seen.name, seen.version), ()))

    def _all_buckets(self, account: str | None) -> Question:
        permission = "s3:ListAllMyBuckets"

        def ask() -> str:
            self.clients.s3(None, account).list_buckets(MaxBuckets=1)
            return "answered"

        endpoint = self._endpoint("s3", account)
        return Question(_group(account), "list of all buckets", lambda: _tried(ask, permission), permission, endpoint)

    # Keys

    def _describe(self, name: KeyName) -> Question:
        def ask() -> Told:
            try:
                told = self._kms(name).describe_key(KeyId=name.text)["KeyMetadata"]
            except FAULTS as error:
                found = _not_told(error, "kms:DescribeKey")
                if found.reason is Reason.ACCESS_DENIED:
                    return Told(found.reason, f"{found.text}; a key that is not there is refused alike", _OWNER)
                if found.reason is Reason.NOT_FOUND:
                    # In its own account whoever is told so was let ask; in others nobody is told the truth.
                    if self._is_ours(name):
                        return Told(None, "answered: there is no such key")
                    return Told(Reason.NOT_VISIBLE, f"{found.text}: only the key's own account can tell", _OWNER)
                return found
            self._described[name] = parse_key(name, told) | {"store": told.get("CustomKeyStoreId")}
            return Told(None, str(told.get("KeyState", "")))

        return self._question(name, "state", "kms:DescribeKey", ask)

    def _of_key(self, name: KeyName) -> Iterator[Question | Check]:
        """What a poll asks beside the state; all of it where the state was refused, so that nothing comes up later."""
        key = self._described.get(name)
        if key is not None and key["manager"] == "provider":
            return
        rotated = key is None or is_rotated(key)
        ours = self._is_ours(name)
        wanted = {
            _OF_KEY: lambda: self._kms(name).get_key_policy(KeyId=name.text, PolicyName="default"),
            "kms:ListGrants": lambda: self._kms(name).list_grants(KeyId=name.text, Limit=1),
            "kms:ListKeyRotations": lambda: self._kms(name).list_key_rotations(KeyId=name.text, Limit=1),
            "kms:GetKeyRotationStatus": lambda: self._kms(name).get_key_rotation_status(KeyId=name.text),
        }
        imported = key is not None and key["origin"] == "EXTERNAL" and key["state"] in WITH_MATERIAL
        for permission, call in wanted.items():
            what = _KINDS[permission]
            if permission == "kms:ListGrants" and not self.wanted.principals:
                yield self._off(name, what, permission, "[platform] aws_principals names nobody")
            elif permission == "kms:ListKeyRotations" and not (rotated or imported):
                yield self._off(name, what, permission, "AWS does not rotate this key")
            elif permission == "kms:GetKeyRotationStatus" and (not rotated or not ours):
                why = "the key's account may show it to others or not" if rotated else "AWS does not rotate this key"
                yield self._off(name, what, permission, why)
            elif not ours:
                yield self._of_another(name, what, permission)
            else:
                yield self._question(name, what, permission, partial(_may, call, permission))
        yield self._dry_run(name)

    def _is_ours(self, name: KeyName) -> bool:
        """Whether the identity is of the key's account; one that cannot be told is let try."""
        caller = self.clients.caller(name.owner)
        return isinstance(caller, Reason) or caller[0] == name.owner

    def _dry_run(self, name: KeyName) -> Question | Check:
        if not self.wanted.dry_runs:
            return self._off(name, "dry run", "kms:Decrypt", "[probe] dry_runs is off")

        def ask() -> Told:
            bucket = next(iter(self._seen), "s3://none")
            found = self.prober.dry_run(bucket, name, self.wanted.principals)
            if found is None:
                return Told(Reason.NOT_VISIBLE, "nobody could be asked about: name [platform] aws_principals")
            return _of_probe(found)

        return self._question(name, "dry run", "kms:Decrypt", ask)

    def _of_another(self, name: KeyName, what: str, permission: str, *, judged: bool = False) -> Check:
        """Nobody of another account is ever answered; `judged`: a verdict hangs on it in any case."""
        text = f"nobody of another account than {name.owner} may ask"
        if not (judged or self.wanted.principals):
            return self._off(name, what, permission, f"{text}, and [platform] aws_principals asks for no verdict on it")
        todo = f"give [[account]] {name.owner} a role there, with the policy of `cmek-auditor doctor --grants aws`"
        group = _group(name.owner)
        return Check(group, f"{name.text}: {what}", Answer.MISSING, text, permission, Reason.NOT_VISIBLE, todo=todo)

    def _stores(self, chosen: Iterable[KeyName]) -> Iterator[Question | Check]:
        permission = "kms:DescribeCustomKeyStores"
        stored: dict[tuple[str, str], KeyName] = {}
        places = {}
        for name in chosen:
            places[name.owner, name.location] = name
            if self._described.get(name, {}).get("store"):
                stored[name.owner, name.location] = name
        for place, name in sorted(places.items()):
            what = f"custom key stores in {name.location}"
            if place not in stored:
                told = "no key that was asked is in one"
                yield Check(_group(name.owner), what, Answer.OFF, told, permission)
                continue
            if not self._is_ours(name):
                yield self._of_another(stored[place], "custom key store", permission, judged=True)
                continue

            def ask(name: KeyName = name) -> Told:
                return _may(lambda: self._kms(name).describe_custom_key_stores(Limit=1), permission)

            endpoint = self._endpoint("kms", name.owner, name.location)
            yield Question(_group(name.owner), what, ask, permission, endpoint)

    def _question(self, name: KeyName, what: str, permission: str, ask: Callable[[], Told]) -> Question:
        endpoint = self._endpoint("kms", name.owner, name.location)
        return Question(_group(name.owner), f"{name.text}: {what}", ask, permission, endpoint)

    def _off(self, name: KeyName, what: str, permission: str, why: str) -> Check:
        return Check(_group(name.owner), f"{name.text}: {what}", Answer.OFF, why, permission)

    # Clients

    def _kms(self, name: KeyName) -> Any:
        return self.clients.kms(name.location, name.owner)

    def _s3(self, place: S3Place) -> Callable[[], Any]:
        return lambda: self.clients.s3(place.region, place.account)

    def _endpoint(self, service: str, account: str | None, region: str | None = None) -> str:
        try:
            return self.clients.endpoint(service, region, account)
        except (*FAULTS, UsageError):
            return service  # whoever asks is told so


_SOME_KEY: Final = "arn:aws:kms:us-east-1:000000000000:key/none"
"""A probe names a key, whatever the object is under."""
_OWNER: Final = (
    "the key's owner lets the auditor: `cmek-auditor doctor --grants aws` prints the policy, and the statement that a "
    "key of another account needs"
)
_KINDS: Final = {
    _OF_KEY: "policy",
    "kms:ListGrants": "grants",
    "kms:ListKeyRotations": "rotations",
    "kms:GetKeyRotationStatus": "rotation",
}


def _group(account: str | None) -> str:
    return f"AWS account {account}" if account else "AWS, default identity"


def _tried(ask: Callable[[], str | Told], permission: str) -> Told:
    try:
        found = ask()
    except FAULTS as error:
        if code_of(error) == "ServerSideEncryptionConfigurationNotFoundError":
            return Told(None, "no default key of a customer")
        return _not_told(error, permission)
    return found if isinstance(found, Told) else Told(None, found)


def _may(call: Callable[[], object], permission: str) -> Told:
    try:
        call()
    except FAULTS as error:
        if code_of(error) == _CANNOT:
            return Told(None, "answered: keys of this kind have none")
        return _not_told(error, permission)
    return Told(None, "answered")


def _not_told(error: Exception, permission: str) -> Told:
    reason = reason_of(error)
    return Told(reason, code_of(error), hint_for(reason, permission))


def _of_probe(found: Probe) -> Told:
    if found.outcome is ProbeOutcome.PASSED:
        return Told(None, "passed")
    if found.code == NO_RIGHT:
        return Told(Reason.ACCESS_DENIED, "refused for want of the right", "docs/permissions.md tells what probes need")
    text = f"{found.code}: what stops it is not the auditor's right"
    return Told(found.reason or Reason.UNSUPPORTED, text, "look at the key", Answer.UNKNOWN)
