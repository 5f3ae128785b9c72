import os
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest

from auditor.config import Config, load
from auditor.errors import UsageError

S3_BUCKET = '[[bucket]]\nurl = "s3://data"\nlayout = "{a}/"\n'
BUCKET = '[[bucket]]\nurl = "gs://data"\nlayout = "{org}/{namespace}/"\n'
KEY = "arn:aws:kms:us-east-1:111122223333:key/1f3c0f5e-0000-4000-8000-000000000001"
KEPT = '[schedule]\nreport = "0 6 * * *"\n[report]\n'

HUB = "arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default"
REFUSED = {
    "an upload of nothing": (BUCKET + '[report]\nupload = "s3://own"\n', "[schedule] report keeps nothing"),
    "an upload into data": (BUCKET + KEPT + 'upload = "gs://data/reports"\n', "is in gs://data, whose data is audited"),
    "an upload to nowhere": (BUCKET + KEPT + 'upload = "reports"\n', "'reports' names no folder of a bucket"),
    "an upload beside a folder": (BUCKET + KEPT + 'upload = "s3://own/a/../b"\n', "names no folder of a bucket"),
    "an upload into a hidden folder": (BUCKET + KEPT + 'upload = "s3://own/.a"\n', "names no folder of a bucket"),
    "an upload by nobody": (
        BUCKET + KEPT + 'upload = "s3://own"\nupload_account = "444455556666"\n',
        "[report] upload_account is '444455556666', and no [[account]] has that id",
    ),
    "a region of no upload": (BUCKET + KEPT + 'upload_region = "us-east-1"\n', "upload_account need upload"),
    "a region on Google Cloud": (
        BUCKET + KEPT + 'upload = "gs://own"\nupload_region = "us-east-1"\n',
        "upload_region is for S3 buckets only",
    ),
    "ASFF for nobody": (BUCKET + KEPT + 'formats = ["asff"]\n', "formats has asff, which needs security_hub"),
    "a Security Hub of two accounts": (
        BUCKET + KEPT + f'security_hub = "{HUB.replace("111122223333:p", "444455556666:p")}"\n',
        "is not the default integration of an account's Security Hub",
    ),
    "a Security Hub of a product": (
        BUCKET + KEPT + 'security_hub = "arn:aws:securityhub:us-east-1::product/acme/audit"\n',
        f"write it like {HUB}",
    ),
    "a Security Hub nowhere": (BUCKET + KEPT + f'security_hub = "{HUB.replace("us-east-1", "mars")}"\n', "is not the"),
    "no TOML": ("[[bucket", "not TOML"),
    "a list in a list in a list": ("state = " + "[" * 9999, "tables too deep in one another"),
    "no bucket": ("state = 'x'\n", "bucket"),
    "unknown table": (BUCKET + "[shedule]\nsweep = '0 * * * *'\n", "shedule: there is no such setting"),
    "unknown setting": ("[schedule]\nswep = '0 * * * *'\n" + BUCKET, "schedule.swep: there is no such setting"),
    "unknown in a list": (BUCKET + "laiout = 'x'\n", "bucket[1].laiout"),
    "bad URL": ('[[bucket]]\nurl = "http://data"\nlayout = "{a}/"\n', "is not a bucket URL"),
    "URL with a path": ('[[bucket]]\nurl = "gs://data/x"\nlayout = "{a}/"\n', "is not a bucket URL"),
    "upper case URL": ('[[bucket]]\nurl = "s3://Data"\nlayout = "{a}/"\n', "is not a bucket URL"),
    "the same URL twice": (BUCKET + BUCKET, "'gs://data' is given twice"),
    "impossible layout": ('[[bucket]]\nurl = "gs://data"\nlayout = "{a}"\n', "ends in a field"),
    "misspelt setting that must be there": (
        '[[bucket]]\nurl = "gs://data"\nlayuot = "{org}/"\n',
        "bucket[1].layuot: there is no such setting (and 1 more: bucket[1].layout)",
    ),
    "layout missing": ('[[bucket]]\nurl = "gs://data"\n', "bucket[1].layout: is missing"),
    "tenant field missing": (BUCKET + 'tenant_field = "x"\n', "no field {x}"),
    "region on GCS": (BUCKET + 'region = "us-east-1"\n', "region is for S3"),
    "no Region": (
        S3_BUCKET + 'region = "mars"\n',
        "'mars' is not the name of an AWS",
    ),
    "an availability zone": (
        S3_BUCKET + 'region = "us-east-1a"\n',
        "bucket[1].region",
    ),
    "a Region twice": (
        S3_BUCKET + 'region = "us-east-1us-east-1"\n',
        "bucket[1].region",
    ),
    "no populations": (
        BUCKET + "populations = []\n",
        "bucket[1].populations: is empty, so that nothing would be swept",
    ),
    "a population twice": (
        BUCKET + 'populations = ["live", "noncurrent", "live"]\n',
        "'live' is given twice",
    ),
    "soft-deleted on S3": (
        '[[bucket]]\nurl = "s3://data"\nlayout = "{a}/"\npopulations = ["soft_deleted"]\n',
        "S3 has no soft_deleted",
    ),
    "no such account": (BUCKET + 'account = "x"\n', "no [[account]] has that project"),
    "account of both clouds": (BUCKET + '[[account]]\nid = "111122223333"\nproject = "x"\n', "give either id"),
    "bad account id": (BUCKET + '[[account]]\nid = "12"\n', "account[1].id"),
    "role of another account": (
        BUCKET + '[[account]]\nid = "111122223333"\nrole_arn = "arn:aws:iam::444455556666:role/auditor"\n',
        "is a role of another account than id '111122223333'",
    ),
    "queue of a project": (
        BUCKET + '[[account]]\nproject = "x"\nfeed = "https://sqs.us-east-1.amazonaws.com/111122223333/q"\n',
        "of Google project x is not one: give a subscription of Pub/Sub, projects/PROJECT/subscriptions/NAME",
    ),
    "subscription of an account": (
        BUCKET + '[[account]]\nid = "111122223333"\nfeed = "projects/x/subscriptions/y-y"\n',
        "of AWS account 111122223333 is not one: give the URL of an SQS queue, https://sqs.REGION.amazonaws.com/",
    ),
    "queue elsewhere": (
        BUCKET + '[[account]]\nid = "111122223333"\nfeed = "https://sqs.evil.example/111122223333/q"\n',
        "is not one: give the URL of an SQS queue",
    ),
    "queue with a password": (
        BUCKET
        + '[[account]]\nid = "111122223333"\nfeed = "https://me:pass@sqs.us-east-1.amazonaws.com/111122223333/q"\n',
        "is not one: give the URL of an SQS queue",
    ),
    "one queue twice": (
        BUCKET
        + "".join(
            f'[[account]]\nid = "{one}"\nfeed = "https://sqs.us-east-1.amazonaws.com/111122223333/q"\n'
            for one in ("111122223333", "444455556666")
        ),
        "feed 'https://sqs.us-east-1.amazonaws.com/111122223333/q' is given twice",
    ),
    "bucket read with an account of the other cloud": (
        BUCKET + 'account = "111122223333"\n[[account]]\nid = "111122223333"\n',
        "no [[account]] has that project",
    ),
    "a day that never comes": (BUCKET + '[schedule]\nsweep = "0 0 30 2 *"\n', "names a day that never comes"),
    "nobody's folder": ("state = '~nobody-of-that-name/x'\n" + BUCKET, "state: '~nobody-of-that-name/x' names no"),
    "no folder": ("state = ' '\n" + BUCKET, "state: is empty"),
    "bad cron line": (BUCKET + '[schedule]\nsweep = "often"\n', "not a cron line"),
    "poll too often": (BUCKET + "[schedule]\nkey_poll = 1\n", "schedule.key_poll"),
    "key by alias": (BUCKET + '[[key]]\nname = "alias/mine"\n', "is an alias, which moves"),
    "key by its id": (BUCKET + '[[key]]\nname = "1f3c"\n', "is not the full name of a key"),
    "key by its version": (
        BUCKET + '[[key]]\nname = "projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/3"\n',
        "is a key version",
    ),
    "a tenant with a space behind it": (
        BUCKET + f'[[key]]\nname = "{KEY}"\ntenant = "acme "\n',
        "key[1].tenant: 'acme ' begins or ends with a space, and would be another name with it: take it away",
    ),
    "a bundle of one with a space before it": (
        '[[registry]]\nkind = "bundle"\npath = "b.json"\nsigner = "k.pem"\ntenant = " acme"\n',
        "registry[1].tenant: ' acme' begins or ends with a space",
    ),
    "a field of all namespaces with one": (
        BUCKET + '[[registry]]\nkind = "file"\npath = "n.csv"\nfields = { a = "acme " }\n',
        "registry[1].fields.a: 'acme ' begins or ends with a space",
    ),
    "a moment for a day": (
        BUCKET + f'[[key]]\nname = "{KEY}"\nintended_state = "revoked"\nsince = 2026-11-01T10:00:00Z\n',
        "key[1].since: is a day, not 2026-11-01 10:00:00+00:00",
    ),
    "one for a list": (BUCKET + '[platform]\naws_principals = "arn:aws:iam::111122223333:role/x"\n', "is a list, not"),
    "one agent for a list": (BUCKET + '[platform]\ngcp_service_agents = "a@b"\n', 'neither "bucket" nor a list'),
    "no names for agents": (BUCKET + "[platform]\ngcp_service_agents = [1, 2]\n", 'neither "bucket" nor a list'),
    "one table for a list of them": (BUCKET + f'[key]\nname = "{KEY}"\n', "key: is a list of tables"),
    "a list for one table": (BUCKET + "[[web]]\n", "web: is one table"),
    "no number": (BUCKET + "[policy]\nhorizon_days = nan\n", "policy.horizon_days"),
    "longer than time": (BUCKET + "[policy]\npropagation_minutes = 1e300\n", "policy.propagation_minutes"),
    "wide listen address": (BUCKET + '[web]\nlisten = "0.0.0.0:9464"\n', "is beyond loopback, and that needs TLS"),
    "no port": (BUCKET + '[web]\nlisten = "127.0.0.1"\n', "not HOST:PORT"),
    "a password in an endpoint": (BUCKET + '[gcp]\nkms_endpoint = "http://u:secret@h:1"\n', "'http://...@h:1' is not"),
    "bad endpoint": (BUCKET + '[gcp]\nkms_endpoint = "ftp://x"\n', "not an endpoint"),
    "a feed that is none": (
        BUCKET + '[[account]]\nproject = "p"\nfeed = "p/subscriptions/s"\n',
        "of Google project p is not one: give a subscription of Pub/Sub",
    ),
    "a topic for a feed": (
        BUCKET + '[[account]]\nproject = "p"\nfeed = "projects/p/topics/t"\n',
        "of Google project p is not one: give a subscription of Pub/Sub",
    ),
    "a feed in a path": (
        BUCKET + '[[account]]\nproject = "p"\nfeed = "projects/p/subscriptions/sss:seek?a="\n',
        "of Google project p is not one: give a subscription of Pub/Sub",
    ),
    "the log of another project": (
        BUCKET + '[[account]]\nproject = "p"\nfeed = "projects/other"\n',
        "is the audit log of another project than p",
    ),
    "a feed of two accounts": (
        BUCKET
        + '[[account]]\nproject = "p"\nfeed = "projects/p/subscriptions/one"\n'
        + '[[account]]\nproject = "q"\nfeed = "projects/p/subscriptions/one"\n',
        "feed 'projects/p/subscriptions/one' is given twice",
    ),
    "share above one": (BUCKET + "[limits]\nkms_quota_share = 2\n", "limits.kms_quota_share"),
    "text for a number": (BUCKET + '[policy]\nhorizon_days = "soon"\n', "policy.horizon_days"),
    "a log without a project": (BUCKET + '[log]\ncloud_logging = "cmek-auditor"\n', "log.cloud_logging"),
    "a log whose name holds a slash": (
        BUCKET + '[log]\ncloud_logging = "projects/acme-prod/logs/a/b"\n',
        "log.cloud_logging",
    ),
    "a log of Google's own": (
        BUCKET + '[log]\ncloud_logging = "projects/acme-prod/logs/cloudaudit.googleapis.com%2Factivity"\n',
        "log.cloud_logging",
    ),
    "a cluster without TLS": (
        BUCKET + '[workers]\nprocesses = 2\ndask = "tcp://dask.internal:8786"\n',
        "'tcp://dask.internal:8786' is no scheduler of Dask that is asked over TLS",
    ),
    "a cluster that proves nothing": (
        BUCKET + '[workers]\nprocesses = 2\ndask = "tls://dask.internal:8786"\ntls_cert = "c"\ntls_key = "k"\n',
        "dask needs tls_ca too",
    ),
    "a cluster that lists nothing": (
        BUCKET + '[workers]\ndask = "tls://d:8786"\ntls_ca = "a"\ntls_cert = "c"\ntls_key = "k"\n',
        "dask needs processes",
    ),
    "certificates for nobody": (BUCKET + '[workers]\ntls_ca = "ca.pem"\n', "tls_ca belongs to dask"),
    "an inventory in data": (
        'inventory = "gs://data/copies"\n' + BUCKET,
        "inventory is in gs://data, whose data is audited",
    ),
    "an inventory by nobody": (
        'inventory = "s3://own"\ninventory_account = "444455556666"\n' + BUCKET,
        "inventory_account is '444455556666', and no [[account]] has that id",
    ),
    "an inventory nowhere": ('inventory = "copies"\n' + BUCKET, "'copies' names no folder of a bucket"),
    "a region of no inventory": ('inventory_region = "us-east-1"\n' + BUCKET, "inventory_account need inventory"),
    "a region of Google's": (
        'inventory = "gs://own"\ninventory_region = "us-east-1"\n' + BUCKET,
        "inventory_region is for S3 buckets only",
    ),
    "reports that nobody makes": (BUCKET + 's3_inventory = "a/b"\n', "'a/b' is not the name of an inventory"),
    "reports of Google's": (BUCKET + 's3_inventory = "daily"\n', "s3_inventory is for S3 buckets only"),
    "reports beside a table": (
        BUCKET.replace("gs:", "s3:") + 's3_metadata = true\ns3_inventory = "daily"\n',
        "s3_metadata and s3_inventory exclude each other",
    ),
    "reports and workers": (
        BUCKET.replace("gs:", "s3:") + 'swept_by = "workers"\ns3_inventory = "daily"\n',
        "s3_inventory and swept_by exclude each other",
    ),
    "an answer that workers list": (
        BUCKET + 'answer = "a.csv"\nswept_by = "workers"\n',
        "answer and swept_by exclude each other",
    ),
    "hostile value": (BUCKET + '[log]\njson = "\\u001b[31m\\nforged"\n', "log.json"),
}


