"""What a person is told of an evidence bundle: when it is made, and what verifying it proves and what not."""

from collections.abc import Iterator
from typing import Final

from auditor.evidence.statement import Statement
from auditor.evidence.verified import Check, Looked, Outcome, Verified
from auditor.outputs import words

_TRUTH: Final = "that what was written down is true: for that answers who signed it"
_WHEN: Final = "when it was signed: its times are those of the clouds' clocks, as who signed it tells them"
_NEWEST: Final = "that it is the newest bundle there is: ask for one as often as you need to know"
_ALL: Final = "that this is all of the tenant's: of what the operator has left out nothing can be seen"
_BY_WHAT: Final = (
    "by which config and version was judged: the ledger's event that says so names others as well, and is not in it"
)
_BEHIND: Final = (
    "that nothing behind the last bundle that somebody else has was left out or written anew: "
    "keep each bundle, and compare the next one with it"
)


def made(told: Statement, size: int, signer: str) -> Iterator[str]:
    """Lines: what it is about, how much it is, and who has signed it."""
    about = told.predicate
    whose = f", of tenant {about.judgement.tenant} alone" if about.judgement.tenant is not None else ""
    yield (
        f"evidence of judgement {about.judgement.id}{whose}: {words.counted(len(about.files), 'file')}, "
        f"{words.size(size)}, the ledger's {words.counted(about.ledger.events, 'event')}"
    )
    yield f"signed with the key whose fingerprint is sha256:{signer}"


def outcomes(found: Verified) -> dict[Check, Outcome]:
    """What became of each check, where none failed."""
    return {
        Check.SIGNATURE: Outcome.PASSED if found.bundle.signer is not None else Outcome.NOT_CHECKED,
        Check.FILES: Outcome.PASSED,
        Check.LEDGER: Outcome.PASSED,
        Check.CONTINUES: Outcome.PASSED if found.earlier is not None else Outcome.NOT_CHECKED,
    }


def signature(one: Looked) -> str:
    """Whether anybody vouches for it."""
    if one.signer is not None:
        return f"verified: signed by the key sha256:{one.signer}"
    named = f"the file names the key sha256:{one.named}" if one.named is not None else "the file names no key"
    return f"NOT verified, anybody may have written it (--key FILE verifies it); {named}"


def files(one: Looked) -> str:
    """How much it is, and that it is all."""
    count = words.counted(len(one.statement.subject), "file")
    return f"{count}, {words.size(one.size)}: each is as its manifest says, none lacks, and nothing else is there"


def ledger(one: Looked) -> str:
    """The ledger that it is of, and how much of it is in it."""
    told = one.statement.predicate.ledger
    return (
        f"{words.counted(told.events, 'event')}, chain head {told.head}; {words.number(one.shown)} of them are in it, "
        f"{words.counted(one.readings, 'reading')} of keys among them, and each stands in that chain"
    )


def continues(found: Verified) -> str:
    """Whether its ledger goes on from an earlier one's."""
    if found.earlier is None:
        return "NOT checked: --after EARLIER tells whether its ledger goes on from an earlier bundle's"
    then, now = (one.statement.predicate.ledger.events for one in (found.earlier, found.bundle))
    added = f"{words.number(now - then)} came since" if now > then else "none came since"
    return f"from {found.earlier.name}: its {words.counted(then, 'event')} are all there as they were, and {added}"


def proven(found: Verified) -> Iterator[str]:
    """What is proven."""
    one = found.bundle
    if one.signer is not None:
        yield f"who has the private key of sha256:{one.signer} signed exactly this, and not a byte was changed since"
    yield "the readings of keys in it are what its ledger keeps of them, as long as SHA-256 holds"
    if found.earlier is not None:
        yield (
            f"of the ledger that {found.earlier.name} is of no event was changed, left out, or put between since then"
        )


def not_proven(found: Verified) -> Iterator[str]:
    """What is not, whatever was given."""
    yield from (_TRUTH, _WHEN)
    if found.bundle.statement.predicate.judgement.tenant is not None:
        yield from (_ALL, _BY_WHAT)
    if found.earlier is not None:
        yield _BEHIND
    yield _NEWEST


def not_checked(found: Verified) -> Iterator[str]:
    """What could have been checked with something more."""
    if found.bundle.signer is None:
        yield "who signed it, and so whether anything in it may be believed: --key PUB.pem"
    if found.earlier is None:
        yield "whether its ledger was rolled back or written anew since an earlier bundle: --after EARLIER"
