"""All buckets of the accounts in use, to tell how many nobody configured."""

from collections.abc import Iterable

from auditor.connectors.aws.errors import FAULTS, code_of, hint_for, reason_of
from auditor.connectors.aws.session import AwsClients
from auditor.model import Gap


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
                for page in self._clients.s3(None, account).get_paginator("list_buckets").paginate():
                    found.update(f"s3://{one['Name']}" for one in page.get("Buckets", []))
            except FAULTS as error:
                return Gap(
                    f"S3 buckets of {account or 'the default identity'}",
                    reason_of(error),
                    f"not listed ({code_of(error)})",
                    hint_for(reason_of(error), "s3:ListAllMyBuckets"),
                )
        return frozenset(found)