@pytest.mark.parametrize(("text", "told"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_with_file_setting_and_hint(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        load(path)
    message = str(refused.value)
    assert str(path) in message
    assert told in message
    assert refused.value.hint
    assert message.isprintable()


REGIONS = "us-east-1 ap-southeast-3 cn-northwest-1 us-gov-west-1 us-iso-east-1 eu-isoe-west-1 eusc-de-east-1"


@pytest.mark.parametrize("region", REGIONS.split())
def test_regions_of_every_partition_are_accepted(tmp_path: Path, region: str) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text(f'{S3_BUCKET}region = "{region}"\n')
    assert load(path).bucket[0].region == region


MISTAKES = {
    "one in a bucket": (BUCKET + 'laiout = "x"\n', ""),
    "one in agents": (BUCKET + "[platform]\ngcp_service_agents = [1]\n", ""),
    "no bucket": ("bucket = []\n", ""),
    "two": (BUCKET + "[schedule]\nkey_poll = 1\n[policy]\nhorizon_days = nan\n", " (and 1 more: policy.horizon_days)"),
    "two of one bucket": (BUCKET + 'laiout = "x"\naccount = 1\n', " (and 1 more: bucket[1].account)"),
    "five": (
        BUCKET + "a = 1\nb = 1\nc = 1\nd = 1\ne = 1\n",
        " (and 4 more: bucket[1].b, bucket[1].c, bucket[1].d, ...)",
    ),
}


@pytest.mark.parametrize(("text", "more"), MISTAKES.values(), ids=MISTAKES)
def test_only_further_mistakes_are_counted_and_some_are_named(tmp_path: Path, text: str, more: str) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text(text)
    with pytest.raises(UsageError) as refused:
        load(path)
    _, _, told = str(refused.value).partition(" (and ")
    assert told == more.removeprefix(" (and ")


def test_the_folder_of_the_state_may_be_at_home_or_beside_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/auditor")
    path = tmp_path / "auditor.toml"
    for text, expected in (("~/state", Path("/home/auditor/state")), ("state", tmp_path / "state")):
        path.write_text(f'state = "{text}"\n{BUCKET}')
        assert load(path).state == expected


def hint_for(text: str, tmp_path: Path) -> str | None:
    path = tmp_path / "auditor.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="there is no such setting") as refused:
        load(path)
    return refused.value.hint


UNKNOWN_SETTINGS = {
    "a near miss": ("[schedule]\nkey_pol = 60\n", "did you mean key_poll?"),
    "capitals": ('[[account]]\nID = "111122223333"\n', "did you mean id?"),
    "a dash": ("[limits]\nreverify-days = 3\n", "did you mean reverify_days?"),
    "nothing near in a list of tables": (
        '[[account]]\naws = "111122223333"\n',
        "[[account]] has id, project, role_arn, external_id, profile, impersonate, quota_project, feed",
    ),
    "nothing near in a table": ("[schedule]\nwhen = 3\n", "[schedule] has sweep, key_poll"),
    "nothing near in a table of a table": (
        '[[waiver]]\nmatch = { prefix = "x" }\n',
        "[[waiver]].match has key, bucket, namespace, tenant",
    ),
    "what belongs to another table": ('[log]\nlisten = "127.0.0.1:1"\n', "it is a setting of [web]"),
    "what belongs to several": (
        '[web]\nregion = "us-east-1"\n',
        "it is a setting of [[bucket]] and [[registry]]",
    ),
    "what belongs above the first table": (
        BUCKET + 'state = "var"\n',
        "it is a setting of the top of the file, before the first table",
    ),
    "a setting above the first table": ('listen = "127.0.0.1:1"\n', "it is a setting of [web]"),
    "a table in a table": ("[[account]]\n[account.web]\n", "it is a setting of the top of the file, before the"),
    "an unknown table": (
        "[x]\n",
        "the file has state, ledger, inventory, inventory_region, inventory_account, schedule, account, platform",
    ),
}


@pytest.mark.parametrize(("text", "hint"), UNKNOWN_SETTINGS.values(), ids=UNKNOWN_SETTINGS)
def test_of_an_unknown_setting_it_is_told_what_was_meant_or_what_there_is(text: str, hint: str, tmp_path: Path) -> None:
    assert str(hint_for(text, tmp_path)).startswith(hint)


def test_every_table_tells_what_it_has(tmp_path: Path) -> None:
    for name, field in Config.model_fields.items():
        many = get_origin(field.annotation) is tuple
        inner: Any = get_args(field.annotation)[0] if many else field.annotation
        if hasattr(inner, "model_fields"):
            header = f"[[{name}]]" if many else f"[{name}]"
            names = ", ".join(one.alias or each for each, one in inner.model_fields.items())
            assert hint_for(f"{header}\nqqq = 1\n", tmp_path) == f"{header} has {names}"


@pytest.mark.parametrize(
    "text",
    ['ledger = ["SECRET"]', "ledger = {SECRET = 1}", '[[account]]\nid = "111122223333"\nexternal_id = ["SECRET"]'],
)
def test_what_may_be_a_secret_is_told_in_no_refusal(tmp_path: Path, text: str) -> None:
    path = tmp_path / "auditor.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match="not what stands there") as refused:
        load(path)
    assert "SECRET" not in f"{refused.value} {refused.value.hint}"


def test_a_file_that_is_not_there_or_not_readable_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load(tmp_path / "none.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"state = '\xe9'")
    with pytest.raises(UsageError, match="not UTF-8"):
        load(tmp_path / "latin.toml")
    locked = tmp_path / "locked.toml"
    locked.write_text(BUCKET)
    locked.chmod(0)
    if os.geteuid() != 0:  # root reads everything
        with pytest.raises(UsageError, match="cannot be read"):
            load(locked)


def test_what_never_ends_is_no_config_and_fills_no_memory() -> None:
    with pytest.raises(UsageError, match="larger than 16 MiB"):
        load(Path("/dev/zero"))


def test_the_example_is_valid_and_shows_every_setting() -> None:
    path = Path(__file__).parents[1] / "docs" / "auditor.example.toml"
    config = load(path)
    text = path.read_text()

    def names(model: object) -> set[str]:
        fields = type(model).model_fields  # type: ignore[attr-defined]  # a pydantic model
        found = {field.alias or name for name, field in fields.items()}
        for name in fields:
            value = getattr(model, name)
            for one in value if isinstance(value, tuple) else [value]:
                if hasattr(type(one), "model_fields"):
                    found |= names(one)
        return found

    missing = {name for name in names(config) if name not in text}
    assert missing == set()


def test_what_the_example_shows_of_a_bundle_is_valid_without_buckets(tmp_path: Path) -> None:
    lines = (Path(__file__).parents[1] / "docs" / "auditor.example.toml").read_text().splitlines()
    begin = next(at for at, line in enumerate(lines) if line.startswith("# Only without any [[bucket]]")) + 1
    shown = [line.removeprefix("# ") for line in lines[begin : begin + 6]]
    path = tmp_path / "auditor.toml"
    path.write_text("\n".join(shown))
    (one,) = load(path).registry
    assert (one.kind, one.path, one.signer) == ("bundle", tmp_path / "acme.json", tmp_path / "operator.pub")
    assert one.tenant == "acme"
    assert one.max_age_hours == type(one).model_fields["max_age_hours"].default


def test_paths_start_at_the_files_folder_and_equal_settings_have_equal_digests(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "auditor.toml").write_text(BUCKET)
    first, second = (load(tmp_path / folder / "auditor.toml") for folder in ("a", "b"))
    assert first.state == tmp_path / "a" / "var"
    assert first.digest != second.digest
    assert first.digest == load(tmp_path / "a" / "auditor.toml").digest


def test_the_digest_is_the_same_by_whatever_name_the_file_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a" / "auditor.toml"
    (tmp_path / "b").mkdir()
    file.parent.mkdir()
    file.write_text(BUCKET + '[[registry]]\nkind = "file"\npath = "names.csv"\nbucket = "gs://data"\n')
    monkeypatch.chdir(tmp_path / "b")
    named = load(file)
    otherwise = load(Path("../a/auditor.toml"))
    assert (otherwise.state, otherwise.registry[0].path) == (named.state, named.registry[0].path)
    assert otherwise.digest == named.digest
