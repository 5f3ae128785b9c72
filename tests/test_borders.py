"""Names that cross a border exist on both sides: dashboards, alerts, policies, the table of requests."""

import json
import re
from pathlib import Path

from auditor import cli, readonly
from auditor.model import Reason
from auditor.outputs import metrics
from auditor.rules import load

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "grafana" / "alerts"
METRIC = re.compile(r"\bcmek_[a-z_]+\b")
EXPOSED = {f"{one.name}_total" if one.counter else one.name for one in metrics.TABLE}
EXPOSED |= {f"{one.name}_{part}" for one in metrics.TABLE if one.histogram for part in ("bucket", "count", "sum")}

# One S3 permission may serve several operations. Source: Service Authorization Reference, Amazon S3.
S3_PERMISSIONS = {
    "ListBuckets": "s3:ListAllMyBuckets",
    "HeadBucket": "s3:ListBucket",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "ListObjectsV2": "s3:ListBucket",
    "ListObjectVersions": "s3:ListBucketVersions",
    "ListMultipartUploads": "s3:ListBucketMultipartUploads",
    "HeadObject": "s3:GetObject",
}
KMS_PERMISSIONS = (
    *("kms:DescribeKey", "kms:DescribeCustomKeyStores", "kms:GetKeyPolicy", "kms:ListGrants", "kms:ListKeyRotations"),
    *("kms:GetKeyRotationStatus", "kms:GetKeyLastUsage", "cloudtrail:LookupEvents"),
)
# Only for what [probe] switches on; the files in deploy/ leave them out.
FOR_PROBES = {
    ("s3", "GetObject"): "kms:Decrypt",
    ("kms", "Decrypt"): "kms:Decrypt",
    ("storage", "objects.get"): "storage.objects.get",
    ("cloudkms", "VerifyConnectivity"): "cloudkms.ekmConnections.verifyConnectivity",
}
NEEDS_NO_PERMISSION = {("sts", "GetCallerIdentity"), ("cloudresourcemanager", "projects.testIamPermissions")}
# Only for [log] cloud_logging; the file in deploy/ leaves it out.
FOR_OUR_LOG = {("logging", "entries.write"): "logging.logEntries.create"}
# Only for [sweep] cloud_counts; the files in deploy/ leave them out.
FOR_COUNTS = {
    ("cloudwatch", "GetMetricStatistics"): "cloudwatch:GetMetricStatistics",
    ("monitoring", "timeSeries.list"): "monitoring.timeSeries.list",
}
# Only for [[bucket]] s3_metadata; the file in deploy/ leaves them out. A table's files are read by `GetObject`.
FOR_TABLES = {
    ("s3", "GetBucketMetadataConfiguration"): "s3:GetBucketMetadataTableConfiguration",
    ("s3tables", "GetTableMetadataLocation"): "s3tables:GetTableMetadataLocation",
}
# Only for [[bucket]] s3_inventory; the file in deploy/ leaves it out.
FOR_REPORTS = {("s3", "GetBucketInventoryConfiguration"): "s3:GetInventoryConfiguration"}
# Only for [report] upload, on that bucket.
FOR_UPLOADS = {("s3", "PutObject"): "s3:PutObject", ("storage", "objects.insert"): "storage.objects.create"}
# Only on subscriptions that [[account]] feed names.
FOR_FEEDS = {
    ("pubsub", "subscriptions.get"): "pubsub.subscriptions.get",
    ("pubsub", "subscriptions.pull"): "pubsub.subscriptions.consume",
    ("pubsub", "subscriptions.acknowledge"): "pubsub.subscriptions.consume",
}
# Source: the IAM reference of Cloud Storage, Cloud KMS and Resource Manager.
GOOGLE_PERMISSIONS = {
    ("storage", "buckets.get"): "storage.buckets.get",
    ("storage", "buckets.list"): "storage.buckets.list",
    ("storage", "objects.list"): "storage.objects.list",
    ("storage", "projects.serviceAccount.get"): "resourcemanager.projects.get",
    ("storage", "multipartUploads.list"): "storage.multipartUploads.list",
    ("cloudkms", "GetCryptoKey"): "cloudkms.cryptoKeys.get",
    ("cloudkms", "ListCryptoKeys"): "cloudkms.cryptoKeys.list",
    ("cloudkms", "ListCryptoKeyVersions"): "cloudkms.cryptoKeyVersions.list",
    ("cloudkms", "ListRetiredResources"): "cloudkms.retiredResources.list",
    ("cloudkms", "GetIamPolicy"): "cloudkms.cryptoKeys.getIamPolicy",
    ("cloudkms", "GetSingleTenantHsmInstance"): "cloudkms.singleTenantHsmInstances.get",
    ("cloudresourcemanager", "projects.getIamPolicy"): "resourcemanager.projects.getIamPolicy",
    ("logging", "entries.list"): "logging.logEntries.list",
}


