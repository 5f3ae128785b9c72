"""What is asked of AWS, round by round: who asks, then buckets and objects, then the keys that these name."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from auditor.checkup import Answer, Choosing, Gone, Question, Round, Told, hears_of_none
from auditor.connectors.aws.doctor_buckets import BucketQuestions, S3Place, Seen
from auditor.connectors.aws.doctor_keys import KeyQuestions, Wanted
from auditor.connectors.aws.doctor_told import endpoint_of, group_of, tried
from auditor.connectors.aws.errors import hint_for
from auditor.connectors.aws.probes import AwsProbes
from auditor.connectors.aws.queue import Queue
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.printable import printable
from auditor.errors import UsageError
from auditor.model import Cloud, KeyName, Reason

_OWN_KEY: Final = "alias/aws/sqs"
"""The key that AWS manages for queues. Source: Amazon SQS Developer Guide, Encryption at rest."""


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
    gone: Gone
    queues: tuple[tuple[Queue, str], ...] = ()
    """Those that are listened to, each with the account of the config that it is of."""
    counting: Callable[[], datetime] | None = None
    """The clock, where the cloud is asked for its own counts."""
    _whose: dict[str | None, str] = field(default_factory=dict)
    """Account of the config, None for the default identity -> the account whose identity it is."""

    def rounds(self, keys: Iterable[KeyName]) -> Iterator[Round]:
        """Yield credentials and buckets, then objects, then keys, then what hangs on the kind of each key."""
        seen = {one.url: Seen() for one in self.buckets}
        of_buckets = BucketQuestions(self.clients, self.prober, self.wanted.reads, seen, self.counting)
        of_keys = KeyQuestions(
            self.clients, self.prober, self.wanted, self._is_ours, self.gone, next(iter(seen), "s3://none")
        )
        known = {one for one in keys if one.cloud is Cloud.AWS}
        owners = {one.owner if one.owner in self.roles else None for one in known}
        accounts = sorted({one.account for one in self.buckets}.union(self.roles, owners), key=lambda one: one or "")
        lists = sorted({one.account for one in self.buckets}, key=lambda one: one or "")
        yield [
            *(self._identity(one) for one in accounts),
            *(one for place in self.buckets for one in of_buckets.of_bucket(place)),
            *(of_buckets.all_buckets(one) for one in lists),
            *(self._queue(*one, known) for one in self.queues),
        ]
        yield [one for place in self.buckets for one in of_buckets.of_object(place)]
        found = {one for each in seen.values() for one in each.named()}
        chosen, told = self.choose(known | found)
        yield [*told, *(of_keys.describe(one) for one in chosen)]
        yield [one for name in chosen for one in of_keys.of_key(name)] + [
            *of_keys.stores(chosen),
            *of_keys.histories(chosen),
        ]

    def _identity(self, account: str | None) -> Question:
        role = self.roles.get(account or "")

        def ask() -> Told:
            try:
                found = self.clients.caller(account)
            except UsageError as error:
                return Told(Reason.EXPIRED_CREDENTIALS, str(error), error.hint or "", Answer.MISSING)
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
            self._whose[account] = found[0]
            if account is not None and account in self.roles and found[0] != account:
                return Told(
                    None,
                    f"{found[1]} is of another account",
                    f"give [[account]] {account} a role_arn or profile of that account",
                    Answer.MISSING,
                )
            return Told(None, found[1])

        what = f"{role}: become it" if role else "credentials"
        return Question(
            group_of(account), what, ask, "sts:AssumeRole" if role else None, endpoint_of(self.clients, "sts", account)
        )

    def _queue(self, queue: Queue, account: str, known: Collection[KeyName]) -> Question:
        """Whether it is there, and whether it goes away with a key that it is to tell of.

        That it may be read shows when the daemon listens: no message is taken to try it.
        """

        def ask() -> str | Told:
            told = self.clients.sqs(queue.region, account).get_queue_attributes(
                QueueUrl=queue.url, AttributeNames=["QueueArn", "KmsMasterKeyId"]
            )
            under = printable(told.get("Attributes", {}).get("KmsMasterKeyId"))
            if under is not None and (hit := next((one for one in known if under in _names(one, queue)), None)):
                lost = "it is there, under a key that is watched: whoever takes that key away silences the feed"
                return Told(
                    None, f"{lost} ({hit})", "encrypt the queue with SSE-SQS, or a key of its own", Answer.MISSING
                )
            if under is not None and under.startswith("alias/") and under != _OWN_KEY:
                seen = f"it is there, under {under}: whether that is a key that is watched is not seen"
                return Told(Reason.NOT_VISIBLE, seen, "look which key the alias is of", Answer.UNKNOWN)
            return f"it is there; the daemon shows whether it may be read{hears_of_none(known, account)}"

        permission = "sqs:GetQueueAttributes"
        endpoint = endpoint_of(self.clients, "sqs", account, queue.region)
        what = f"{queue.arn}: queue of its events"
        return Question(group_of(account), what, lambda: tried(ask, permission), permission, endpoint)

    def _is_ours(self, name: KeyName) -> bool:
        """Whether the identity is of the key's account; one that cannot be told is let try."""
        return self._whose.get(name.owner if name.owner in self.roles else None, name.owner) == name.owner


def _names(key: KeyName, queue: Queue) -> tuple[str, ...]:
    """How a queue may name a key: by its id alone where both are of one account and Region."""
    is_near = (key.owner, key.location) == (queue.account, queue.region)
    return (key.text, key.text.rpartition("/")[2]) if is_near else (key.text,)
