"""The frameworks of the package: one JSON file each, read and checked once."""

import difflib
import hashlib
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from auditor.controls.framework import Confidence, Control, Framework
from auditor.errors import UsageError
from auditor.model import Cloud

NOT_MAPPED: Final = frozenset({"waiver-ending"})
"""Rules without a control: a reminder, while the control belongs to `waiver-expired`."""

_Id = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$")]
_Words = Annotated[str, StringConstraints(min_length=1, max_length=160, strip_whitespace=True)]
_Level = Annotated[str, StringConstraints(pattern=r"^(low|moderate|high)$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Control(_Strict):
    id: _Words
    title: _Words
    rules: list[_Id]
    confidence: Confidence
    source: _Id | None = None
    baselines: dict[_Id, list[_Level]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "_Control":
        if (self.confidence is Confidence.SEEN) is (self.source is None):
            raise ValueError(f"{self.id}: what was seen has a source, and what is from memory has none")
        if self.rules != sorted(set(self.rules)):
            raise ValueError(f"{self.id}: rules are sorted, each once")
        return self


class _File(_Strict):
    id: _Id
    name: _Words
    version: _Words
    publisher: _Words
    also: list[_Id] = Field(default_factory=list)
    cloud: Cloud | None = None
    sources: dict[_Id, _Words]
    controls: list[_Control] = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> "_File":
        ids = [one.id for one in self.controls]
        if len(ids) != len(set(ids)):
            raise ValueError(f"{self.id}: an id is there twice")
        if strangers := {one.source for one in self.controls if one.source is not None}.difference(self.sources):
            raise ValueError(f"{self.id}: {min(strangers)!r} is no source of it")
        return self


def parse(text: str) -> Framework:
    """One framework from the text of its file.

    Raises:
        ValueError: the text is no such file.
    """
    told = _File.model_validate_json(text)
    return Framework(
        id=told.id,
        name=told.name,
        version=told.version,
        publisher=told.publisher,
        digest=hashlib.sha256(text.encode()).hexdigest()[:12],
        sources=told.sources,
        every=tuple(
            Control(
                id=one.id,
                title=one.title,
                rules=tuple(one.rules),
                confidence=one.confidence,
                source=one.source,
                baselines={whose: tuple(levels) for whose, levels in one.baselines.items()},
            )
            for one in told.controls
        ),
        also=tuple(told.also),
        cloud=told.cloud,
    )


@cache
def frameworks() -> tuple[Framework, ...]:
    """All of the package, by id."""
    folder = files("auditor.controls") / "frameworks"
    found = [parse(one.read_text(encoding="utf-8")) for one in folder.iterdir() if one.name.endswith(".json")]
    return tuple(sorted(found, key=lambda one: one.id))


def chosen(names: Iterable[str]) -> tuple[Framework, ...]:
    """Those that somebody asks for, each once and in their own order; all where nobody names one.

    Raises:
        UsageError: there is none of such a name.
    """
    asked = list(dict.fromkeys(names))
    every = frameworks()
    by_name = {name: one for one in every for name in (one.id, *one.also)}
    for name in asked:
        if name not in by_name:
            begun = sorted(one for one in by_name if name and one.startswith(name.lower()))
            alike = begun or difflib.get_close_matches(name.lower(), by_name, 1)
            meant = f"did you mean {' or '.join(alike)}? " if alike else ""
            raise UsageError(f"--framework {name!r} is none", f"{meant}frameworks are {', '.join(sorted(by_name))}")
    wanted = {by_name[name].id for name in asked}
    return tuple(one for one in every if one.id in wanted) if asked else every
