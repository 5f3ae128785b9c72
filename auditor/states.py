"""Which states of keys and key versions have a meaning that is known.

Source: AWS KMS Developer Guide, Key states of AWS KMS keys; Cloud KMS docs, Key version states.
"""

from collections.abc import Mapping
from typing import Final

from auditor.model import Cloud

STATES: Final[Mapping[Cloud, frozenset[str]]] = {
    Cloud.AWS: frozenset(
        {
            *("Creating", "Enabled", "Disabled", "PendingDeletion", "PendingImport"),
            *("PendingReplicaDeletion", "Unavailable", "Updating"),
        }
    ),
    Cloud.GCP: frozenset(
        {
            *("PENDING_GENERATION", "ENABLED", "DISABLED", "DESTROYED", "DESTROY_SCHEDULED", "PENDING_IMPORT"),
            *("IMPORT_FAILED", "GENERATION_FAILED", "PENDING_EXTERNAL_DESTRUCTION", "EXTERNAL_DESTRUCTION_FAILED"),
        }
    ),
}
"""Of keys of AWS, and of Cloud KMS key versions, in the services' own words."""
