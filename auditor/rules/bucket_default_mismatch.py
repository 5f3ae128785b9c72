"""bucket-default-mismatch: a bucket lets no new object arrive without the key that is declared for it.

Whoever writes may name a key with each request; what a bucket does with requests that name none is its default.

Source: NIST SP 800-53 Rev. 5, SC-28(1) and CM-6; PCI DSS v4.0.1, 3.5.1.
"""

from dataclasses import replace
from typing import Final

from auditor.findings import Confidence, Outcome, Severity
from auditor.model import Cloud, Encryption, KeyName, NewObjects
from auditor.ownership.owned import OwnedBucket
from auditor.rule import BY_OTHERS, Context, Rule, failed, not_told, passed, unknown

_KINDS: Final = {
    Encryption.PROVIDER: "the provider's own encryption",
    Encryption.PROVIDER_KMS: "a key that the provider manages",
}


def check(bucket: OwnedBucket, at: Context) -> Outcome:  # noqa: ARG001 - every check has this shape
    """Fail where new objects whose writer names no key arrive under another than the declared one, or under none."""
    if bucket.told:
        return BY_OTHERS
    if bucket.declared is None:
        return unknown("whether keys are declared for its namespaces is not known")
    if not bucket.declared:
        return not_told("nobody declares a key for its namespaces")
    new = bucket.facts.new_objects if bucket.facts is not None else None
    if new is None or new.default is Encryption.UNKNOWN:
        return unknown("what it makes of new objects whose writer names no key is not known")
    if Encryption.CMEK in new.refused:
        return _of_new(
            failed(f"{bucket.bucket} refuses new objects under customers' keys, and keys are declared for it")
        )
    if new.default is Encryption.CMEK:
        return _of_key(bucket, bucket.declared, new)
    if Encryption.PROVIDER in new.refused:
        return passed("it refuses new objects that are under no customer's key")
    if {Encryption.PROVIDER, Encryption.CMEK}.intersection(new.unclear):
        return unknown("which kinds of encryption it refuses is not known")
    return _lets(bucket, f"under {_KINDS[new.default]}")


def _of_key(bucket: OwnedBucket, declared: tuple[KeyName, ...], new: NewObjects) -> Outcome:
    named = new.named or ""
    answers = {_is(one, named, bucket) for one in declared}
    if answers == {False} and ":alias/" in f":{named}":
        return unknown("its default key is set by an alias, and which key that is now is not known")
    if answers == {False}:
        return _lets(bucket, "under a default key that nobody declares for it")
    if False in answers:
        keys = {bucket.spelling.one_of_all(one) for one in declared}
        most = "" if True in answers else "at most "
        return _lets(
            bucket, f"under a default key that is declared for {most}some of its namespaces, of {len(keys)} keys"
        )
    if None in answers:
        return unknown(
            f"whether its default key {named} is the declared one by the other name of its project nobody says"
        )
    if bucket.known is None:
        return unknown("a registry that may declare more keys for it was never read")
    return passed("the declared key is its default")


def _is(declared: KeyName, named: str, bucket: OwnedBucket) -> bool | None:
    """Whether a bucket's default is the declared key: by any full name of it, or on S3 by its id alone.

    None where nobody knows that of the two names.
    """
    try:
        full = KeyName.parse(named)
    except ValueError:
        is_of_s3 = bucket.facts is not None and bucket.facts.cloud is Cloud.AWS
        return is_of_s3 and named.removeprefix("key/") == declared.text.rpartition("/")[2]
    return bucket.spelling.is_one(full, declared)


def _lets(bucket: OwnedBucket, how: str) -> Outcome:
    # What a bucket policy or an organisation refuses besides is not read.
    told = f"{bucket.bucket} lets new objects arrive whose writer names no key, {how}"
    return _of_new(failed(f"{told}; whether a policy refuses them is not read", Confidence.INFERRED))


def _of_new(outcome: Outcome) -> Outcome:
    # It is about no object that is there already.
    return replace(outcome, members=())


RULE = Rule(
    id="bucket-default-mismatch",
    title="A bucket lets no new object arrive without the key that is declared for it",
    subject=OwnedBucket,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, SC-28(1) and CM-6; PCI DSS v4.0.1, 3.5.1",
    remedy="Where one key is declared for the whole bucket, make it the default. Where each namespace has its own, let "
    "Cloud Storage refuse what is under Google's own keys (googleManagedEncryptionEnforcementConfig), or have a bucket "
    "policy of S3 deny writes that name no key, and waive this finding for the bucket.",
    check=check,
)
