"""primary-unusable: the version that new data is encrypted with can encrypt.

Source: Cloud KMS docs, Key states; google-cloud-kms, CryptoKey.primary.
"""

from typing import Final

from auditor.findings import Assessment, Outcome, Readability, Severity
from auditor.model import AwsKey, Holding
from auditor.readability.gcp import assess_version
from auditor.readability.table import Standpoint
from auditor.rule import Context, HeldKey, Rule, failed, never_told, not_applicable, passed, unknown

_BARRED: Final = frozenset(Readability) - {Readability.READABLE, Readability.EXPIRING, Readability.UNKNOWN}


def check(key: HeldKey, at: Context) -> Outcome:
    """Fail for a primary version that is not enabled though no data is under it, and where there is none."""
    # Whoever shares what stands behind a silent key may have told of it since.
    known = key.view.beside or key.known
    if known is None:
        return never_told()
    if isinstance(known, AwsKey):
        return not_applicable("an AWS key encrypts and decrypts as a whole: the rules about its data speak of it")
    if known.purpose != "ENCRYPT_DECRYPT":
        return not_applicable("a key of this purpose has no primary version: weak-algorithm speaks of it")
    if at.policy.means_revoked(key.name, at.now):
        return not_applicable("[[key]] says that the key is revoked on purpose")
    if known.primary is None:
        return failed(f"key {key.name} has no primary version: nothing new can be stored under it")
    primary = next((one for one in known.versions if one.number == known.primary), None)
    if primary is None:
        return unknown(f"whether version {known.primary}, the primary one, can encrypt is not known")
    # What stands behind a version stands in the way of new data as well; who may encrypt is grant-missing's to say.
    found = assess_version(known, primary.number, Standpoint((), None, at.policy, at.now))
    if found.readability in {Readability.READABLE, Readability.EXPIRING}:
        return passed(f"version {known.primary}, the primary one, is {primary.state}")
    if any(_is_told(*one, known.primary) for one in zip(key.holdings, key.assessments, strict=True)):
        return not_applicable(f"data under version {known.primary} cannot be read either: other rules speak of it")
    if found.readability is Readability.UNKNOWN:
        return unknown(f"whether version {known.primary}, the primary one, can encrypt is not known")
    told = f"version {known.primary} of key {key.name}, the primary one, is {primary.state}"
    if primary.state == "ENABLED":
        told = f"{told}, and {found.cause}"
    return failed(f"{told}: nothing new can be stored under the key, whatever else can be read")


def _is_told(holding: Holding, found: Assessment, primary: str) -> bool:
    """Whether a rule about data says of some that the primary version bars it: of claimed data of each version."""
    return (
        holding.is_claimed
        or holding.key_version == primary
        or (holding.key_version is None and found.readability in _BARRED)
    )


RULE = Rule(
    id="primary-unusable",
    title="New data can be stored under the key",
    subject=HeldKey,
    severity=Severity.HIGH,
    source="Cloud KMS docs, Key states; google-cloud-kms, CryptoKey.primary",
    remedy="Enable the primary version, or make an enabled one the primary (gcloud kms keys update --primary-version).",
    check=check,
    quotable=True,
)
