"""Tries to use keys on AWS: one byte of one object, or a Decrypt that only checks the right; nothing is changed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from auditor.connectors.aws.errors import FAULTS, code_of, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.digest import digest
from auditor.model import NO_RIGHT, Evidence, KeyName, Probe, ProbeKind, ProbeOutcome, Reason, Sample

ONE_BYTE: Final = "bytes=0-0"
# Codes by which KMS itself stops a use; S3 puts `KMS.` before them. Source: Amazon S3 API Reference, Error responses.
_BY_KEY: Final = frozenset(
    {"DisabledException", "KMSInvalidStateException", "NotFoundException", "KeyUnavailableException"}
)
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException"})
_WORKS: Final = "DryRunOperationException"

Found = tuple[ProbeOutcome, str, Reason | None]
"""(outcome, code, why it is inconclusive)."""
_PASSED: Final[Found] = (ProbeOutcome.PASSED, "ok", None)
_NO_PART: Final[Found] = (ProbeOutcome.INCONCLUSIVE, "an answer that is no part of an object", Reason.MALFORMED)
_PARTIAL: Final = 206


class AwsProbes:
    """Needs `s3:GetObject*` and, for reads and dry runs, `kms:Decrypt`: more than the auditor needs for all else."""

    def __init__(
        self, clients: AwsClients, places: Mapping[str, tuple[str | None, str | None]], clock: Callable[[], datetime]
    ) -> None:
        self._clients = clients
        self._places = places
        self._clock = clock

    def read(self, sample: Sample, agents: tuple[str, ...]) -> Probe:  # noqa: ARG002 - S3 asks in the caller's name
        """Read one byte, and leave it on the wire."""
        region, account = self._places[sample.bucket]
        client = self._clients.s3(region, account)
        asked: dict[str, Any] = {"Bucket": sample.bucket.removeprefix("s3://"), "Key": sample.name}
        if sample.version is not None:
            asked["VersionId"] = sample.version
        cached = False
        request_id: str | None = None
        try:
            told = client.get_object(**asked, Range=ONE_BYTE)
            told["Body"].close()
            cached = bool(told.get("BucketKeyEnabled"))
            request_id = told["ResponseMetadata"].get("RequestId")
            found = _PASSED if _is_one_byte(told) else _NO_PART
        except FAULTS as error:
            found = _why(error, lambda: client.head_object(**asked))
        place = KeyName(sample.key), sample.bucket
        return self._probe(place, (ProbeKind.READ, found), account, call="s3:GetObject", cached=cached, id_=request_id)

    def dry_run(self, bucket: str, name: KeyName, agents: tuple[str, ...]) -> Probe | None:
        """Ask whether the caller may decrypt; None where the caller is nobody whose right matters."""
        caller = self._clients.caller(name.owner)
        if isinstance(caller, Reason) or not agents:
            return None
        client = self._clients.kms(name.location, name.owner)
        try:
            client.decrypt(
                KeyId=name.text,
                EncryptionContext={"aws:s3:arn": f"arn:aws:s3:::{bucket.removeprefix('s3://')}"},
                DryRun=True,
                DryRunModifiers=["IGNORE_CIPHERTEXT"],
            )
            # A dry run always raises.
            found: Found = ProbeOutcome.INCONCLUSIVE, "an answer without a result", Reason.UNSUPPORTED
        except FAULTS as error:
            found = _PASSED if code_of(error) == _WORKS else _why(error, None)
        return self._probe((name, bucket), (ProbeKind.DRY_RUN, found), name.owner, call="kms:Decrypt DryRun")

    def _probe(
        self,
        place: tuple[KeyName, str],
        tried: tuple[ProbeKind, Found],
        account: str | None,
        *,
        call: str,
        cached: bool = False,
        id_: str | None = None,
    ) -> Probe:
        name, bucket = place
        kind, (outcome, code, reason) = tried
        caller = self._clients.caller(account)
        if code == NO_RIGHT and isinstance(caller, Reason):
            # Whose right is missing is not known: it may be the platform's, and may be nobody's that matters.
            outcome, code, reason = ProbeOutcome.INCONCLUSIVE, "UnknownCaller", caller
        at = self._clock()
        return Probe(
            bucket=bucket,
            key=name.text,
            key_version=None,
            kind=kind,
            at=at,
            outcome=outcome,
            code=code,
            principal=None if isinstance(caller, Reason) else caller[1],
            cached=cached,
            reason=reason,
            evidence=(Evidence(call, name.text, at, id_, digest([outcome, code, cached])),),
        )


def _why(error: Exception, control: Callable[[], object] | None) -> Found:
    code = code_of(error).removeprefix("KMS.")
    if code in _BY_KEY:
        return ProbeOutcome.REFUSED, code, None
    if code in _DENIED and (control is None or _answers(control)):
        # HEAD asks for the same right on the object and for none on the key: what is left is the key.
        return ProbeOutcome.REFUSED, NO_RIGHT, None
    return ProbeOutcome.INCONCLUSIVE, code, reason_of(error)


def _is_one_byte(told: Mapping[str, Any]) -> bool:
    """Whether it is the one byte that was asked for, and not a page that somebody on the way has put in its place."""
    status = told["ResponseMetadata"].get("HTTPStatusCode")
    return status == _PARTIAL and str(told.get("ContentRange")).startswith("bytes 0-0/") and bool(told.get("ETag"))


def _answers(control: Callable[[], object]) -> bool:
    try:
        control()
    except FAULTS:
        return False
    return True
