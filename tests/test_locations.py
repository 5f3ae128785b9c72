"""Which key locations serve a bucket, row by row of the clouds' tables."""

import pytest

from auditor.locations import needed_location, serves
from auditor.model import BucketFacts, Cloud, KeyName


def google(location: str | None, *regions: str) -> BucketFacts:
    return BucketFacts("gs://data", Cloud.GCP, location, data_locations=regions)


def amazon(region: str | None) -> BucketFacts:
    return BucketFacts("s3://data", Cloud.AWS, region)


def key(location: str, project: str = "acme") -> KeyName:
    return KeyName.parse(f"projects/{project}/locations/{location}/keyRings/r/cryptoKeys/k")


def aws_key(region: str, name: str = "1f3c0f5e-0000-4000-8000-000000000001", partition: str = "aws") -> KeyName:
    return KeyName.parse(f"arn:{partition}:kms:{region}:111122223333:key/{name}")


NEEDED: dict[str, tuple[BucketFacts, str | None]] = {
    "a region": (google("us-east1"), "us-east1"),
    "a region in capitals": (google("US-EAST1"), "us-east1"),
    "a region with two digits": (google("EUROPE-WEST10"), "europe-west10"),
    "a region of one word and another": (google("northamerica-northeast1"), "northamerica-northeast1"),
    "the multi-region us": (google("US"), "us"),
    "the multi-region eu, which KMS calls otherwise": (google("EU"), "europe"),
    "the multi-region asia": (google("ASIA"), "asia"),
    "the dual-region asia1": (google("ASIA1"), "asia1"),
    "the dual-region eur4": (google("EUR4"), "eur4"),
    "the dual-region nam4": (google("NAM4"), "nam4"),
    "eur5, of which only the general rule speaks": (google("EUR5"), None),
    "eur7": (google("EUR7"), None),
    "eur8": (google("EUR8"), None),
    "a dual-region that was chosen in us": (google("US", "us-east1", "us-west1"), "us"),
    "one in eu": (google("EU", "europe-west1", "europe-north1"), "europe"),
    "one in asia": (google("ASIA", "asia-east1", "asia-south1"), "asia"),
    "one of us that has a region in Canada": (google("US", "northamerica-northeast1", "us-east1"), None),
    "one of Canada": (google("CA", "northamerica-northeast1", "northamerica-northeast2"), None),
    "one of Australia": (google("AU", "australia-southeast1", "australia-southeast2"), None),
    "one of asia that has a region in Australia": (google("ASIA", "asia-east1", "australia-southeast1"), None),
    "chosen regions of a place with a name of its own": (google("NAM4", "us-central1", "us-east1"), None),
    "a place that is not known here": (google("MARS"), None),
    "nobody told": (google(None), None),
    "a Region of AWS": (amazon("eu-west-1"), "eu-west-1"),
    "no Region": (amazon(None), None),
}


@pytest.mark.parametrize(("bucket", "location"), NEEDED.values(), ids=NEEDED)
def test_every_place_of_a_bucket_needs_the_key_location_of_the_table(bucket: BucketFacts, location: str | None) -> None:
    assert needed_location(bucket) == location


SERVES: dict[str, tuple[KeyName, BucketFacts, bool | None]] = {
    "the same region": (key("us-east1"), google("US-EAST1"), True),
    "the same region, spelled in capitals": (key("US-EAST1"), google("us-east1"), True),
    "whichever project it is of": (key("us-east1", "123456"), google("us-east1"), True),
    "another region": (key("us-east4"), google("us-east1"), False),
    "the multi-region around the region": (key("us"), google("us-east1"), False),
    "a region of the multi-region": (key("us-east1"), google("US"), False),
    "europe for eu": (key("europe"), google("EU"), True),
    "eu for eu": (key("eu"), google("EU"), False),
    "global": (key("global"), google("us-east1"), False),
    "global for a place that nobody knows": (key("GLOBAL"), google(None), False),
    "global for one that is not documented": (key("global"), google("EUR5"), False),
    "europe for eur5": (key("europe"), google("EUR5"), None),
    "us for eur5": (key("us"), google("EUR5"), None),
    "of a place that nobody told": (key("us-east1"), google(None), None),
    "of AWS, for a bucket of Google": (aws_key("us-east-1"), google("us-east1"), False),
    "of Google, for a bucket of AWS": (key("us-east1"), amazon("us-east-1"), False),
    "of a place of the same name in the other cloud": (key("us-east-1"), amazon("us-east-1"), False),
    "of the bucket's Region": (aws_key("us-east-1"), amazon("us-east-1"), True),
    "of a Region in capitals": (aws_key("us-east-1"), amazon("US-EAST-1"), True),
    "of another Region": (aws_key("us-east-2"), amazon("us-east-1"), False),
    "of a Region, for a bucket of which nobody told it": (aws_key("us-east-1"), amazon(None), None),
    "a replica in the bucket's Region": (aws_key("eu-west-1", "mrk-1"), amazon("eu-west-1"), True),
    "a replica in another Region": (aws_key("us-east-1", "mrk-1"), amazon("eu-west-1"), False),
}


@pytest.mark.parametrize(("name", "bucket", "answer"), SERVES.values(), ids=SERVES)
def test_a_key_serves_a_bucket_by_its_own_location_alone(
    name: KeyName,
    bucket: BucketFacts,
    answer: bool | None,  # noqa: FBT001 - a case
) -> None:
    assert serves(name, bucket) is answer


def test_replicas_are_of_one_multi_region_key() -> None:
    one = aws_key("us-east-1", "mrk-1")
    assert one.is_replica_of(aws_key("eu-west-1", "mrk-1"))
    assert not one.is_replica_of(aws_key("eu-west-1", "mrk-2"))
    assert not one.is_replica_of(aws_key("cn-north-1", "mrk-1", "aws-cn"))
    assert not one.is_replica_of(KeyName(one.text.replace("111122223333", "444455556666")))
    assert not aws_key("us-east-1").is_replica_of(aws_key("eu-west-1"))
    assert not key("us-east1").is_replica_of(key("us-east1"))
    assert not one.is_replica_of(key("us-east1"))
