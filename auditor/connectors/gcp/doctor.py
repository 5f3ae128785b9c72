"""One harmless request for each permission that buckets and keys of Google Cloud are read with."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

from google.cloud.storage.retry import DEFAULT_RETRY

from auditor.checkup import Answer, Check, Choosing, Gone, Question, Round, Told, hears_of_none
from auditor.connectors.gcp.calls import KmsCalls
from auditor.connectors.gcp.counts import PERMISSION as COUNT
from auditor.connectors.gcp.counts import GcsCounts
from auditor.connectors.gcp.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.gcp.feed import PERMISSION, PubSubFeed
from auditor.connectors.gcp.probes import GcpProbes
from auditor.connectors.gcp.session import GcpClients
from auditor.errors import CollectError, UsageError
from auditor.model import NO_RIGHT, SINGLE_TENANT, Cloud, KeyName, ProbeOutcome, Reason, Sample, split_version

_TIMEOUT: Final = 5
_RETRY: Final = DEFAULT_RETRY.with_timeout(5.0)
_LOOKING: Final = "pubsub.subscriptions.get"
_DEADLINE: Final = 60
"""Seconds that a message may take until it is acknowledged, at least: a poll comes in between."""
_LIST: Final = "cloudkms.cryptoKeyVersions.list"


@dataclass(frozen=True, slots=True)
class GcsPlace:
    """One bucket, and how it is read."""

    url: str
    project: str | None
    live_only: bool

    @property
    def name(self) -> str:
        """The bucket's own name."""
        return self.url.removeprefix("gs://")


@dataclass(slots=True)
class _Seen:
    """What earlier rounds were told of one bucket."""

    project: str | None = None
    sample: Sample | None = None
    keys: set[KeyName] = field(default_factory=set)


@dataclass(slots=True)
class _Kind:
    """What a key told of itself."""

    read: bool = False
    is_gone: bool = False
    backend: str = ""
    levels: set[str] = field(default_factory=set)
    """Protection levels of its primary version, and of one other."""
    connection: str = ""

    def look(self, version: Any) -> None:
        """Keep what a version tells of what stands behind it."""
        self.levels.add(getattr(version.protection_level, "name", ""))
        self.connection = self.connection or version.external_protection_level_options.ekm_connection_backend_override


