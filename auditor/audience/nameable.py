"""Which keys may be named to a tenant: the name of any other may be another tenant's."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from auditor.findings import Judgement
from auditor.model import Cloud, KeyName
from auditor.ownership.registered import Doubt
from auditor.ports import TenantRows
from auditor.run import Parts


class Alike:
    """Names of keys, found by any that may be of the same key."""

    def __init__(self, keys: Iterable[KeyName]) -> None:
        self._keys: dict[str, list[KeyName]] = defaultdict(list)
        for one in keys:
            self._keys[_last(one)].append(one)

    def of(self, key: KeyName) -> Iterator[KeyName]:
        """Yield those that may be this one: by the same name, as a replica, or by the other name of its project."""
        for one in self._keys.get(_last(key), ()):
            if one == key or one.is_replica_of(key) or one.may_be(key):
                yield one


class Nameable:
    """A key is named where somebody says that it is the tenant's.

    So it is where nobody says whose it is and nothing is under it but the tenant's data.
    """

    def __init__(self, tenant: str, tenants: Mapping[KeyName, str], others: Iterable[KeyName]) -> None:
        """`tenants`: whose keys are, as far as somebody says so; `others`: keys that others may have data under."""
        self._tenant = tenant
        self._tenants = tenants
        self._said = Alike(tenants)
        self._others = Alike(frozenset(others))

    @property
    def owned(self) -> frozenset[KeyName]:
        """Keys of which somebody says that they are the tenant's, and nobody that they are another's."""
        return frozenset(one for one, tenant in self._tenants.items() if tenant == self._tenant and self.may_be(one))

    def may_be(self, key: KeyName) -> bool:
        """Whether it may be named, given that data of the tenant is under it, or that it is one of the tenant's."""
        owners = {self._tenants[one] for one in self._said.of(key)}
        return owners == {self._tenant} or not (owners or any(self._others.of(key)))


def _last(key: KeyName) -> str:
    """What all names of one key end in: its id on AWS, on Google Cloud all but the project."""
    return key.text.partition("/")[2] if key.cloud is Cloud.AWS else key.text.partition("/locations/")[2]


def nameable_to(tenant: str, doubt: Doubt, parts: Parts, judgement: Judgement, every: Iterable[TenantRows]) -> Nameable:
    """Which keys may be, by what registries said to a judgement, and by who has data under them in any of these rows.

    Raises:
        LedgerError: the inventory, or what registries said, cannot be read.
    """
    said = judgement.registered.digest
    others = (KeyName(one) for rows in every for one in rows.keys_of_others(tenant, doubt))
    return Nameable(tenant, parts.registry.tenants(said), {*parts.registry.shared(said), *others})
