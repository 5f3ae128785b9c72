"""One bucket whose namespaces registries tell of: whose each is, and which of them are not as they should be."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from auditor.embedded import google
from auditor.embedded.turbopuffer import Platform, customer_managed

BUCKET: Final = "tpuf-gcp-us-central1"
API_KEY: Final = "tpuf_demo_A1b2C3d4E5f6"
"""What the platform wants to hear, and no secret: it is our own, on loopback."""
API_KEY_ENV: Final = "CMEK_DEMO_API_KEY"
"""The environment variable that the config names."""
FILE: Final = "namespaces.csv"
_PLACE: Final = "us-central1"
_DECRYPTER: Final = "roles/cloudkms.cryptoKeyEncrypterDecrypter"


def _key(project: str, name: str) -> str:
    return f"projects/{project}-keys/locations/{_PLACE}/keyRings/tpuf/cryptoKeys/{name}"


MARLIN: Final = _key("marlin", "data")
"""Marlin's own key, by the config."""
_ARCHIVE: Final = _key("marlin", "archive")
NACRE: Final = _key("nacre", "data")
"""All data is under its second version: nothing needs the first."""
BEFORE: Final = _key("opal", "data-2025")
"""What opal's data moves away from."""
_AFTER: Final = _key("opal", "data-2026")
_VERSIONS: Final = {MARLIN: 1, _ARCHIVE: 1, NACRE: 2, BEFORE: 1, _AFTER: 1}


@dataclass(frozen=True)
class Space:
    """One namespace: what is stored, and what registries say of it."""

    name: str
    stored: tuple[tuple[str, int], ...]
    """(key, objects under it)."""
    key: str | None = None
    """What the registries say; None: they do not know it."""
    tenant: str = ""
    owner: str = ""
    team: str = ""


SPACES: Final = (
    Space("marlin-search", ((MARLIN, 60),), MARLIN, "marlin", "search-oncall@marlin.example", "search"),
    # Under another key than the one that was agreed on.
    Space("marlin-orders", ((_ARCHIVE, 40),), MARLIN, "marlin", "orders-oncall@marlin.example", "orders"),
    Space("nacre-search", ((NACRE, 50),), NACRE, "nacre", "search-oncall@nacre.example", "search"),
    # As the platform means it to be: it put one customer's data under another one's key.
    Space("nacre-events", ((MARLIN, 30),), MARLIN, "nacre", "events-oncall@nacre.example", "events"),
    # A re-key that has come half way.
    Space("opal-search", ((BEFORE, 45), (_AFTER, 25)), _AFTER, "opal", "search-oncall@opal.example", "search"),
    # What a namespace left behind that is gone.
    Space("quince-old", ((NACRE, 12),)),
)


def fill(store: google.Store, project: str, agent: str) -> None:
    """Write the bucket, after all that hangs on chance: nothing here does."""
    store.add_bucket(BUCKET, project, _PLACE)
    made = store.clock() - timedelta(days=90)
    for name, versions in _VERSIONS.items():
        owner = name.split("/")[1]
        if owner not in store.projects:
            store.add_project(owner, 950_000_000_000 + len(store.projects))
        key = store.add_key(name, versions=versions, created=made)
        for number, version in key.versions.items():
            version.created = made + timedelta(days=20 * (number - 1))
        store.grant(name, _DECRYPTER, agent)
    for space in SPACES:
        place = 0
        for key_name, objects in space.stored:
            for number in range(place, place + objects):
                written = store.clock() - timedelta(days=60, minutes=-number)
                store.put(
                    BUCKET, f"{space.name}/{number:04}.seg", size=40_000 + 1_000 * number, key=key_name, created=written
                )
            place += objects


def write(folder: Path) -> None:
    """Write the file that says whose each namespace is, beside the config that names it."""
    out = io.StringIO()
    lines = csv.writer(out, lineterminator="\n")
    lines.writerow(("namespace", "key", "tenant", "owner", "team"))
    lines.writerows((one.name, one.key, one.tenant, one.owner, one.team) for one in _known())
    (folder / FILE).write_text(out.getvalue(), encoding="utf-8")


def tell(platform: Platform) -> None:
    """Let the platform know its namespaces: it says the same as the file."""
    for one in _known():
        platform.put(one.name, customer_managed(one.key or ""))


def _known() -> Iterator[Space]:
    return (one for one in SPACES if one.key is not None)


def config(project: str, until: date, platform: str | None) -> str:
    """The bucket, its registries, whose key one is, and an exception for the re-key until a day.

    `platform`: where its API is; None where nobody can ask it.
    """
    bucket = f'[[bucket]]\nurl = "gs://{BUCKET}"\naccount = "{project}"\nlayout = "{{namespace}}/"\n'
    registry = f'[[registry]]\nkind = "file"\npath = "{FILE}"\nbucket = "gs://{BUCKET}"\n'
    service = (
        f'[[registry]]\nkind = "turbopuffer"\nbase_url = "{platform}"\nregion = "gcp-{_PLACE}"\n'
        f'api_key_env = "{API_KEY_ENV}"\nbucket = "gs://{BUCKET}"\nrequests_per_second = 1000\n'
    )
    key = f'[[key]]\nname = "{MARLIN}"\ntenant = "marlin"\nowner = "search-oncall@marlin.example"\nteam = "search"\n'
    waiver = (
        f'[[waiver]]\nrule = "wrong-key"\nmatch = {{ namespace = "opal-*" }}\nuntil = {until}\n'
        'owner = "search-oncall@opal.example"\napproved_by = "head of security"\n'
        'reason = "re-key to data-2026 under way"\n'
    )
    return "\n".join([bucket, registry, *([service] if platform else []), key, waiver])