@dataclass(slots=True)
class GcpDoctor:
    """`checkup.Doctor`; makes one request, or asks for one entry of a list, for each permission."""

    clients: GcpClients
    calls: KmsCalls
    buckets: tuple[GcsPlace, ...]
    projects: tuple[str, ...]
    """Those whose buckets are counted."""
    reads: bool
    verify_connectivity: bool
    no_log: str | None
    """Why nobody asks who changed keys; None: somebody does."""
    prober: GcpProbes
    choose: Choosing
    gone: Gone
    own_log: str | None = None
    """The log that the config names for what happens."""
    feeds: tuple[tuple[str, str], ...] = ()
    """(name, project whose identity hears it)."""
    counting: Callable[[], datetime] | None = None
    """The clock, where the cloud is asked for its own counts."""
    _seen: dict[str, _Seen] = field(default_factory=dict)
    _kinds: dict[KeyName, _Kind] = field(default_factory=dict)

    def rounds(self, keys: Iterable[KeyName]) -> Iterator[Round]:
        """Yield credentials and buckets, then who owns them, then keys, then what stands behind each key."""
        self._seen = {one.url: _Seen(one.project) for one in self.buckets}
        named = sorted({one.project for one in self.buckets}, key=lambda one: one or "")
        known = {one for one in keys if one.cloud is Cloud.GCP}
        yield [
            *(self._identity(one) for one in named),
            *(one for place in self.buckets for one in self._of_bucket(place)),
            *self._all_buckets(),
            *self._own_log(),
            *(self._of_feed(name, project, known) for name, project in self.feeds),
            *(self._of_deadline(name, project) for name, project in self.feeds if "/subscriptions/" in name),
        ]
        yield [one for place in self.buckets for one in self._of_owner(place)]
        found = {one for seen in self._seen.values() for one in seen.keys}
        chosen, told = self.choose(known | found)
        self._kinds = {one: _Kind() for one in chosen}
        yield [*told, *(one for name in chosen for one in self._of_key(name)), *self._of_places(chosen)]
        yield [one for name in chosen for one in self._behind(name)]

    # Buckets

    def _identity(self, project: str | None) -> Question:
        def ask() -> Told:
            if self.clients.at("storage").startswith("http://"):
                return Told(None, "none: a plain http endpoint is asked without")
            try:
                return Told(None, self.clients.email(project) or "found; they do not tell whose they are")
            except UsageError as error:
                return Told(Reason.EXPIRED_CREDENTIALS, str(error), error.hint or "", Answer.MISSING)

        return Question(_group(project), "credentials", ask)

    def _of_bucket(self, place: GcsPlace) -> Iterator[Question]:
        seen = self._seen[place.url]

        def question(what: str, permission: str, ask: Callable[[], str]) -> Question:
            return self._question(place.project, f"{place.url}: {what}", permission, ask)

        def listed() -> str:
            client = self.clients.storage(place.project)
            more: dict[str, Any] = {} if place.live_only else {"versions": True}
            found = client.list_blobs(place.name, max_results=1, timeout=_TIMEOUT, retry=_RETRY, **more)
            for one in next(iter(found.pages), ()):
                if one.kms_key_name:
                    key, version = split_version(one.kms_key_name)
                    seen.keys.add(key)
                    seen.sample = Sample(place.url, key.text, version, one.name, str(one.generation))
                return f"under {one.kms_key_name}" if one.kms_key_name else "answered"
            return "answered; no object was seen"

        def settings() -> str:
            bucket = self.clients.storage(place.project).get_bucket(place.name, timeout=_TIMEOUT, retry=_RETRY)
            seen.project = str(bucket.project_number)
            if bucket.default_kms_key_name:
                seen.keys.add(split_version(bucket.default_kms_key_name)[0])
            seconds = bucket.soft_delete_policy.retention_duration_seconds or 0
            kept = f"keeps what is deleted for {seconds // 86400} days" if seconds else "keeps nothing that is deleted"
            return f"in {str(bucket.location).lower()}, {kept}"

        def uploads() -> str:
            self.clients.some_uploads(place.project, place.name)
            return "answered"

        yield question("list", "storage.objects.list", listed)
        yield question("settings", "storage.buckets.get", settings)
        yield question("unfinished uploads", "storage.multipartUploads.list", uploads)

    def _of_owner(self, place: GcsPlace) -> Iterator[Question | Check]:
        seen, group = self._seen[place.url], _group(place.project)
        what, permission = f"{place.url}: its storage service agent", "resourcemanager.projects.get"
        if seen.project is None:
            told = "whose bucket it is was not told, and the config names no project"
            yield Check(group, what, Answer.UNKNOWN, told, permission, Reason.NOT_VISIBLE)
        else:

            def agent() -> str:
                client = self.clients.storage(place.project)
                told = client.get_service_account_email(project=seen.project, timeout=_TIMEOUT, retry=_RETRY)
                return str(told)

            yield self._question(place.project, what, permission, agent)
        yield self._count(place, seen.project)
        what, permission = f"{place.url}: read one byte", "storage.objects.get"
        if not self.reads:
            yield Check(group, what, Answer.OFF, "[probe] reads is off", permission)
        else:
            yield Question(group, what, lambda: self._read_byte(seen), permission, self.clients.at("storage"))

    def _count(self, place: GcsPlace, project: str | None) -> Question | Check:
        group, what = _group(place.project), f"{place.url}: the cloud's own count"
        if self.counting is None:
            return Check(group, what, Answer.OFF, "[sweep] cloud_counts is off", COUNT)
        if project is None:
            told = "whose bucket it is was not told, and the config names no project"
            return Check(group, what, Answer.UNKNOWN, told, COUNT, Reason.NOT_VISIBLE)
        counts = GcsCounts(partial(self.clients.time_series, place.project), place.url, self.counting)

        def ask() -> str:
            return "answered" if counts.ask(project).total is not None else "answered: there is no value yet"

        return self._question(place.project, what, COUNT, ask, "monitoring")

    def _read_byte(self, seen: _Seen) -> Told:
        if seen.sample is None:
            return Told(Reason.NOT_VISIBLE, "no object under a customer's key was seen that could be read")
        found = self.prober.read(seen.sample, ())
        if found.outcome is ProbeOutcome.PASSED:
            return Told(None, "passed")
        if found.code == NO_RIGHT or found.reason is None:
            return Told(None, f"{found.code}: the auditor was let read, and the key stopped it")
        return Told(found.reason, found.code, hint_for(found.reason, "storage.objects.get"))

    def _all_buckets(self) -> Iterator[Question | Check]:
        permission = "storage.buckets.list"
        if self.buckets and not self.projects:
            told = "the config names no project"
            todo = "add an [[account]] with the project of the buckets"
            group = _group(None)
            yield Check(group, "list of all buckets", Answer.UNKNOWN, told, permission, Reason.UNSUPPORTED, todo=todo)
        for project in self.projects:

            def ask(project: str = project) -> str:
                client = self.clients.storage(project)
                next(iter(client.list_buckets(project=project, max_results=1, timeout=_TIMEOUT, retry=_RETRY).pages), 0)
                return "answered"

            yield self._question(project, "list of all buckets", permission, ask)

    # Keys

    def _of_key(self, name: KeyName) -> Iterator[Question]:
        kind = self._kinds[name]

        def state() -> str | Told:
            client = self.clients.keys(name.owner)
            try:
                key: Any = self.calls.call("GetCryptoKey", client.get_crypto_key, {"name": name.text})
            except FAULTS as error:
                kind.is_gone = reason_of(error) is Reason.NOT_FOUND
                if kind.is_gone:
                    return self.gone(name)
                raise
            kind.read, kind.backend = True, key.crypto_key_backend
            kind.look(key.primary)
            return "answered"

        def versions() -> str:
            client = self.clients.keys(name.owner)
            request = {"parent": name.text, "page_size": 1}
            page: Any = self.calls.call("ListCryptoKeyVersions", client.list_crypto_key_versions, request)
            for one in next(iter(page.pages)).crypto_key_versions:
                kind.look(one)
            return "answered"

        yield self._kms(name, f"{name.text}: state", "cloudkms.cryptoKeys.get", state)
        yield self._kms(name, f"{name.text}: versions", _LIST, versions)
        what = f"{name.text}: IAM policy"
        yield self._kms(name, what, "cloudkms.cryptoKeys.getIamPolicy", partial(self._policy, name, name.text))

    def _of_places(self, chosen: Iterable[KeyName]) -> Iterator[Question | Check]:
        """What many keys have in common: rings, locations, projects."""
        rings = {one.ring: one for one in chosen}
        for ring, name in sorted(rings.items()):
            what = f"{ring}: IAM policy"
            permission = "cloudkms.keyRings.getIamPolicy"
            yield self._kms(name, what, permission, partial(self._policy, name, ring))
            yield self._kms(name, f"{ring}: keys", "cloudkms.cryptoKeys.list", partial(self._keys, name))
        for (_, location), name in sorted({(one.owner, one.location): one for one in chosen}.items()):
            what = f"deleted keys in {location}"
            yield self._kms(name, what, "cloudkms.retiredResources.list", partial(self._retired, name))
        for project in sorted({one.owner for one in chosen}):
            yield from self._of_name(project)

            def ask(project: str = project) -> str:
                self.clients.project_policy(project)
                return "answered"

            yield self._question(project, "IAM policy", "resourcemanager.projects.getIamPolicy", ask, "iam")
            yield self._log(project)

    def _of_name(self, project: str) -> Iterator[Check]:
        """Whether a project that keys name otherwise than the config is asked as the config means."""
        if others := self.clients.may_be_called(project):
            told = (
                "no [[account]] has this name: its keys are asked with the default identity, also if it is "
                f"{' or '.join(others)}, which has another; which number is whose nobody tells"
            )
            todo = (
                f'if it is, add an [[account]] with project = "{project}" and the same settings; else one with it alone'
            )
            yield Check(_group(project), "identity", Answer.UNKNOWN, told, None, Reason.UNSUPPORTED, todo=todo)

    def _log(self, project: str) -> Question | Check:
        what, permission = "who changed keys", "logging.logEntries.list"
        if self.no_log is not None:
            return Check(_group(project), what, Answer.OFF, self.no_log, permission)

        return self._question(project, what, permission, lambda: self._no_entries(project), "logging")

    def _of_feed(self, name: str, project: str, known: Collection[KeyName]) -> Question:
        is_log = "/subscriptions/" not in name

        def ask() -> str | Told:
            none = hears_of_none(known, project)
            if is_log:
                told = self._no_entries(project)
                return told if isinstance(told, Told) else told + none
            try:
                is_there = PubSubFeed(self.clients, name, project).waits()
            except CollectError as error:
                return Told(error.reason, str(error), error.hint or "")
            return f"answered{'; a message waits' if is_there else ''}{none}"

        permission, service = ("logging.logEntries.list", "logging") if is_log else (PERMISSION, "pubsub")
        return self._question(project, f"feed {name}", permission, ask, service)

    def _of_deadline(self, name: str, project: str) -> Question:
        """Whether messages come again before a poll of keys can have ended, after which they are acknowledged."""

        def ask() -> str | Told:
            try:
                seconds = PubSubFeed(self.clients, name, project).deadline()
            except CollectError as error:
                if error.reason is Reason.ACCESS_DENIED:
                    # Hearing does not need it: who leaves it out has to look by themselves.
                    told = f"may not be looked at without {_LOOKING}: it should be {_DEADLINE} s or more"
                    return Told(None, told, answer=Answer.OFF)
                return Told(error.reason, str(error), error.hint or "")
            if seconds is None:
                return Told(Reason.NOT_VISIBLE, "Pub/Sub does not say it", f"see that it is {_DEADLINE} s or more")
            told = f"{seconds} s"
            if seconds >= _DEADLINE:
                return told
            return Told(
                None,
                f"{told}: what is not acknowledged by then comes again, while its keys are still read for the first",
                f"gcloud pubsub subscriptions update {name} --ack-deadline={_DEADLINE}",
                Answer.MISSING,
            )

        return self._question(project, f"feed {name}: acknowledgement deadline", _LOOKING, ask, "pubsub")

    def _no_entries(self, project: str) -> str | Told:
        """Ask for entries of a time in which there are none: whoever may not ask is refused all the same."""
        try:
            self.clients.log_entries(project, {"filter": 'timestamp<="1971-01-01T00:00:00Z"', "pageSize": 1})
        except ImportError:
            todo = "pip install 'cmek-auditor[logging]'"
            return Told(Reason.UNSUPPORTED, "google-cloud-logging is not installed", todo, Answer.MISSING)
        return "answered"

    def _own_log(self) -> Iterator[Question]:
        """Whether the own log may be written; nothing is written for it."""
        if self.own_log is None:
            return
        project, permission = self.own_log.split("/")[1], "logging.logEntries.create"

        def ask() -> str | Told:
            if self.clients.has(project, permission):
                return "answered: it may be written"
            todo = f"grant {permission}: `cmek-auditor doctor --grants gcp` prints how"
            return Told(Reason.ACCESS_DENIED, "may not be written", todo, Answer.MISSING)

        yield self._question(project, f"own log {self.own_log}", permission, ask, "iam")

    def _behind(self, name: KeyName) -> Iterator[Question | Check]:
        kind, group = self._kinds[name], _group(name.owner)
        if kind.is_gone:
            return
        what, permission = f"{name.text}: its single-tenant HSM", "cloudkms.singleTenantHsmInstances.get"
        if not kind.read:
            told = "on which it is was not told"
            yield Check(
                group, what, Answer.UNKNOWN, told, permission, Reason.NOT_VISIBLE, todo="grant what the state needs"
            )
        elif SINGLE_TENANT in kind.levels and kind.backend:

            def instance() -> str:
                client = self.clients.hsm(name.owner)
                request = {"name": kind.backend}
                self.calls.call("GetSingleTenantHsmInstance", client.get_single_tenant_hsm_instance, request)
                return "answered"

            yield self._kms(name, what, permission, instance)
        else:
            yield Check(group, what, Answer.OFF, "it is on none", permission)
        what, permission = f"{name.text}: its EKM connection", "cloudkms.ekmConnections.verifyConnectivity"
        connection = kind.connection or kind.backend
        if not self.verify_connectivity or "EXTERNAL_VPC" not in kind.levels or not connection:
            why = "it has none" if self.verify_connectivity else "[probe] verify_connectivity is off"
            yield Check(group, what, Answer.OFF, why, permission)
            return

        def verify() -> Told:
            client = self.clients.ekm(name.owner)
            try:
                self.calls.call("VerifyConnectivity", client.verify_connectivity, {"name": connection})
            except FAULTS as error:
                if reason_of(error) is Reason.MALFORMED:
                    return Told(None, "answered: Cloud KMS does not reach the external key manager")
                return _not_told(error, permission)
            return Told(None, "answered")

        yield Question(group, what, verify, permission, self.clients.at("kms"))

    def _policy(self, name: KeyName, resource: str) -> str:
        client = self.clients.keys(name.owner)

        def ask(request: Any, retry: None, timeout: float) -> Any:
            return client.get_iam_policy(request=request, retry=retry, timeout=timeout)

        self.calls.call("GetIamPolicy", ask, {"resource": resource, "options": {"requested_policy_version": 3}})
        return "answered"

    def _keys(self, name: KeyName) -> str:
        client = self.clients.keys(name.owner)
        self.calls.call("ListCryptoKeys", client.list_crypto_keys, {"parent": name.ring, "page_size": 1})
        return "answered"

    def _retired(self, name: KeyName) -> str:
        client = self.clients.keys(name.owner)
        parent = f"projects/{name.owner}/locations/{name.location}"
        request = {"parent": parent, "page_size": 1}
        self.calls.call("ListRetiredResources", client.list_retired_resources, request)
        return "answered"

    # Questions

    def _kms(self, name: KeyName, what: str, permission: str, ask: Callable[[], str | Told]) -> Question:
        return self._question(name.owner, what, permission, ask, "kms")

    def _question(
        self, project: str | None, what: str, permission: str, ask: Callable[[], str | Told], service: str = "storage"
    ) -> Question:
        def tried() -> Told:
            try:
                found = ask()
                return found if isinstance(found, Told) else Told(None, found)
            except FAULTS as error:
                if service == "kms" and reason_of(error) is Reason.NOT_FOUND:
                    return Told(None, "answered: there is none of this name")  # whoever is told so was let ask
                return _not_told(error, permission)
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                return Told(Reason.MALFORMED, type(error).__name__, hint_for(Reason.MALFORMED, permission))

        return Question(_group(project), what, tried, permission, self.clients.at(service))


def _group(project: str | None) -> str:
    return f"Google project {project}" if project else "Google Cloud, default identity"


def _not_told(error: Exception, permission: str) -> Told:
    reason = reason_of(error)
    if reason is Reason.ACCESS_DENIED:
        return Told(reason, code_of(error), f"grant {permission}: `cmek-auditor doctor --grants gcp` prints how")
    return Told(reason, code_of(error), hint_for(reason, permission))
