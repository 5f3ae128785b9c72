"""Which keys may be told a tenant word by word, as they answered: what a key says may name what is another's."""

from collections.abc import Iterable, Iterator, Mapping

from auditor.model import AwsKey, Cloud, GcpKey, KeyMemory, KeyName
from auditor.readability.aws import store_name


def told_wholly(owned: Iterable[KeyName], memory: Mapping[KeyName, KeyMemory]) -> frozenset[KeyName]:
    """Keys of the tenant's whose answers name nothing that may be another's.

    `owned`: keys of which somebody says that they are the tenant's, who can read what their own policies say. Another's
    may be what stands behind a key of another as well, the keys of a ring, and on Google Cloud who may decrypt beside
    the platform: policies of a ring or project name people of all that have keys there, and nobody lists those keys.
    """
    mine = frozenset(owned)
    shared = frozenset(one for name, known in memory.items() if name not in mine for one in behind(known.last))
    return frozenset(
        name for name in mine if name in memory and not _names_others(name, memory[name].last, mine, shared)
    )


def _names_others(
    name: KeyName,
    last: AwsKey | GcpKey | None,
    mine: frozenset[KeyName],
    shared: frozenset[str],
) -> bool:
    if not shared.isdisjoint(behind(last)):
        return True
    access = last.access if last is not None else None
    if access is None:
        return False
    if not {KeyName(one) for one in access.ring_keys} <= mine:
        return True
    return name.cloud is Cloud.GCP and bool(access.others)


def behind(key: AwsKey | GcpKey | None) -> Iterator[str]:
    """Names of the stores, instances and connections behind a key."""
    match key:
        case AwsKey(store=store) if store is not None:
            yield store_name(key.name, store.id)
        case GcpKey():
            yield from (one.name for one in key.connections)
            yield from (one.ekm_connection for one in key.versions if one.ekm_connection is not None)
            if key.hsm_instance is not None:
                yield key.hsm_instance.name
