"""feed-silent: a configured feed answers, and tells of the changes that polls find.

Source: NIST SP 800-53 Rev. 5, SI-4(5) and AU-5; PCI DSS v4.0.1, 10.7.2.
"""

from auditor.findings import Outcome, Severity
from auditor.moments import second
from auditor.rule import ConfiguredFeed, Context, Rule, failed, passed, unknown


def check(feed: ConfiguredFeed, at: Context) -> Outcome:
    """Fail when a change came to light without it, or when its service gave no answer for too long."""
    ear = feed.ear
    if ear.since is None:
        return unknown("only the daemon listens to it")
    first = feed.untold[0] if feed.untold else None
    told = f"key {first.key} was changed at {second(first.at)}, and the feed has not told of it" if first else ""
    if first is not None and first.is_its:
        return failed(told)
    last = ear.answered or ear.since
    if abs(at.now - last) > at.policy.feed_max_silence:
        return failed(f"its service gave no answer since {second(last)}")
    if ear.answered is None:
        return unknown("its service gave no answer yet")
    if first is not None:
        return unknown(f"{told}; whether it is of project {ear.owner} is not known: it is named by a number")
    return passed("its service answers, and no change came to light without it")


RULE = Rule(
    id="feed-silent",
    title="Every configured feed of events tells of changes",
    subject=ConfiguredFeed,
    severity=Severity.MEDIUM,
    source="NIST SP 800-53 Rev. 5, SI-4(5) and AU-5; PCI DSS v4.0.1, 10.7.2",
    remedy="Look at the queue, and at the rule or sink that fills it; till then changes are found by polling alone.",
    check=check,
)
