"""Which keys may be named to a tenant: the name of any other may be another tenant's."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from auditor.findings import Judgement
from auditor.model import Cloud, KeyName
from auditor.ownership.registered import Doubt
from auditor.ownership.spelling import EACH_ITS_OWN, Spelling, spelling_by
from auditor.ports import TenantRows
from auditor.run import Parts


class Alike:
    """Names of keys, found by any that is, or may be, of the same key."""

    def __init__(self, keys: Iterable[KeyName], spelling: Spelling) -> None:
        self._spelling = spelling
        self._keys: dict[str, list[KeyName]] = defaultdict(list)
        for one in keys:
            self._keys[_last(one)].append(one)

    def of(self, key: KeyName) -> Iterator[tuple[KeyName, bool]]:
        """Yield those that may be this one, and whether that is known: by the same name, as a replica, or by the other.

        A Google project has an id and a number: whether two names are of one key there is known once both were read.
        """
        for one in self._keys.get(_last(key), ()):
            if (is_one := self._spelling.is_one(one, key)) is not False:
                yield one, is_one is True


class Nameable:
    """A key is named where somebody says that it is the tenant's.

    So it is where nobody says whose it is and nothing is under it but the tenant's data. What is said of a name that
    may be another key's, as far as anybody knows, speaks against that, and never for it.
    """

    def __init__(
        self,
        tenant: str,
        tenants: Mapping[KeyName, str],
        others: Iterable[KeyName],
        spelling: Spelling = EACH_ITS_OWN,
    ) -> None:
        """`tenants`: whose keys are, as far as somebody says so; `others`: keys that others may have data under."""
        self._tenant = tenant
        self._tenants = tenants
        self._spelling = spelling
        self._said = Alike(tenants, spelling)
        self._others = Alike(frozenset(others), spelling)

    @property
    def owned(self) -> frozenset[KeyName]:
        """Keys of which somebody says that they are the tenant's, and nobody that they are another's."""
        return frozenset(one for one, tenant in self._tenants.items() if tenant == self._tenant and self.may_be(one))

    def may_be(self, key: KeyName) -> bool:
        """Whether it may be named, given that data of the tenant is under it, or that it is one of the tenant's."""
        said = [(self._tenants[one], is_known) for one, is_known in self._said.of(key)]
        if any(tenant != self._tenant for tenant, _ in said):
            return False
        return any(is_known for _, is_known in said) or not any(self._others.of(key))

    def among(self, keys: Iterable[KeyName], some: Iterable[KeyName]) -> Iterator[KeyName]:
        """Yield those of `keys` that are, or may be, one of some others, by whatever name."""
        alike = Alike(some, self._spelling)
        return (one for one in keys if any(alike.of(one)))


def _last(key: KeyName) -> str:
    """What all names of one key end in: its id on AWS, on Google Cloud all but the project."""
    return key.text.partition("/")[2] if key.cloud is Cloud.AWS else key.text.partition("/locations/")[2]


def nameable_to(tenant: str, doubt: Doubt, parts: Parts, judgement: Judgement, every: Iterable[TenantRows]) -> Nameable:
    """Which keys may be, by what registries said to a judgement, and by who has data under them in any of these rows.

    Raises:
        LedgerError: the ledger or the inventory, or what registries said, cannot be read.
    """
    said = judgement.registered.digest
    others = (KeyName(one) for rows in every for one in rows.keys_of_others(tenant, doubt))
    # Whose a key is of which the config says two tenants nobody knows.
    of_several = parts.registry.shared(said) | parts.registry.parted(said)
    spelling = spelling_by(parts.ledger.memory())
    return Nameable(tenant, parts.registry.tenants(said), {*of_several, *others}, spelling)
