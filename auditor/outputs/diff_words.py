"""What differs between two judgements, in words and numbers that terminal and report share."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from auditor.model import Encryption
from auditor.outputs import words
from auditor.questions.diff.answer import Change, ChangedFinding, Difference, Group, How, KeyChange, Place, Total, Turn

TURNS: Final = {
    Turn.STOPPED: "cannot be read any more",
    Turn.WORSE: "worse than before",
    Turn.NOT_KNOWN: "not known any more",
    Turn.RESTORED: "can be read again",
    Turn.BETTER: "less bad than before",
    Turn.KNOWN: "known to be readable now",
    Turn.SAME: "",
}
CHANGES: Final = {
    Change.STAYED: "",
    Change.MOVED: "moved to another key or version",
    Change.POPULATION: "replaced, deleted or brought back",
    Change.UNRESOLVED: "key not known on one side",
    Change.APPEARED: "appeared",
    Change.VANISHED: "vanished",
    Change.FEWER: "fewer (by sums)",
    Change.MORE: "more (by sums)",
}
_SENTENCES: Final = {
    Turn.STOPPED: "cannot be read any more",
    Turn.WORSE: "are worse off than before",
    Turn.NOT_KNOWN: "are not known any more",
    Turn.RESTORED: "can be read again",
    Turn.BETTER: "are less badly off than before",
    Turn.KNOWN: "are known to be readable now",
}
_MOVES: Final = {
    Change.MOVED: "moved to another key or version",
    Change.POPULATION: "were replaced, deleted or brought back under the same one",
    Change.UNRESOLVED: "have a key that is not known on one side",
    Change.APPEARED: "appeared",
    Change.VANISHED: "vanished",
    Change.FEWER: "are fewer by sums alone",
    Change.MORE: "are more by sums alone",
}
_WITHOUT_KEY: Final = {
    Encryption.PROVIDER: "provider's encryption",
    Encryption.PROVIDER_KMS: "provider's KMS key",
    Encryption.NONE: "no encryption",
    Encryption.CUSTOMER_SUPPLIED: "key of the writer",
    Encryption.UNKNOWN: "unknown encryption",
    Encryption.CMEK: "a KMS key",
}


NOT_COMPARED: Final = "its buckets are not compared: it may be older, or stand still"
_IN_PART: Final = "part of its data is not compared, and may be as it was"


def verdict(one: Difference) -> str:
    """The answer in one sentence; where something was not compared, never that nothing changed."""
    if one.is_keys_only:
        return "No bucket was configured: what data came, moved or went is not known. Keys and findings are compared."
    data = one.data
    turned = [
        f"{_amount(data.by_turn[each])} {told}" for each, told in _SENTENCES.items() if data.by_turn[each].objects
    ]
    moved = [f"{_amount(data.by_change[each])} {told}" for each, told in _MOVES.items() if data.by_change[each].objects]
    if not moved and all(each.how is How.NAMESPACES and not each.left_out for each in one.buckets):
        moved = ["no data moved, appeared or vanished"]
    lacking = sum(each.how is How.NOT for each in one.buckets)
    beyond = [f"{lacking} of {words.counted(len(one.buckets), 'bucket')} cannot be compared"] if lacking else []
    unturned = ["No data that was compared became readable or unreadable"]
    return f"{'; '.join([*(turned or unturned), *moved, *beyond])}."


def scope(one: Difference) -> Iterator[str]:
    """How far the answer reaches, a line each."""
    same = sum(each.how is How.SAME_SWEEP for each in one.buckets)
    if same:
        of = words.counted(len(one.buckets), "bucket")
        yield f"{same} of {of} not swept between the two: what was written or deleted there is not known"
    sums = sum(each.how is How.SUMS for each in one.buckets)
    if sums:
        yield f"{sums} of {words.counted(len(one.buckets), 'bucket')} compared by sums alone"
    if not one.is_keys_only:
        yield f"{words.counted(one.data.unchanged, 'object')} as before, as far as counts tell"
    yield from one.otherwise


def key_change(one: KeyChange) -> str:
    """One change of a key: what, from what to what."""
    was, now = (_fact(one, each) for each in (one.before, one.after))
    if was is None:
        was = "not there" if one.read_before else "not read"
    now = now if now is not None else "not listed any more"
    if one.fact == "answer" and one.before is None:
        return f"heard of for the first time: {now}"
    back = f", and back to {now}" if one.is_back else f" -> {now}"
    return f"{one.fact} {was}{back}"


def _fact(one: KeyChange, told: str | None) -> str | None:
    """What a key said of itself; states in words where their meaning is not known."""
    is_state = one.fact == "state" or one.fact.startswith("version ")
    return words.state(told, one.key.cloud) if is_state and told is not None else told


def place(one: Place | None) -> str:
    """Under which key version data stands."""
    if one is None:
        return ""
    if one.key is None:
        told = _WITHOUT_KEY[one.encryption]
    else:
        told = words.short(one.key) + (f" version {one.key_version}" if one.key_version else "")
    return told if one.population in {None, "live"} else f"{told}, {one.population.replace('_', '-')}"


def after(one: Group) -> str:
    """Under which key version data stands now."""
    told = place(one.after)
    return "the same" if told and told == place(one.before) else told


def fields(one: ChangedFinding, of: Difference) -> str:
    """What of a finding is otherwise, and whether that is known of all its data."""
    pairs = one.fields.items()
    told = ", ".join(f"{name.replace('_', ' ')} {_value(was)} -> {_value(now)}" for name, (was, now) in pairs)
    return f"{told} ({_IN_PART})" if one.after.id in of.unseen else told


def _value(one: object) -> str:
    if isinstance(one, datetime):
        return words.instant(one)
    return words.number(one) if isinstance(one, int) else str(one if one is not None else "none")


def what(one: Group) -> str:
    """What became of a group of data."""
    return ", ".join(told for told in (CHANGES[one.change], TURNS[one.turn]) if told)


def namespaces(count: int | None) -> str:
    """How many; a question mark where that is not known."""
    return words.number(count) if count is not None else "?"


def _amount(one: Total) -> str:
    spaces = f" in {words.counted(one.namespaces, 'namespace')}" if one.namespaces is not None else ""
    return f"{words.counted(one.objects, 'object')} ({words.size(one.size)}){spaces}"
