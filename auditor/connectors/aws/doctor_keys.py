"""One harmless request for each permission that a key of AWS is read with."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from auditor.checkup import Answer, Check, Gone, Question, Told
from auditor.connectors.aws.doctor_told import endpoint_of, group_of, may, not_told, of_probe
from auditor.connectors.aws.errors import FAULTS
from auditor.connectors.aws.keys import WITH_MATERIAL, is_rotated, parse_key
from auditor.connectors.aws.probes import AwsProbes
from auditor.connectors.aws.session import AwsClients
from auditor.model import KeyName, Reason

_OF_KEY: Final = "kms:GetKeyPolicy"
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of it the config has switched on."""

    principals: tuple[str, ...]
    reads: bool
    dry_runs: bool
    history: str | None
    """Why nobody asks who changed keys; None: somebody does."""


@dataclass(frozen=True, slots=True)
class KeyQuestions:
    """Asks about keys, and keeps what they told of themselves."""

    clients: AwsClients
    prober: AwsProbes
    wanted: Wanted
    is_ours: Callable[[KeyName], bool]
    """Whether the identity is of the key's account; one that cannot be told is let try."""
    gone: Gone
    bucket: str
    """For which data a dry run asks."""
    described: dict[KeyName, Mapping[str, Any]] = field(default_factory=dict)
    lost: set[KeyName] = field(default_factory=set)
    """Those that are not there, by the word of their own account."""

    def describe(self, name: KeyName) -> Question:
        """Make the question for the state of a key, which decides what else is asked of it."""

        def ask() -> Told:
            try:
                told = self._kms(name).describe_key(KeyId=name.text)["KeyMetadata"]
            except FAULTS as error:
                found = not_told(error, "kms:DescribeKey")
                if found.reason is Reason.ACCESS_DENIED:
                    return Told(found.reason, f"{found.text}; a key that is not there is refused alike", _OWNER)
                if found.reason is Reason.NOT_FOUND:
                    # In its own account whoever is told so was let ask; in others nobody is told the truth.
                    if self.is_ours(name):
                        self.lost.add(name)
                        return self.gone(name)
                    return Told(Reason.NOT_VISIBLE, f"{found.text}: only the key's own account can tell", _OWNER)
                return found
            self.described[name] = parse_key(name, told) | {"store": told.get("CustomKeyStoreId")}
            return Told(None, str(told.get("KeyState", "")))

        return self._question(name, "state", "kms:DescribeKey", ask)

    def of_key(self, name: KeyName) -> Iterator[Question | Check]:
        """What a poll asks beside the state; all of it where the state was refused, so that nothing comes up later."""
        key = self.described.get(name)
        if name in self.lost or (key is not None and key["manager"] == "provider"):
            return
        rotated = key is None or is_rotated(key)
        ours = self.is_ours(name)
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
                yield self._question(name, what, permission, partial(may, call, permission))
        yield self._dry_run(name)

    def _dry_run(self, name: KeyName) -> Question | Check:
        if not self.wanted.dry_runs:
            return self._off(name, "dry run", "kms:Decrypt", "[probe] dry_runs is off")

        def ask() -> Told:
            found = self.prober.dry_run(self.bucket, name, self.wanted.principals)
            if found is None:
                return Told(Reason.NOT_VISIBLE, "nobody could be asked about: name [platform] aws_principals")
            return of_probe(found)

        return self._question(name, "dry run", "kms:Decrypt", ask)

    def _of_another(self, name: KeyName, what: str, permission: str, *, judged: bool = False) -> Check:
        """Nobody of another account is ever answered; `judged`: a verdict hangs on it in any case."""
        text = "nobody of another account than the key's own may ask"
        if not (judged or self.wanted.principals):
            return self._off(name, what, permission, f"{text}, and [platform] aws_principals asks for no verdict on it")
        todo = (
            "give its account an [[account]] with a role there; `cmek-auditor doctor --grants aws` then prints for it"
        )
        group = group_of(name.owner)
        return Check(group, f"{name.text}: {what}", Answer.MISSING, text, permission, Reason.NOT_VISIBLE, todo=todo)

    def stores(self, chosen: Iterable[KeyName]) -> Iterator[Question | Check]:
        """Yield one question for each account and Region that has a key in a custom store."""
        permission = "kms:DescribeCustomKeyStores"
        stored: dict[tuple[str, str], KeyName] = {}
        places = {}
        for name in chosen:
            places[name.owner, name.location] = name
            if self.described.get(name, {}).get("store"):
                stored[name.owner, name.location] = name
        for place, name in sorted(places.items()):
            what = f"custom key stores in {name.location}"
            if place not in stored:
                told = "no key that was asked is in one"
                yield Check(group_of(name.owner), what, Answer.OFF, told, permission)
                continue
            if not self.is_ours(name):
                yield self._of_another(stored[place], "custom key store", permission, judged=True)
                continue

            def ask(name: KeyName = name) -> Told:
                return may(lambda: self._kms(name).describe_custom_key_stores(Limit=1), permission)

            endpoint = endpoint_of(self.clients, "kms", name.owner, name.location)
            yield Question(group_of(name.owner), what, ask, permission, endpoint)

    def histories(self, chosen: Iterable[KeyName]) -> Iterator[Question | Check]:
        """Yield one question for each account and Region: who changed keys there."""
        permission = "cloudtrail:LookupEvents"
        for name in {(one.owner, one.location): one for one in chosen}.values():
            what, group = f"who changed keys in {name.location}", group_of(name.owner)
            if self.wanted.history is not None:
                yield Check(group, what, Answer.OFF, self.wanted.history, permission)
                continue
            if not self.is_ours(name):
                told = "nobody of another account than the key's own is told who changed it"
                todo = "give its account an [[account]] with a role there, or set [audit_log] attribute = false"
                yield Check(group, what, Answer.MISSING, told, permission, Reason.NOT_VISIBLE, todo=todo)
                continue

            def ask(name: KeyName = name) -> Told:
                client = self.clients.cloudtrail(name.location, name.owner)
                return may(lambda: client.lookup_events(MaxResults=1), permission)

            endpoint = endpoint_of(self.clients, "cloudtrail", name.owner, name.location)
            yield Question(group, what, ask, permission, endpoint)

    def _question(self, name: KeyName, what: str, permission: str, ask: Callable[[], Told]) -> Question:
        endpoint = endpoint_of(self.clients, "kms", name.owner, name.location)
        return Question(group_of(name.owner), f"{name.text}: {what}", ask, permission, endpoint)

    def _off(self, name: KeyName, what: str, permission: str, why: str) -> Check:
        return Check(group_of(name.owner), f"{name.text}: {what}", Answer.OFF, why, permission)

    def _kms(self, name: KeyName) -> Any:
        return self.clients.kms(name.location, name.owner)
