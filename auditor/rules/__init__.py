"""One module a rule; `load` finds them."""

import hashlib
import json
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from auditor.rule import Rule


@cache
def load() -> tuple[Rule, ...]:
    """Every module's RULE, by id."""
    modules = (import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__))
    return tuple(sorted((module.RULE for module in modules), key=lambda rule: rule.id))


def version() -> str:
    """Digest of all rules' words and severities: it changes when what is demanded changes."""
    told = [[rule.id, rule.title, rule.severity, rule.source, rule.remedy] for rule in load()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:12]
