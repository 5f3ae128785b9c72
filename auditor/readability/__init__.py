"""Provider facts -> readability, cause, deadline, undo: the state tables and how they combine."""

from auditor.readability.assess import KeyView, assess, is_gone, withdrawn
from auditor.readability.claim import Claim, as_told, assess_claim
from auditor.readability.continuity import continued
from auditor.readability.neighbours import Stores
from auditor.readability.probe import is_early, is_over_for_good, next_to, probes_of, rights_of
from auditor.readability.shared import beside_others

__all__ = [
    "Claim",
    "KeyView",
    "Stores",
    "as_told",
    "assess",
    "assess_claim",
    "beside_others",
    "continued",
    "is_early",
    "is_gone",
    "is_over_for_good",
    "next_to",
    "probes_of",
    "rights_of",
    "withdrawn",
]