def test_dashboard_and_alerts_use_metrics_rules_and_reasons_that_exist() -> None:
    for file in (*(ROOT / "grafana" / "dashboards").iterdir(), *ALERTS.iterdir()):
        name, text = file.name, file.read_text()
        used = set(METRIC.findall(text))
        assert used - EXPOSED == set(), name
        rules = {rule.id for rule in load()}
        for asked in re.findall(r'rule="([a-z-]+)"', text):
            assert asked in rules
        for asked in re.findall(r'reason="([a-z_]+)"', text):
            assert asked in set(Reason)
        for group in re.findall(r'rule=~"\(([a-z|-]+)\)"', text):
            assert set(group.split("|")) <= rules
        for group in re.findall(r'rule=~"data-\(([a-z|-]+)\)"', text):
            assert {f"data-{one}" for one in group.split("|")} <= rules


OF_ONE_PROCESS = (
    *("cmek_leader", "cmek_config_last_reload_successful", "cmek_log_", "cmek_feed_", "cmek_reports_"),
    *("cmek_api_requests_total", "cmek_sweep_objects_total", "cmek_detection_latency_seconds_bucket"),
)
"""What each daemon tells of itself; all else is read from the ledger, and those that wait tell it as well."""
ONCE = re.compile(
    r"(?:(?:max|min) by \(job, installation[a-z_, ]*\) \(\s*(?:abs\()?"
    r"|\bmin\(|\bunless on \(job, installation\)\s+|\}\s+or )$"
)


def test_dashboards_and_alerts_count_once_what_leader_and_standby_both_tell() -> None:
    asked = [
        (file.name, target["expr"])
        for file in (ROOT / "grafana" / "dashboards").iterdir()
        for panel in json.loads(file.read_text())["panels"]
        for target in panel["targets"]
    ]
    for name in ("data.yml", "answer.yml"):
        text = (ALERTS / name).read_text()
        asked += [(name, one) for one in re.findall(r"^ {8}expr: ((?:[^\n]|\n {10})+)", text, re.MULTILINE)]
    for name, expression in asked:
        for metric in METRIC.finditer(expression):
            if not metric.group().startswith(OF_ONE_PROCESS):
                assert ONCE.search(expression[: metric.start()]), (name, expression)
    assert len(asked) > 60


def test_every_alert_has_a_test_and_a_runbook_that_its_annotation_names() -> None:
    text = "".join((ALERTS / name).read_text() for name in ("data.yml", "answer.yml"))
    alerts = re.findall(r"alert: (\w+)", text)
    assert set(alerts) == set(re.findall(r"alertname: (\w+)", (ALERTS / "tests.yml").read_text()))
    assert re.findall(r"runbook_url: (\S+)", text) == [f"docs/runbooks/{one}.md" for one in alerts]
    pages = {one.stem: one.read_text() for one in (ROOT / "docs/runbooks").iterdir()}
    assert pages.keys() - {"README"} == set(alerts)
    for name in alerts:
        assert pages[name].startswith(f"# {name}\n"), name
        assert "\n## In the first ten minutes\n" in pages[name], name
        assert f"({name}.md)" in pages["README"], name


def test_runbooks_name_commands_options_metrics_and_settings_that_exist() -> None:
    commands = {one.name or one.callback.__name__ for one in cli.app.registered_commands if one.callback}
    settings = (ROOT / "docs/auditor.example.toml").read_text()
    for page in (ROOT / "docs/runbooks").iterdir():
        text = page.read_text()
        assert set(METRIC.findall(text)) - EXPOSED == set(), page.name
        assert set(re.findall(r"cmek-auditor ([a-z-]+)", text)) <= commands, page.name
        for setting in re.findall(r"`\[[a-z]+\] ([a-z_]+)", text):
            assert setting in settings, (page.name, setting)


