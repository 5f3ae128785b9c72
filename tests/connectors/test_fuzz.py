"""Parsers take anything: they give a value or the one error that they document, and never hang."""

from datetime import UTC, datetime
from typing import Any

import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.connectors.aws.keys import parse_key
from auditor.connectors.aws.objects import Listed, parse_head
from auditor.connectors.gcp.objects import parse_object
from auditor.connectors.gcp.policy import Policies, grant_of, parse_policy
from auditor.connectors.gcp.uploads import parse_uploads
from auditor.errors import UsageError
from auditor.inventory.layout import Layout
from auditor.model import AwsKey, Encryption, Grant, KeyName, split_version
from tests.core_builders import AWS_KEY

AT = datetime(2026, 1, 1, tzinfo=UTC)
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=40) | st.floats(allow_nan=False)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
ENTRY = st.fixed_dictionaries(
    {},
    optional={
        "name": SCALARS,
        "generation": SCALARS,
        "size": SCALARS,
        "timeCreated": SCALARS | st.just("2026-01-01T00:00:00.000Z"),
        "timeDeleted": SCALARS,
        "kmsKeyName": SCALARS,
        "customerEncryption": JSON,
        "storageClass": SCALARS,
    },
)


@given(ENTRY, st.booleans())
def test_a_page_entry_of_cloud_storage(told: dict[str, Any], soft: bool) -> None:  # noqa: FBT001 - drawn
    try:
        one = parse_object(told, AT, soft_deleted=soft)
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        return
    assert one.size >= 0
    assert (one.encryption is Encryption.UNKNOWN) == (one.problem is not None)
    assert (one.encryption is Encryption.CMEK) == (one.key is not None)


@given(st.dictionaries(st.sampled_from(["ServerSideEncryption", "SSEKMSKeyId", "Restore", "ArchiveStatus"]), st.text()))
def test_the_headers_of_a_head(told: dict[str, str]) -> None:
    listed = Listed("a", None, newest=True, size=1, modified=AT, etag=None, storage_class="GLACIER")
    one = parse_head(listed, told, AT)
    assert (one.encryption is Encryption.UNKNOWN) == (one.problem is not None) == (one.verified is None)


@given(st.dictionaries(st.sampled_from(["KeyState", "KeyManager", "Origin", "MultiRegion"]), SCALARS))
def test_the_metadata_of_an_aws_key(told: dict[str, Any]) -> None:
    key = AwsKey(**parse_key(AWS_KEY, told))
    assert key.state == str(told.get("KeyState", ""))


@given(st.lists(st.fixed_dictionaries({}, optional={"role": SCALARS, "members": st.lists(SCALARS), "condition": JSON})))
def test_a_policy_of_anything_never_grants_directly_what_it_does_not_name(bindings: list[dict[str, Any]]) -> None:
    policy = parse_policy({"bindings": bindings})
    grant = grant_of("nobody@nowhere.example", Policies(policy, policy, policy))
    assert grant is not Grant.DIRECT
    assert grant is not Grant.WITHDRAWN


@given(st.binary(max_size=300) | st.text(alphabet="<>/aU&;!ELOKS ", max_size=80).map(str.encode))
def test_a_page_of_uploads(raw: bytes) -> None:
    try:
        count, following = parse_uploads(raw)
    except requests.JSONDecodeError:
        return
    assert count >= 0
    assert following is None or "upload-id-marker" in following


def test_a_page_of_uploads_whose_entities_explode_is_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 1000 + b'">'
    for number in range(8):
        bomb += f'<!ENTITY c{number} "{f"&c{number - 1};" * 20 if number else "&b;" * 20}">'.encode()
    try:
        count, _ = parse_uploads(bomb + b"]><r><Upload>&c7;</Upload></r>")
    except requests.JSONDecodeError:
        return
    assert count <= 1


@given(st.text())
def test_a_key_name_is_whole_or_refused(text: str) -> None:
    try:
        name, version = split_version(text)
    except ValueError:
        return
    assert text == (f"{name}/cryptoKeyVersions/{version}" if version else name.text)


@given(st.text(alphabet="{}abc_/-. é", max_size=24), st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.filter_too_much])
def test_a_layout_reads_any_name_or_was_refused_itself(layout: str, name: str) -> None:
    try:
        compiled = Layout.parse(layout)
    except UsageError:
        return
    namespace, tenant = compiled.read(name)
    assert namespace is None or all(part in name for part in namespace.split("/"))
    assert tenant is None or namespace is not None


@given(st.sampled_from(["a-keys", "a:b"]), st.integers(1, 10**9))
def test_versions_of_keys_in_projects_of_domains_are_read(project: str, number: int) -> None:
    text = f"projects/{project}/locations/l/keyRings/r/cryptoKeys/k"
    assert split_version(f"{text}/cryptoKeyVersions/{number}") == (KeyName(text), str(number))
