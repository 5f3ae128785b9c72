"""All buckets of the accounts in use, to tell how many nobody configured."""

from collections.abc import Iterable
from typing import Any

from auditor.connectors.aws.answers import MALFORMED
from auditor.connectors.aws.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.connectors.trail import Trail
from auditor.model import Gap, Reason


class AwsBuckets:
    """Lists by `s3:ListAllMyBuckets` with each identity in use."""

    def __init__(self, clients: AwsClients, accounts: Iterable[str | None]) -> None:
        self._clients = clients
        self._accounts = tuple(accounts)

    def buckets(self) -> frozenset[str] | Gap:
        """URLs of all buckets, or the Gap when listing is not allowed."""
        found: set[str] = set()
        for account in self._accounts:
            try:
                client = self._clients.s3(None, account)
                asked: dict[str, Any] = {}
                trail = Trail()
                while True:
                    page = client.list_buckets(**asked)
                    found.update(f"s3://{one['Name']}" for one in page.get("Buckets", []))
                    if not (token := page.get("ContinuationToken")):
                        break
                    if not trail.leads_on(token):
                        return _not_listed(account, Reason.MALFORMED, MALFORMED)
                    asked = {"ContinuationToken": token}
            except FAULTS as error:
                return _not_listed(account, reason_of(error), code_of(error))
        return frozenset(found)


def _not_listed(account: str | None, reason: Reason, code: str) -> Gap:
    what = f"S3 buckets of {account or 'the default identity'}"
    return Gap(what, reason, f"not listed ({code})", hint_for(reason, "s3:ListAllMyBuckets"))
