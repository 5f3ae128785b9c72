"""What a run will make and what that costs, told before anything is made."""

import math
from collections.abc import Sequence
from typing import Any, Final

from tests.live.kit import LABEL, Experiment, Run

# Source: AWS KMS pricing page; a key is prorated by the hour, and free while it waits for its deletion.
_AWS_KEY_HOUR: Final = 1 / 730
# Source: Cloud KMS pricing page, software keys; a version is billed until it is destroyed, a day after its schedule.
_GCP_VERSION_DAY: Final = 0.06 / 30
_REQUESTS: Final = 0.01
"""A few hundred requests to S3 or Cloud Storage and to KMS; dollars, rounded up to a cent."""


def cost(cloud: str, experiments: Sequence[Experiment[Any]], run: Run) -> float:
    """What a run may cost at most, in dollars, if each wait takes its whole limit."""
    keys = sum(one.keys for one in experiments)
    hours = math.ceil(len(experiments) * (run.patience.limit + 60) / 3600)
    each = _AWS_KEY_HOUR * hours if cloud == "aws" else _GCP_VERSION_DAY * 2
    return keys * each + _REQUESTS


def plan(cloud: str, experiments: Sequence[Experiment[Any]], run: Run, where: str) -> list[str]:
    """The lines that are shown before the question whether to go on."""
    keys = sum(one.keys for one in experiments)
    dollars = math.ceil(cost(cloud, experiments, run) * 100) / 100
    if cloud == "aws":
        made = [
            f"  1 S3 bucket {run.name}, with one small object for each key",
            f"  {keys} KMS keys, tagged {LABEL}={run.suffix}: $1 a month each, prorated by the hour",
        ]
        after = "each key is scheduled for deletion with the shortest window, 7 days, and costs nothing meanwhile"
    else:
        made = [
            f"  2 buckets {run.name} and {run.name}-soft, with one small object or two for each key",
            f"  1 key ring {run.name}: free, and no call deletes a key ring",
            f"  {keys} keys with one software version, labelled {LABEL}={run.suffix}: $0.06 a month each",
        ]
        after = "each version is scheduled for destruction with the shortest delay, a day, and costs until then"
    return [
        f"in {where}",
        "this makes, in a throw-away account:" if cloud == "aws" else "this makes, in a throw-away project:",
        *made,
        f"it costs at most ${dollars:.2f}, a few hundred requests included",
        f"afterwards buckets and objects are deleted; {after}",
        f"it asks {len(experiments)} questions:",
        *(f"  {one.id}: {one.question}" for one in experiments),
    ]
