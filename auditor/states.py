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


def told(state: str, cloud: Cloud) -> str:
    """A state in the service's own word, where that is one whose meaning is known."""
    return state if state in STATES[cloud] else f"a state that this version does not know ({state})"


def being(state: str, cloud: Cloud) -> str:
    """The same of a key or version that is so."""
    return state if state in STATES[cloud] else f"in {told(state, cloud)}"
