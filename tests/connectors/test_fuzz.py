"""Parsers take anything: they give a value or the one error that they document, and never hang."""

import hashlib
import json
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.config import load
from auditor.connectors.aws import policy as aws_policy
from auditor.connectors.aws.encryption import parse_head
from auditor.connectors.aws.keys import parse_key, parse_materials
from auditor.connectors.aws.objects import Listed, headed
from auditor.connectors.aws.statements import parse_policy as parse_key_policy
from auditor.connectors.gcp.objects import parse_object
from auditor.connectors.gcp.policy import Policies, grant_of, parse_policy
from auditor.connectors.gcp.probes import why
from auditor.connectors.gcp.uploads import parse_uploads
from auditor.connectors.turbopuffer_answers import parse_metadata, parse_page
from auditor.errors import LedgerError, UsageError
from auditor.inventory.layout import Layout
from auditor.inventory.store import FileInventory
from auditor.ledger.store import LedgerStore
from auditor.model import AwsKey, Encryption, Grant, KeyName, ProbeOutcome, split_version
from auditor.ports import Written
from tests.core_builders import AWS_KEY, ROLE
from tests.inventory.test_store import a_sweep

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


@given(
    st.dictionaries(
        st.sampled_from(["ServerSideEncryption", "SSEKMSKeyId", "Restore", "ArchiveStatus", "ETag", "VersionId"]),
        st.text(),
    )
)
def test_the_headers_of_a_head(told: dict[str, str]) -> None:
    listed = Listed("a", None, newest=True, size=1, modified=AT, etag=None, storage_class="GLACIER")
    one = headed(listed, parse_head(told).told, AT)
    assert (one.encryption is Encryption.UNKNOWN) == (one.problem is not None) == (one.verified is None)


@given(st.dictionaries(st.sampled_from(["KeyState", "KeyManager", "Origin", "MultiRegion"]), SCALARS))
def test_the_metadata_of_an_aws_key(told: dict[str, Any]) -> None:
    key = AwsKey(**parse_key(AWS_KEY, told))
    assert key.state == str(told.get("KeyState", ""))


ENCRYPTION = st.fixed_dictionaries(
    {},
    optional={
        "mode": SCALARS | st.sampled_from(["default", "customer-managed"]),
        "key_name": SCALARS | st.sampled_from([AWS_KEY.text, f"{AWS_KEY.text}/1", "alias/main"]),
        "sse": SCALARS,
        "cmek": JSON | st.fixed_dictionaries({"key_name": SCALARS | st.just(AWS_KEY.text)}),
    },
)


@given(JSON | st.fixed_dictionaries({}, optional={"encryption": JSON | ENCRYPTION, "branching": JSON}))
def test_the_metadata_of_a_namespace_names_no_key_that_it_does_not_name_and_none_only_where_it_says_so(
    told: Any,
) -> None:
    try:
        one = parse_metadata("a", json.dumps(told).encode())
    except ValueError:
        assert not isinstance(told, dict)
        return
    given = told.get("encryption")
    if one.key is not None:
        assert (one.key, one.why) == (AWS_KEY.text, None)
        assert AWS_KEY.text in {given.get("key_name"), *(given.get("cmek") or {}).values()}
    elif one.why is None:
        said = {name: value for name, value in given.items() if value is not None}
        assert said in ({"mode": "default"}, {"sse": True})
        assert said.get("sse", True) is True, "1 is not true"


@given(st.binary() | (JSON | st.fixed_dictionaries({"namespaces": JSON})).map(lambda told: json.dumps(told).encode()))
def test_a_page_of_namespaces_lacks_none_of_its_entries(body: bytes) -> None:
    try:
        page = parse_page(body)
    except (ValueError, RecursionError):
        return
    assert len(page.names) + page.odd == len(json.loads(body)["namespaces"])
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,128}", one) and one not in {".", ".."} for one in page.names)


@given(st.lists(st.fixed_dictionaries({}, optional={"role": SCALARS, "members": st.lists(SCALARS), "condition": JSON})))
def test_a_policy_of_anything_never_grants_directly_what_it_does_not_name(bindings: list[dict[str, Any]]) -> None:
    policy = parse_policy({"bindings": bindings})
    grant = grant_of("nobody@nowhere.example", Policies(policy, policy, policy))
    assert grant is not Grant.DIRECT
    assert grant is not Grant.WITHDRAWN


STATEMENT = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            ("Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"), JSON
        ),
        "Effect": SCALARS | st.sampled_from(["Allow", "Deny"]),
    },
)


