"""In which words gaps tell that a registry was read, and leaves untold under which keys its namespaces are."""

from typing import Final

from auditor.model import Gap

NAMES_NONE: Final = "it names a key for none of its"
NAMES_NO_KEY: Final = "it names no key for"
NOT_ASKED_YET: Final = "it was not asked about them yet"


def leaves_keys_untold(gap: Gap) -> bool:
    """Whether a gap about a registry tells that, and not that it could not be read or believed."""
    return gap.effect.startswith((NAMES_NONE, NAMES_NO_KEY)) or gap.effect.endswith(NOT_ASKED_YET)
