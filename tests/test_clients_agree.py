"""Both clients of each cloud give the same census: the very bytes of the snapshot."""

import hashlib
import itertools
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor.config import load
from auditor.embedded.aws import AwsCloud, s3
from auditor.embedded.google import GoogleCloud
from auditor.inventory import files
from auditor.inventory.parts import published
from auditor.inventory.snapshot import DEPENDENCIES
from auditor.wiring import assemble
from tests.clouds import GOOGLE_KEY
from tests.connectors.test_aws_objects import BEGAN, BOTH, with_places_as_they_are
from tests.fleet_clouds import Clouds, the_fleet
from tests.hostile import NAMES
from tests.sweeps import begun

NUMBERS = itertools.count()
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def digests(clouds: Clouds, *only: str, by_sdk: bool) -> dict[str, str]:
    """Bucket -> SHA-256 of its snapshot and of its dependencies; `only`: of these alone."""
    assembly = assemble(load(clouds.config), lambda: NOW, by_sdk=by_sdk)
    try:
        found = {}
        for source in assembly.parts.sources:
            if only and source.url.partition("://")[2] not in only:
                continue
            written = assembly.inventory.write(source.url, begun(f"sweep-{next(NUMBERS)}"), source)
            folder = load(clouds.config).state / "inventory" / Path(next(iter(written.files))).parent
            # In which bytes an object was listed is what one of the clients alone keeps.
            digests = (digest for one in published(folder) for digest in one.digests)
            found[source.url] = " ".join([files.digest(folder / DEPENDENCIES), *digests])
            assert written.listed
        return found
    finally:
        assembly.close()


def test_the_demo_fleet_is_the_same_to_the_byte(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with the_fleet(monkeypatch, tmp_path) as clouds:
        fast = digests(clouds, by_sdk=False)
        assert len(fast) >= 8
        assert fast == digests(clouds, by_sdk=True)


def test_hostile_names_are_the_same_to_the_byte(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with the_fleet(monkeypatch, tmp_path) as clouds:
        (google, *_), (aws, *_) = clouds.google.store.buckets, clouds.aws.store.buckets
        for cloud, bucket in ((clouds.google, google), (clouds.aws, aws)):
            make_odd(cloud, bucket)
        fast = digests(clouds, google, aws, by_sdk=False)
        assert len(fast) == 2
        assert fast == digests(clouds, google, aws, by_sdk=True)
        make_odd(clouds.aws, aws)
        assert digests(clouds, google, aws, by_sdk=False) != fast, "the digests see what is stored"


@pytest.mark.parametrize("places", [BOTH, BEGAN], ids=["neither place", "the next place"])
def test_what_a_store_lists_as_ceph_does_is_the_same_to_the_byte(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, places: re.Pattern[str]
) -> None:
    with the_fleet(monkeypatch, tmp_path) as clouds:
        aws, *_ = clouds.aws.store.buckets
        home = clouds.aws.store.buckets[aws]
        home.versioned = True
        # Of what is there a part will do: it is listed in pages of two.
        home.objects = dict(itertools.islice(home.objects.items(), 100))
        # What no XML holds as it is, is no place where such a store could go on.
        names = [one for one in NAMES.values() if not {"\x1b", "\n"} & {*one}]
        for number, name in enumerate((*names, "acme/a%2B", "acme/a%C3%A9", "acme/a+", "acme/a\xe9")):
            clouds.aws.store.put(aws, name, size=1, sse="AES256")
            for _ in range(number % 5):
                clouds.aws.store.delete(aws, name, None)
        fast = digests(clouds, aws, by_sdk=False)
        monkeypatch.setattr(s3, "_PAGE", 2)
        with_places_as_they_are(monkeypatch, places)
        assert fast == digests(clouds, aws, by_sdk=False), "no page without an entry hides any"
        assert fast == digests(clouds, aws, by_sdk=True)


def make_odd(cloud: AwsCloud | GoogleCloud, bucket: str) -> None:
    """Put every hostile name, some several times, some under a key that only the writer holds."""
    for number, name in enumerate(NAMES.values()):
        for _ in range(1 + number % 3):
            if isinstance(cloud, AwsCloud):
                odd = {"customer_key": hashlib.sha256(name.encode()).digest()} if number % 5 == 4 else {}
                cloud.store.put(bucket, name, size=number, sse=None if odd else "AES256", **odd)
            else:
                deleted = {"soft_deleted_since": NOW} if number % 4 == 3 else {}
                cloud.store.put(bucket, name, size=number, key=GOOGLE_KEY, version=1, **deleted)
