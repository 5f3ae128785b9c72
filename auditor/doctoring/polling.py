"""Whether the keys that are known can be polled as often as the config wants, at its share of the quotas."""

from math import ceil
from typing import Final

from auditor.checkup import Answer, Check
from auditor.config import Config
from auditor.doctoring.local import CONFIG
from auditor.model import Cloud
from auditor.outputs import words

_SETTINGS: Final = {Cloud.AWS: "kms_quota_share", Cloud.GCP: "gcp_kms_quota_share"}
_NAMES: Final = {Cloud.AWS: "AWS KMS", Cloud.GCP: "Cloud KMS"}


def of_polls(config: Config, cloud: Cloud, keys: int, seconds: float) -> Check:
    """Hold what a poll of so many keys takes at least (`seconds`) against how often one is due."""
    what = f"key_poll for {_NAMES[cloud]}"
    due = config.schedule.key_poll
    setting = _SETTINGS[cloud]
    share = getattr(config.limits, setting)
    least = ceil(seconds)
    told = f"{words.counted(keys, 'key')}: {least} s a poll at {setting} = {share:g}, due every {due} s"
    if least <= due:
        return Check(CONFIG, what, Answer.OK, told)
    lost = f"what happens to a key is seen {least} s later, not {due} s"
    todo = _advice(setting, seconds * share, due, least)
    return Check(CONFIG, what, Answer.MISSING, told, lost=lost, todo=todo)


def _advice(setting: str, alone: float, due: int, least: int) -> str:
    """What makes polls and schedule agree; `alone`: seconds that a poll takes with the whole quota.

    The pace is a share of the quota that the cloud gives everybody: one that was raised makes no poll faster.
    """
    needed = ceil(alone / due * 1e4) / 1e4
    if needed <= 1:
        return f"say {setting} = {needed:g} or more, or key_poll = {least}"
    return f"say key_poll = {least}, or key_poll = {ceil(alone)} with {setting} = 1"