def test_the_compose_file_says_where_the_state_has_to_be() -> None:
    text = (ROOT / "grafana/compose.yaml").read_text()
    (volume,) = re.findall(r"- auditor-state:(\S+)", text)
    assert f'# Put auditor.toml into deploy/config/ first, with state = "{volume}"' in text


def test_the_compose_file_publishes_nothing_beyond_this_machine_and_no_well_known_password() -> None:
    text = (ROOT / "grafana/compose.yaml").read_text()
    published = [one for line in re.findall(r"ports: \[(.*)\]", text) for one in re.findall(r'"([^"]+)"', line)]
    assert text.count("ports:") == 1
    assert published
    assert all(one.startswith("127.0.0.1:") for one in published)
    # Neither TLS nor a login stands before the auditor: it shares a network with the three, and is published nowhere.
    assert not any(one.endswith(":9464") for one in published)
    assert "network_mode: host" not in text
    assert "GF_SECURITY_ADMIN_PASSWORD: ${GRAFANA_PASSWORD:?" in text


def test_the_aws_policy_allows_what_is_sent_and_nothing_else() -> None:
    policy = json.loads((ROOT / "deploy/aws-auditor-policy.json").read_text())
    allowed: set[str] = set()
    denied: set[str] = set()
    for one in policy["Statement"]:
        actions = one["Action"] if isinstance(one["Action"], list) else [one["Action"]]
        (allowed if one["Effect"] == "Allow" else denied).update(actions)
    sent = {
        place
        for place, row in readonly.TABLE.items()
        if place[0] in {"s3", "kms", "sts", "cloudtrail"} and not _dry(row)
    }
    assert {place for place in readonly.TABLE if place[0] == "s3tables"} <= set(FOR_TABLES)
    needed = {
        S3_PERMISSIONS[operation] if service == "s3" else f"{service}:{operation}"
        for service, operation in sent - NEEDS_NO_PERMISSION - set(FOR_TABLES) - set(FOR_REPORTS)
    }
    # With a version id HEAD needs GetObjectVersion.
    assert allowed == needed | {"s3:GetObjectVersion"}
    assert "kms:Decrypt" in denied


def _dry(row: readonly.Allowed) -> bool:
    return not row.when({})


def test_the_google_role_allows_what_is_sent_and_nothing_else() -> None:
    text = (ROOT / "deploy/gcp-auditor-role.yaml").read_text()
    allowed = set(re.findall(r"^  - (\S+)$", text, re.MULTILINE))
    google = {"storage", "cloudkms", "cloudresourcemanager", "logging"}
    sent = {place for place, row in readonly.TABLE.items() if place[0] in google and not _dry(row)} - set(FOR_PROBES)
    assert set(GOOGLE_PERMISSIONS) == sent - NEEDS_NO_PERMISSION
    assert {place for place in readonly.TABLE if place[0] == "pubsub"} == set(FOR_FEEDS)
    assert {place for place in readonly.TABLE if place[0] in {"cloudwatch", "monitoring"}} == set(FOR_COUNTS)
    # GetIamPolicy is asked of keys and of rings.
    assert allowed == set(GOOGLE_PERMISSIONS.values()) | {"cloudkms.keyRings.getIamPolicy"}


def test_the_permissions_page_tells_each_of_them() -> None:
    page = (ROOT / "docs/permissions.md").read_text()
    for permission in {
        *S3_PERMISSIONS.values(),
        *GOOGLE_PERMISSIONS.values(),
        *KMS_PERMISSIONS,
        *FOR_PROBES.values(),
        *FOR_OUR_LOG.values(),
        *FOR_FEEDS.values(),
        *FOR_COUNTS.values(),
        *FOR_TABLES.values(),
        *FOR_REPORTS.values(),
        "s3tables:GetTableData",
        *FOR_UPLOADS.values(),
        "sts:AssumeRole",
    }:
        assert f"`{permission}`" in page
