"""What a bundle tells a tenant, and what it does not, for the operator who has made it."""

from collections.abc import Iterator

from auditor.handover.bundle import Bundle
from auditor.model import Encryption
from auditor.outputs import words


def made(bundle: Bundle, signer: str) -> Iterator[str]:
    """Lines: how much it is, who has signed it, and what is open in it."""
    namespaces, objects, size = bundle.amounts
    yield (
        f"{words.counted(namespaces, 'namespace')} of {bundle.tenant}, {words.counted(objects, 'object')}, "
        f"{words.size(size)}, in {words.counted(len(bundle.buckets), 'bucket')}; the oldest sweep began "
        f"{words.exactly(bundle.swept)}"
    )
    yield f"signed with the key whose fingerprint is sha256:{signer}"
    yield from (f"not in it: {one}" for one in lacking(bundle))


def lacking(bundle: Bundle) -> Iterator[str]:
    """What there may be of the tenant that is not in it."""
    seen = bundle.seen
    if kept := sum(
        one[1]
        for some in bundle.data
        if some.encryption is Encryption.CMEK and some.key is None
        for one in some.namespaces
    ):
        yield f"the name of the key of {words.counted(kept, 'object')}: it may be another tenant's"
    if seen.unclear:
        told = "of which nobody says for certain whose they are"
        yield f"{words.counted(seen.unclear, 'namespace')} of all tenants {told}"
    if seen.unswept:
        yield f"{words.counted(seen.unswept, 'bucket')} without a whole sweep"
    if seen.elsewhere is None or seen.elsewhere:
        count = "whatever number of buckets" if seen.elsewhere is None else words.counted(seen.elsewhere, "bucket")
        yield f"{count} in no config"
    if not seen.registries:
        yield "what registries say that cannot be read or used now"
