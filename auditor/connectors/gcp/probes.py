"""Tries to use keys on Google Cloud: one byte of one object, which the bucket's storage service agent decrypts."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import requests

from auditor.connectors.digest import digest
from auditor.connectors.gcp.errors import FAULTS, code_of, reason_of, reason_of_status
from auditor.connectors.gcp.session import GcpClients
from auditor.model import NO_RIGHT, Evidence, KeyName, Probe, ProbeKind, ProbeOutcome, Reason, Sample

# Source: Cloud Storage docs, JSON API status codes.
_BY_KEY: Final = frozenset({"cloudKmsDisabledKey", "cloudKmsDecryptionKeyNotFound"})
_KEY_DENIED: Final = "Permission denied on Cloud KMS key."
"""Begins the text of the 403 that concerns the key; a caller without the right on the object is told otherwise."""


class GcpProbes:
    """Needs `storage.objects.get`; the right on the key is the storage service agent's, never the auditor's."""

    def __init__(self, clients: GcpClients, accounts: Mapping[str, str | None], clock: Callable[[], datetime]) -> None:
        self._clients = clients
        self._accounts = accounts
        self._clock = clock

    def read(self, sample: Sample, agents: tuple[str, ...]) -> Probe:
        """Read one byte, and leave it on the wire."""
        bucket = sample.bucket.removeprefix("gs://")
        try:
            answer = self._clients.read_byte(self._accounts[sample.bucket], bucket, sample.name, sample.version or "")
            outcome, code, reason = _found(answer)
        except FAULTS as error:
            outcome, code, reason = ProbeOutcome.INCONCLUSIVE, code_of(error), reason_of(error)
        at = self._clock()
        return Probe(
            bucket=sample.bucket,
            key=sample.key,
            key_version=sample.key_version,
            kind=ProbeKind.READ,
            at=at,
            outcome=outcome,
            code=code,
            reason=reason,
            principal=agents[0] if len(agents) == 1 else f"the storage service agent of {sample.bucket}",
            evidence=(Evidence("storage.objects.get media", sample.key, at, None, digest([outcome, code])),),
        )

    def dry_run(self, bucket: str, name: KeyName, agents: tuple[str, ...]) -> None:  # noqa: ARG002 - the port's shape
        """Nothing: the storage service agent is Google's own, and nobody else can act as it."""
        return


def _found(answer: requests.Response) -> tuple[ProbeOutcome, str, Reason | None]:
    if answer.ok:
        # Anything but the one byte that was asked for is a page that somebody on the way has put in its place.
        part = answer.headers.get("Content-Range", "").startswith("bytes 0-0/")
        if answer.status_code == requests.codes.partial_content and part:
            return ProbeOutcome.PASSED, "ok", None
        return ProbeOutcome.INCONCLUSIVE, "an answer that is no part of an object", Reason.MALFORMED
    outcome, code = why(answer.status_code, _told(answer))
    return outcome, code, reason_of_status(answer.status_code) if outcome is ProbeOutcome.INCONCLUSIVE else None


def why(status: int, told: Mapping[str, Any]) -> tuple[ProbeOutcome, str]:
    """Tell from an error answer whether the key stopped the read."""
    error = told.get("error")
    error = error if isinstance(error, dict) else {}
    listed = error.get("errors")
    first = listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
    reason = str(first.get("reason", ""))
    if status == requests.codes.bad_request and reason in _BY_KEY:
        return ProbeOutcome.REFUSED, reason
    if status == requests.codes.forbidden and str(error.get("message", "")).startswith(_KEY_DENIED):
        return ProbeOutcome.REFUSED, NO_RIGHT
    return ProbeOutcome.INCONCLUSIVE, f"HTTP {status}"


def _told(answer: requests.Response) -> Mapping[str, Any]:
    try:
        told = answer.json()
    except requests.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