@given(JSON | st.fixed_dictionaries({"Statement": JSON | STATEMENT | st.lists(STATEMENT, max_size=3)}))
def test_a_key_policy_of_anything_never_lets_in_whom_it_does_not_name(told: Any) -> None:
    try:
        statements = parse_key_policy(json.dumps(told))
    except ValueError:
        return
    found = aws_policy.access_of(AWS_KEY, (ROLE,), aws_policy.Policies(statements), {})
    grant = found.grant(ROLE, "kms:Decrypt")
    text = json.dumps(told)
    assert grant is not Grant.UNREAD
    if grant is Grant.DIRECT:
        assert '"*"' in text or ROLE in text
    if grant is Grant.DENIED:
        assert '"Deny"' in text


@given(
    st.lists(st.dictionaries(st.sampled_from(["KeyMaterialId", "KeyMaterialState", "ImportState", "ValidTo"]), SCALARS))
)
def test_a_list_of_materials(told: list[dict[str, Any]]) -> None:
    plain = [{name: value for name, value in one.items() if name != "ValidTo"} for one in told]
    found = parse_materials(plain)
    assert len(found) == len({one.id for one in found})
    assert all(
        one.imported is False for one in found if not any(each.get("ImportState") == "IMPORTED" for each in plain)
    )


@given(
    st.dictionaries(
        st.sampled_from(["GranteePrincipal", "Operations", "Constraints"]), st.none() | st.text() | st.lists(st.text())
    )
)
def test_a_grant(told: dict[str, Any]) -> None:
    try:
        grant = aws_policy.parse_grant(told)
    except TypeError:
        return
    assert grant.constrained == bool(told.get("Constraints"))


@given(st.integers(100, 599), JSON | st.fixed_dictionaries({"error": JSON}))
def test_an_error_answer_of_a_read_blames_the_key_only_in_so_many_words(status: int, told: Any) -> None:
    outcome, code = why(status, told if isinstance(told, dict) else {})
    if outcome is ProbeOutcome.REFUSED:
        assert code in json.dumps(told) or "Cloud KMS key" in json.dumps(told)


TOML = st.text(alphabet="[]{}\"'=.#\n ab01-_:/s3gs", max_size=80) | st.binary(max_size=60).map(
    lambda raw: raw.decode("utf-8", "replace")
)


@given(st.lists(st.sampled_from(["[[bucket]]", 'url = "s3://data"', 'layout = "{org}/"', "[policy]", "x = 1"]) | TOML))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_config_of_anything_is_one_error_or_a_config(tmp_path: Path, lines: list[str]) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    try:
        config = load(path)
    except UsageError as error:
        told = error
    else:
        assert config.bucket
        return
    assert ("\n" in str(told), bool(told.hint)) == (False, True)


@given(st.binary(max_size=200))
@settings(max_examples=30)
def test_stored_files_of_anything_are_one_error(raw: bytes) -> None:
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "inventory" / "s3-data-1" / "sweep"
        folder.mkdir(parents=True)
        (folder / "dependencies.parquet").write_bytes(raw)
        (folder / "snapshot.json").write_bytes(raw)
        digest = hashlib.sha256(raw).hexdigest()
        files = {f"s3-data-1/sweep/{name}": digest for name in ("dependencies.parquet", "snapshot.json")}
        sweep = a_sweep(Written(files, 0, 0, 0, None, ()))
        inventory = FileInventory(Path(root) / "inventory", {})
        with pytest.raises(LedgerError):
            inventory.open([sweep]).holdings()
        assert inventory.samples([sweep]) == ()
        ledger = Path(root) / "ledger.db"
        ledger.write_bytes(raw)
        if len(raw) > 1:
            with pytest.raises(LedgerError):
                LedgerStore(ledger).judgement()
        else:
            assert LedgerStore(ledger).judgement() is None, "SQLite takes a file of one byte or none for a new one"


@given(st.binary(max_size=300) | st.text(alphabet="<>/aU&;!ELOKS ", max_size=80).map(str.encode))
def test_a_page_of_uploads(raw: bytes) -> None:
    try:
        uploads, following = parse_uploads(raw, {})
    except requests.JSONDecodeError:
        return
    assert len(uploads) <= raw.count(b"Upload")
    assert following is None or "upload-id-marker" in following


def test_a_page_of_uploads_whose_entities_explode_is_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 1000 + b'">'
    for number in range(8):
        bomb += f'<!ENTITY c{number} "{f"&c{number - 1};" * 20 if number else "&b;" * 20}">'.encode()
    try:
        uploads, _ = parse_uploads(bomb + b"]><r><Upload>&c7;</Upload></r>", {})
    except requests.JSONDecodeError:
        return
    assert len(uploads) <= 1


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
