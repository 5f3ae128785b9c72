"""Who accepts which finding now, and why, for exports that tell findings one by one."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from auditor.findings import Finding, Judgement, Status
from auditor.outputs import controls
from auditor.waiver import Waiver

_TOLD: Final = 10
"""As many waivers of one finding are told."""


class Excuses:
    """The waivers of a judgement that are not over."""

    def __init__(self, judgement: Judgement) -> None:
        self._by_finding: Mapping[str, list[Waiver]] = _by_finding(judgement)

    def of(self, one: Finding) -> str:
        """Until when a finding is accepted, by whom and why, in words that may be hostile; empty where it is not."""
        if one.status is not Status.WAIVED:
            return ""
        return "; ".join(controls.waived(each, 1) for each in self._by_finding[one.id][:_TOLD])


def _by_finding(judgement: Judgement) -> Mapping[str, list[Waiver]]:
    told: dict[str, list[Waiver]] = defaultdict(list)
    for one in judgement.waivers:
        for covered in one.covers if one.waiver.until > judgement.now else ():
            told[covered].append(one.waiver)
    return told
