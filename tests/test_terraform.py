"""The Terraform modules give what the files in deploy/ and the docs say, hear what the feeds understand, and no more.

python-hcl2 reads them. Where a `terraform` is at hand it works out the documents, which need no provider, and whole
modules with providers that make nothing (terraform_stub.py).
"""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import hcl2
import pytest

from auditor import doctoring
from auditor.config import load
from auditor.connectors.aws.feed import hints_of
from auditor.connectors.gcp.log_hints import WATCHED
from auditor.model import KeyName
from tests.connectors import test_aws_feed as feed_tests

ROOT = Path(__file__).parents[1]
MODULES = {one: ROOT / "deploy" / "terraform" / one for one in ("aws", "gcp")}
PAGE = ROOT / "docs" / "terraform.md"
README = (ROOT / "README.md").read_text()
PERMISSIONS = (ROOT / "docs" / "permissions.md").read_text()
POLICY = json.loads((ROOT / "deploy" / "aws-auditor-policy.json").read_text())
ROLE = re.findall(r"^  - (\S+)$", (ROOT / "deploy" / "gcp-auditor-role.yaml").read_text(), re.MULTILINE)
OPTIONS = hcl2.SerializationOptions(with_comments=False, strip_string_quotes=True)
BLOCKS = {"terraform", "variable", "output", "locals", "resource", "data"}

MAKES = {
    "aws": {
        *("aws_iam_role", "aws_iam_policy", "aws_iam_role_policy_attachment", "aws_iam_role_policy"),
        *("aws_sqs_queue", "aws_sqs_queue_policy", "aws_cloudwatch_event_rule", "aws_cloudwatch_event_target"),
    },
    # A google_*_iam_binding or _policy would take roles from others.
    "gcp": {
        *("google_service_account", "google_project_iam_custom_role", "google_project_iam_member"),
        *("google_service_account_iam_member", "google_pubsub_topic", "google_pubsub_subscription"),
        *("google_pubsub_topic_iam_member", "google_pubsub_subscription_iam_member"),
        *("google_logging_project_sink", "google_logging_folder_sink", "google_logging_organization_sink"),
    },
}
"""All kinds of resources that the modules may make: none that changes a key, a bucket or what others may do."""
OF_THE_AUDITOR = {"aws_iam_role_policy_attachment.auditor"}
QUEUE = "arn:aws:sqs:us-east-1:111122223333:cmek-auditor"
RULE = "arn:aws:events:us-east-1:111122223333:rule/cmek-auditor"


def parsed(text: str) -> dict[str, Any]:
    return hcl2.loads(text, serialization_options=OPTIONS)


@functools.cache
def blocks(module: str, kind: str) -> dict[str, Any]:
    """The blocks of one kind: name -> body; resources and data by type.name; all locals as one."""
    found: dict[str, Any] = {}
    for file in sorted(MODULES[module].glob("*.tf")):
        for one in parsed(file.read_text()).get(kind, ()):
            if kind in {"resource", "data"}:
                found |= {f"{what}.{name}": body for what, named in one.items() for name, body in named.items()}
            else:
                found |= one
    return found


def variables() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for module in MODULES:
        for name, body in blocks(module, "variable").items():
            yield module, name, body


def code(module: str) -> str:
    """All of a module but what stands in comments and descriptions."""
    text = "\n".join(file.read_text() for file in sorted(MODULES[module].glob("*.tf")))
    without = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    without = re.sub(r"description\s*=\s*<<-EOT.*?^\s*EOT$", "", without, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^\s*(?:description|error_message)\s*=\s*\".*\"$", "", without, flags=re.MULTILINE)


@pytest.mark.parametrize("module", MODULES)
def test_every_file_parses_and_providers_are_pinned_below_a_next_major_version(module: str) -> None:
    files = {file.name: parsed(file.read_text()) for file in MODULES[module].glob("*.tf")}
    assert files.keys() >= {"main.tf", "variables.tf", "outputs.tf", "versions.tf"}
    assert {kind for one in files.values() for kind in one} <= BLOCKS
    (settings,) = files["versions.tf"]["terraform"]
    assert settings["required_version"].startswith(">=")
    ((provider,),) = [one.values() for one in map(_without_marks, settings["required_providers"])]
    assert provider["source"] == {"aws": "hashicorp/aws", "gcp": "hashicorp/google"}[module]
    assert re.search(r"~> \d+\.0$|< \d+\.0$", provider["version"])


def _without_marks(block: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in block.items() if not name.startswith("__")}


def test_each_variable_says_what_it_is_and_what_may_stand_in_it() -> None:
    for module, name, body in variables():
        assert len(body["description"]) > 20, (module, name)
        assert body["type"], (module, name)
        if name != "tags":  # any text may stand there
            assert body["validation"], (module, name)
        for one in body.get("validation", ()):
            # Terraform prints it behind the name of the variable and the line.
            assert re.search(rf"\b{name}\b|namespace and service_account", one["error_message"]), (module, name)
            assert re.search(rf"\bvar\.{name}\b", one["condition"]), (module, name)


def test_what_is_not_asked_for_is_off() -> None:
    needed = {(module, name) for module, name, body in variables() if "default" not in body}
    assert needed == {("aws", "trust"), ("gcp", "project")}
    names = {"name", "account_id", "role_id"}
    for module, name, body in variables():
        if (module, name) not in needed and name not in names:
            assert not body["default"], (module, name)
            assert body["default"] is not True, (module, name)
    for module in MODULES:
        for switch in re.findall(r"optional\(bool(.*?)\)", code(module)):
            assert switch == ", false"
    # Each resource of a feed hangs on var.feed.
    for module, folder in MODULES.items():
        text = (folder / "feed.tf").read_text()
        assert "feeds = var.feed == null ? [] : [var.feed]" in re.sub(r" +", " ", text)
        for name, body in parsed(text).items():
            if name == "resource":
                assert all({"count", "for_each"} & one.keys() for each in body for one in _bodies(each)), module


def _bodies(resource: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for named in resource.values():
        yield from named.values()


@pytest.mark.parametrize("module", MODULES)
def test_it_makes_these_kinds_of_resources_alone_and_no_secret(module: str) -> None:
    assert {one.partition(".")[0] for one in blocks(module, "resource")} == MAKES[module]
    names = [*blocks(module, "variable"), *blocks(module, "output"), *blocks(module, "resource")]
    assert not [one for one in names if re.search("secret|password|token|credential|access_key|account_key", one)]
    assert "sensitive" not in code(module)


def test_rights_on_aws_stand_in_the_file_of_deploy_and_those_of_a_feed_in_the_docs() -> None:
    local = blocks("aws", "locals")
    assert local["as_deployed"] == '${jsondecode(file("${path.module}/../../aws-auditor-policy.json"))}'
    assert (MODULES["aws"] / "../../aws-auditor-policy.json").is_file()
    named = set(re.findall(r"\"([a-z0-9]+:[A-Z][A-Za-z*]+)\"", code("aws")))
    of_feed = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
    # Who may become the auditor, what EventBridge may, and the external id, which is a condition.
    of_trust = {"sts:AssumeRole", "sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:ExternalId"}
    assert named == of_feed | of_trust | {"sqs:SendMessage", "events:PutEvents"} | {"aws:SourceArn"}
    for one in {*of_feed, "sts:AssumeRole", "sts:TagSession"}:
        assert f"`{one}`" in PERMISSIONS
    attached = [name for name in blocks("aws", "resource") if "polic" in name and "sqs" not in name]
    # The role of the second policy is EventBridge's.
    assert attached == ["aws_iam_role_policy.sender", "aws_iam_policy.auditor", *OF_THE_AUDITOR]
    sender = blocks("aws", "resource")["aws_iam_role_policy.sender"]
    assert sender["role"] == "${aws_iam_role.sender[0].id}"
    assert blocks("aws", "resource")["aws_iam_policy.auditor"]["policy"] == "${local.policy}"


def test_rights_on_google_stand_in_the_file_of_deploy_and_those_of_a_feed_in_the_docs() -> None:
    local = blocks("gcp", "locals")
    assert local["as_deployed"] == '${yamldecode(file("${path.module}/../../gcp-auditor-role.yaml"))}'
    assert (MODULES["gcp"] / "../../gcp-auditor-role.yaml").is_file()
    role = blocks("gcp", "resource")["google_project_iam_custom_role.auditor"]
    assert (role["for_each"], role["permissions"]) == ("${local.roles}", "${each.value}")
    given = set(re.findall(r"\"(roles/[A-Za-z.]+)\"", code("gcp")))
    of_feed = {"roles/pubsub.subscriber", "roles/pubsub.viewer"}
    assert given == of_feed | {"roles/pubsub.publisher", "roles/iam.workloadIdentityUser"}
    for one in of_feed:
        assert f"`{one}`" in PERMISSIONS
    # The auditor's own are on the subscription; that of the sinks is on the topic.
    reader = blocks("gcp", "resource")["google_pubsub_subscription_iam_member.auditor"]
    assert of_feed == set(re.findall(r"roles/[a-z.]+", reader["for_each"]))
    assert reader["member"] == "${google_service_account.auditor.member}"
    writer = blocks("gcp", "resource")["google_pubsub_topic_iam_member.writer"]
    assert (writer["for_each"], writer["role"]) == ("${local.writers}", "roles/pubsub.publisher")
    assert local["writers"].count(".writer_identity") == 3


def test_the_pattern_of_the_rules_is_the_one_of_the_readme_and_of_the_events_that_the_feed_is_tested_with() -> None:
    pattern = {name: value for name, value in blocks("aws", "locals")["event_pattern"].items() if name[0] != "_"}
    (shown,) = re.findall(r'^```json\n(\{"source": \["aws\.kms"\].*?)\n```$', README, re.MULTILINE | re.DOTALL)
    assert pattern == json.loads(shown)
    native = feed_tests.test_an_event_that_kms_sends_by_itself_names_its_key.pytestmark
    kinds = {one for mark in native if mark.args[0] == "kind" for one in mark.args[1]}
    kinds |= {event["detail-type"] for event, _ in feed_tests.CALLS.values()}
    assert set(pattern["detail-type"]) == kinds
    for kind in kinds:
        assert hints_of(json.dumps(feed_tests.an_event(kind)), "aws")
    rules = [body for name, body in blocks("aws", "resource").items() if name.startswith("aws_cloudwatch_event_rule.")]
    assert len(rules) == 2
    for rule in rules:
        assert rule["event_pattern"] == "${jsonencode(local.event_pattern)}"
        # The other state would send each Decrypt.
        assert rule["state"] == "ENABLED"
    for name, target in blocks("aws", "resource").items():
        if name.startswith("aws_cloudwatch_event_target."):
            assert not {"input", "input_path", "input_transformer"} & target.keys()


def test_only_the_rule_sends_to_the_queue_which_sqs_encrypts_itself() -> None:
    text = code("aws")
    (policies,) = re.findall(r"^  queue_policies = \[\n(.*?)^  \]$", text, re.MULTILINE | re.DOTALL)
    conditions = re.findall(r"Condition = (.*)$", policies, re.MULTILINE)
    assert conditions == [
        '{ ArnEquals = { "aws:SourceArn" = local.rule_arns } }',
        '{ ArnNotEquals = { "aws:SourceArn" = local.rule_arns } }',
    ]
    assert re.findall(r'Effect += "(\w+)"', policies) == ["Allow", "Deny"]
    local = blocks("aws", "locals")
    assert local["rule_arns"] == "${aws_cloudwatch_event_rule.feed[*].arn}"
    assert local["queue_arns"] == "${aws_sqs_queue.feed[*].arn}"
    queue = blocks("aws", "resource")["aws_sqs_queue.feed"]
    assert queue["sqs_managed_sse_enabled"] is True
    # The auditor may not decrypt, and sets aside by itself what it cannot understand.
    assert not {"kms_master_key_id", "redrive_policy"} & queue.keys()


def test_each_sink_has_the_filter_that_entries_are_read_by() -> None:
    heredoc = blocks("gcp", "locals")["key_changes"]
    (written,) = re.findall(r"<<-EOT\n(.*?)\n\s*EOT", heredoc, re.DOTALL)
    assert " ".join(written.split()) == WATCHED
    (shown,) = re.findall(r"^KEY_CHANGES='(.*?)'$", README, re.MULTILINE | re.DOTALL)
    assert written.split() == shown.split()
    sinks = [body for name, body in blocks("gcp", "resource").items() if "_sink." in name]
    assert [one["filter"] for one in sinks] == ["${local.key_changes}"] * 3
    # Else all sinks of projects would write as one identity, which is given nothing here.
    assert [one.get("unique_writer_identity") for one in sinks].count(True) == 1
    assert [one.get("include_children") for one in sinks].count(True) == 2


def test_a_message_may_wait_a_minute_for_its_acknowledgement_and_the_subscription_never_expires() -> None:
    feed = blocks("gcp", "variable")["feed"]
    (default,) = re.findall(r"ack_deadline_seconds\s*=\s*optional\(number, (\d+)\)", feed["type"])
    assert int(default) >= 60
    assert any("var.feed.ack_deadline_seconds >= 60" in one["condition"] for one in feed["validation"])
    made = blocks("gcp", "resource")["google_pubsub_subscription.feed"]
    assert made["ack_deadline_seconds"] == "${local.feeds[count.index].ack_deadline_seconds}"
    assert [one["ttl"] for one in made["expiration_policy"]] == [""]


def test_the_examples_of_the_page_are_modules_with_variables_and_outputs_that_there_are() -> None:
    text = PAGE.read_text()
    examples = [parsed(one) for one in re.findall(r"^```hcl\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)]
    modules = {name: body for one in examples for each in one.get("module", ()) for name, body in each.items()}
    made = {name: Path(body["source"].partition("?")[0]).name for name, body in modules.items()}
    assert set(made.values()) == MODULES.keys()
    for name, body in modules.items():
        known = blocks(made[name], "variable")
        given = _without_marks(body).keys() - {"source", "providers"}
        assert given <= known.keys(), name
        assert given >= {one for one, variable in known.items() if "default" not in variable}, name
        for option in set(re.findall(r"^ {4,}(\w+)\s*=", _block(text, name), re.MULTILINE)):
            assert any(re.search(rf"\b{option}\b", str(one.get("type"))) for one in known.values()), option
    for name, output in re.findall(r"\bmodule\.(\w+)\.(\w+)", text):
        assert output in blocks(made[name], "output")
    for module in MODULES:
        for name in blocks(module, "variable"):
            assert f"`{name}`" in text, (module, name)


def _block(text: str, name: str) -> str:
    (found,) = re.findall(rf'^module "{name}" \{{\n(.*?)^\}}$', text, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_page_is_linked_and_says_what_nobody_has_tried() -> None:
    assert "(docs/terraform.md)" in README
    assert "(terraform.md)" in PERMISSIONS
    assert re.search(r"\*\*Nobody has applied them\*\*", PAGE.read_text())


# What follows is worked out by Terraform itself.

TERRAFORM = shutil.which("terraform")
needs_terraform = pytest.mark.skipif(TERRAFORM is None, reason="no terraform is at hand")  # no package of Debian's
# It asks nobody for a newer version, and reads no settings of whoever runs the tests.
QUIET = {name: value for name, value in os.environ.items() if not name.startswith("TF_")} | {"CHECKPOINT_DISABLE": "1"}
TOLD = {"aws": ("policy", "trust", "queue_policies"), "gcp": ("roles", "key_changes")}
STUBS = {"aws": {"partition": "aws", "queue_arns": [], "rule_arns": []}, "gcp": {}}
"""Names that only a cloud can tell; all else in documents.tf is made of variables."""


def planned(folder: Path, module: str, given: Mapping[str, Any], **stubs: Any) -> subprocess.CompletedProcess[str]:
    """Plan the documents of a module, with nothing that needs a provider."""
    place = folder / "deploy" / "terraform" / module
    place.mkdir(parents=True, exist_ok=True)
    for name in ("aws-auditor-policy.json", "gcp-auditor-role.yaml"):
        shutil.copy(ROOT / "deploy" / name, folder / "deploy")
    for name in ("variables.tf", "documents.tf"):
        shutil.copy(MODULES[module] / name, place)
    outputs = {one: {"value": f"${{local.{one}}}"} for one in TOLD[module]}
    (place / "stubs.tf.json").write_text(json.dumps({"locals": {**STUBS[module], **stubs}, "output": outputs}))
    (place / "given.auto.tfvars.json").write_text(json.dumps(given))
    return terraform(place, "plan", "-no-color", "-input=false", "-lock=false", "-out=planned")


def terraform(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    assert TERRAFORM is not None
    command = [TERRAFORM, f"-chdir={folder}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**QUIET, **more})


def worked_out(folder: Path, module: str, given: Mapping[str, Any], **stubs: Any) -> dict[str, Any]:
    """Output -> value; documents of JSON are read."""
    done = planned(folder, module, given, **stubs)
    assert done.returncode == 0, done.stderr
    shown = terraform(folder / "deploy" / "terraform" / module, "show", "-json", "planned")
    values = json.loads(shown.stdout)["planned_values"]["outputs"]
    return {name: _read(one["value"]) for name, one in values.items()}


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(one) for one in value]
    return json.loads(value) if isinstance(value, str) and value.startswith("{") else value


IRSA = {
    "irsa": {
        "oidc_provider_arn": "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE",
        "namespace": "audit",
        "service_account": "cmek-auditor",
    }
}
BY_POD = {
    "pod_identity": {
        "cluster_arn": "arn:aws:eks:us-east-1:111122223333:cluster/prod",
        "namespace": "audit",
        "service_account": "cmek-auditor",
    }
}
AUDITOR = "arn:aws:iam::111122223333:role/cmek-auditor"
THERE = "arn:aws:iam::444455556666:role/cmek-auditor"
NAMED = {"principals": {"arns": [AUDITOR]}}
WHOLE = {"trust": IRSA, "buckets": ["tpuf-one", "tpuf-two"], "account_role_arns": [THERE]}


@needs_terraform
def test_the_modules_are_formatted() -> None:
    done = terraform(ROOT, "fmt", "-check", "-recursive", "-diff", "deploy/terraform")
    assert done.returncode == 0, done.stdout
    for text in re.findall(r"^```hcl\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        command = [str(TERRAFORM), "fmt", "-check", "-"]
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False, env=QUIET)
        assert done.returncode == 0, text


def as_written(statement: Mapping[str, Any]) -> tuple[str, str, list[str]]:
    actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
    return statement["Sid"], statement["Effect"], sorted(actions)


@needs_terraform
def test_the_policy_is_the_file_of_deploy_with_the_buckets_and_roles_in_it(tmp_path: Path) -> None:
    policy = worked_out(tmp_path, "aws", WHOLE)["policy"]
    assert policy["Version"] == POLICY["Version"]
    assert [as_written(one) for one in policy["Statement"]] == [as_written(one) for one in POLICY["Statement"]]
    resources = {one["Sid"]: one["Resource"] for one in policy["Statement"]}
    assert resources == {
        "ListAndHeadTheConfiguredBuckets": ["arn:aws:s3:::tpuf-one", "arn:aws:s3:::tpuf-two"],
        "HeadObjectsNeedsGetObject": ["arn:aws:s3:::tpuf-one/*", "arn:aws:s3:::tpuf-two/*"],
        "BecomeTheAuditorOfOtherAccounts": [THERE],
        **{
            one["Sid"]: ["*"]
            for one in POLICY["Statement"]
            if "BUCKET" not in one["Resource"] and one["Action"] != "sts:AssumeRole"
        },
    }
    assert all(set(one) == {"Sid", "Effect", "Action", "Resource"} for one in policy["Statement"])


@needs_terraform
def test_a_role_for_keys_alone_reads_no_bucket_and_becomes_nobody(tmp_path: Path) -> None:
    policy = worked_out(tmp_path, "aws", {"trust": NAMED})["policy"]
    assert [one["Sid"] for one in policy["Statement"]] == [
        *("ReadKeyStates", "ReadWhoMayUseKeys", "ReadWhoChangedKeys", "ReadLastUseForRetire"),
        "NeverReadOrChangeAnything",
    ]
    less = worked_out(tmp_path, "aws", {"trust": NAMED, "leave_out": ["ReadLastUseForRetire"]})["policy"]
    assert less["Statement"] == [one for one in policy["Statement"] if one["Sid"] != "ReadLastUseForRetire"]


@needs_terraform
def test_other_partitions_have_their_own_names(tmp_path: Path) -> None:
    given = {**WHOLE, "account_role_arns": [THERE.replace("aws", "aws-us-gov")]}
    policy = worked_out(tmp_path, "aws", given, partition="aws-us-gov")["policy"]
    named = {each for one in policy["Statement"] for each in one["Resource"]} - {"*"}
    assert len(named) == 5
    assert all(one.startswith("arn:aws-us-gov:") for one in named)


@needs_terraform
@pytest.mark.parametrize("module", MODULES)
def test_all_that_the_doctor_would_grant_is_granted(tmp_path: Path, module: str) -> None:
    config = tmp_path / "auditor.toml"
    config.write_text(
        f'[[account]]\nid = "444455556666"\nrole_arn = "{THERE}"\n'
        'feed = "https://sqs.us-east-1.amazonaws.com/444455556666/cmek-auditor"\n'
        '[[account]]\nproject = "acme-data"\n[[account]]\nproject = "customer-prod"\n'
        '[[bucket]]\nurl = "s3://tpuf-one"\nlayout = "{org}/"\nregion = "us-east-1"\n'
        '[[bucket]]\nurl = "gs://tpuf-one"\nlayout = "{org}/"\naccount = "acme-data"\n'
        f'[platform]\naws_principals = ["{AUDITOR}"]\n'
    )
    keys = [
        KeyName("arn:aws:kms:us-east-1:444455556666:key/1f3c0f5e-0000-4000-8000-000000000001"),
        KeyName("projects/customer-prod/locations/us/keyRings/r/cryptoKeys/k"),
    ]
    if module == "gcp":
        google = doctoring.gcp_grants(load(config), keys)
        given = {"project": "platform", "bucket_projects": ["acme-data"], "key_projects": ["customer-prod"]}
        made = worked_out(tmp_path, "gcp", given)["roles"]
        assert made == {one.project: list(one.permissions) for one in google.roles}
        return
    aws = doctoring.aws_grants(load(config), keys)
    queue = QUEUE.replace("111122223333", "444455556666")
    ours = worked_out(tmp_path, "aws", {"trust": IRSA, "buckets": ["tpuf-one"], "account_role_arns": [THERE]})
    theirs = worked_out(tmp_path, "aws", {"trust": NAMED}, queue_arns=[queue], rule_arns=[RULE])
    assert [one.identity for one in aws.policies] == ["the identity whose credentials the SDK finds", THERE]
    for wanted, made in zip(aws.policies, (ours, theirs), strict=True):
        has = pairs(made["policy"], "Allow")
        for action, resource in pairs(wanted.document, "Allow"):
            assert any(action == one and fnmatchcase(resource, place) for one, place in has), (action, resource)
        assert pairs(wanted.document, "Deny") <= pairs(made["policy"], "Deny")
    more = {action for action, _ in pairs(ours["policy"], "Allow")} - {
        action for action, _ in pairs(aws.policies[0].document, "Allow")
    }
    # Of buckets whose live objects alone are read.
    assert more == {"s3:GetObject"}
    listening = [one for one in aws.policies[1].document["Statement"] if one["Sid"] == "ListenToFeeds"]
    assert [one for one in theirs["policy"]["Statement"] if one["Sid"] == "ListenToFeeds"] == listening


def pairs(document: Mapping[str, Any], effect: str) -> set[tuple[str, str]]:
    return {
        (action, resource)
        for one in document["Statement"]
        if one["Effect"] == effect
        for action in as_written(one)[2]
        for resource in ([one["Resource"]] if isinstance(one["Resource"], str) else one["Resource"])
    }


@needs_terraform
def test_only_a_feed_brings_a_queue_and_what_may_send_to_it(tmp_path: Path) -> None:
    without = worked_out(tmp_path, "aws", WHOLE)
    assert without["queue_policies"] == []
    told = worked_out(tmp_path, "aws", WHOLE, queue_arns=[QUEUE], rule_arns=[RULE])
    (policy,) = told["queue_policies"]
    allow, deny = policy["Statement"]
    assert allow == {
        "Sid": "LetTheRuleSend",
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": ["sqs:SendMessage"],
        "Resource": [QUEUE],
        "Condition": {"ArnEquals": {"aws:SourceArn": [RULE]}},
    }
    assert (deny["Effect"], deny["Action"], deny["Resource"]) == ("Deny", ["sqs:SendMessage"], [QUEUE])
    assert deny["Condition"] == {"ArnNotEquals": {"aws:SourceArn": [RULE]}}
    more = [one for one in told["policy"]["Statement"] if one not in without["policy"]["Statement"]]
    assert [(one["Sid"], one["Resource"]) for one in more] == [("ListenToFeeds", [QUEUE])]


@needs_terraform
def test_one_service_account_of_one_cluster_may_become_the_auditor(tmp_path: Path) -> None:
    (by_token,) = worked_out(tmp_path, "aws", {"trust": IRSA})["trust"]["Statement"]
    assert by_token["Principal"] == {"Federated": IRSA["irsa"]["oidc_provider_arn"]}
    assert by_token["Action"] == ["sts:AssumeRoleWithWebIdentity"]
    assert by_token["Condition"] == {
        "StringEquals": {
            "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE:aud": "sts.amazonaws.com",
            "oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE:sub": "system:serviceaccount:audit:cmek-auditor",
        }
    }
    (by_pod,) = worked_out(tmp_path, "aws", {"trust": BY_POD})["trust"]["Statement"]
    assert by_pod["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert by_pod["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert by_pod["Condition"] == {
        "StringEquals": {
            "aws:RequestTag/eks-cluster-arn": "arn:aws:eks:us-east-1:111122223333:cluster/prod",
            "aws:RequestTag/kubernetes-namespace": "audit",
            "aws:RequestTag/kubernetes-service-account": "cmek-auditor",
        }
    }


@needs_terraform
def test_named_principals_become_it_with_the_external_id_and_bring_tags_where_they_have_some(tmp_path: Path) -> None:
    (plain,) = worked_out(tmp_path, "aws", {"trust": NAMED})["trust"]["Statement"]
    assert plain == {
        "Sid": "NamedPrincipals",
        "Effect": "Allow",
        "Principal": {"AWS": [AUDITOR]},
        "Action": ["sts:AssumeRole"],
    }
    more = {"arns": [AUDITOR], "external_id": "acme-1", "from_pod_identity": True}
    first, second = worked_out(tmp_path, "aws", {"trust": {"principals": more}})["trust"]["Statement"]
    assert first == {**plain, "Condition": {"StringEquals": {"sts:ExternalId": "acme-1"}}}
    assert (second["Principal"], second["Action"]) == ({"AWS": [AUDITOR]}, ["sts:TagSession"])
    by_pod = worked_out(tmp_path, "aws", {**WHOLE, "trust": BY_POD})["policy"]
    assert {resource for action, resource in pairs(by_pod, "Allow") if action == "sts:TagSession"} == {THERE}


@needs_terraform
def test_projects_of_buckets_and_of_keys_have_each_what_is_asked_there_and_both_the_whole_file(tmp_path: Path) -> None:
    given = {"project": "platform", "bucket_projects": ["acme-data", "acme-both"], "key_projects": ["acme-both"]}
    told = worked_out(tmp_path, "gcp", given)
    assert told["roles"]["acme-both"] == sorted(ROLE)
    assert not [one for one in told["roles"]["acme-data"] if one.startswith(("cloudkms.", "logging."))]
    assert worked_out(tmp_path, "gcp", {"project": "platform"})["roles"] == {}
    assert " ".join(told["key_changes"].split()) == WATCHED


OF_FEED = {"project": "platform", "projects": ["acme-keys"]}
REFUSED: dict[str, tuple[str, Mapping[str, Any], str]] = {
    "nobody": ("aws", {"trust": {}}, "exactly one of irsa, pod_identity and principals"),
    "two ways": ("aws", {"trust": {**IRSA, **NAMED}}, "exactly one of irsa, pod_identity and principals"),
    "any service account": (
        "aws",
        {"trust": {"irsa": {**IRSA["irsa"], "service_account": "*"}}},
        "each of one service account",
    ),
    "a URL for a provider": (
        "aws",
        {"trust": {"irsa": {**IRSA["irsa"], "oidc_provider_arn": "https://oidc.eks.us-east-1.amazonaws.com/id/E"}}},
        "ARN of an IAM OIDC provider",
    ),
    "any cluster": (
        "aws",
        {"trust": {"pod_identity": {**BY_POD["pod_identity"], "cluster_arn": "arn:aws:eks:us-east-1:1:cluster/*"}}},
        "ARN of an EKS cluster",
    ),
    "everybody": ("aws", {"trust": {"principals": {"arns": ["*"]}}}, "without wildcards"),
    "all roles of an account": (
        "aws",
        {"trust": {"principals": {"arns": ["arn:aws:iam::111122223333:role/*"]}}},
        "without wildcards",
    ),
    "no principal": ("aws", {"trust": {"principals": {"arns": []}}}, "at least one role, user or account root"),
    "an external id of one letter": (
        "aws",
        {"trust": {"principals": {"arns": [AUDITOR], "external_id": "x"}}},
        "external_id has 2 to 1224",
    ),
    "an external id that is too long": (
        "aws",
        {"trust": {"principals": {"arns": [AUDITOR], "external_id": "x" * 1225}}},
        "external_id has 2 to 1224",
    ),
    "a bucket as a URL": ("aws", {"trust": NAMED, "buckets": ["s3://tpuf-one"]}, "names without s3://"),
    "all buckets": ("aws", {"trust": NAMED, "buckets": ["*"]}, "without wildcards"),
    "all roles": ("aws", {"trust": NAMED, "account_role_arns": ["arn:aws:iam::*:role/a"]}, "without wildcards"),
    "without the Deny": ("aws", {"trust": NAMED, "leave_out": ["NeverReadOrChangeAnything"]}, "the Deny always stays"),
    "a boundary by name": ("aws", {"trust": NAMED, "permissions_boundary": "limit"}, "ARN of an IAM policy"),
    "a name with a space": ("aws", {"trust": NAMED, "name": "cmek auditor"}, "letters, digits, hyphens"),
    "a zone for a Region": ("aws", {"trust": NAMED, "feed": {"other_regions": ["us-east-1a"]}}, "names of Regions"),
    "a queue that keeps a second": ("aws", {"trust": NAMED, "feed": {"retention_seconds": 1}}, "from 60 to 1209600"),
    "a project by its number": ("gcp", {"project": "123456789"}, "id of a project"),
    "a project of keys by its number": ("gcp", {"project": "platform", "key_projects": ["123456789"]}, "ids of"),
    "a bucket for a project": ("gcp", {"project": "platform", "bucket_projects": ["gs://tpuf"]}, "ids of projects"),
    "a short account": ("gcp", {"project": "platform", "account_id": "a"}, "6 to 30 small letters"),
    "a role with a hyphen": ("gcp", {"project": "platform", "role_id": "cmek-auditor"}, "underscores and dots"),
    "any service account of GKE": (
        "gcp",
        {
            "project": "platform",
            "workload_identity": {"project": "platform", "namespace": "audit", "service_account": "*"},
        },
        "each of one service account",
    ),
    "a feed of nothing": ("gcp", {"project": "platform", "feed": {"project": "platform"}}, "whose audit logs"),
    "half a minute": (
        "gcp",
        {"project": "platform", "feed": {**OF_FEED, "ack_deadline_seconds": 59}},
        "ack_deadline_seconds is from 60",
    ),
    "a folder with its path": (
        "gcp",
        {"project": "platform", "feed": {"project": "platform", "folders": ["folders/1"]}},
        "numbers, without folders/",
    ),
}


@needs_terraform
@pytest.mark.parametrize(("module", "given", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_right_is_refused_and_says_why(
    tmp_path: Path, module: str, given: Mapping[str, Any], said: str
) -> None:
    done = planned(tmp_path, module, given)
    assert done.returncode == 1
    assert said in " ".join(done.stderr.split())


@needs_terraform
@pytest.mark.parametrize(
    ("module", "given"),
    [
        ("aws", {"trust": NAMED, "feed": {}}),
        (
            "aws",
            {"trust": NAMED, "permissions_boundary": "arn:aws:iam::111122223333:policy/limit", "tags": {"a": "b c"}},
        ),
        ("aws", {"trust": {"principals": {"arns": [AUDITOR], "external_id": "x" * 1224}}}),
        ("aws", {"trust": NAMED, "feed": {"other_regions": ["eu-west-1", "us-gov-west-1"]}}),
        ("gcp", {"project": "platform", "feed": {**OF_FEED, "ack_deadline_seconds": 60}}),
        ("gcp", {"project": "platform", "feed": {"project": "platform", "folders": ["1"], "organizations": ["2"]}}),
        (
            "gcp",
            {
                "project": "platform",
                "workload_identity": {"project": "platform", "namespace": "audit", "service_account": "cmek-auditor"},
            },
        ),
    ],
)
def test_what_is_right_is_taken(tmp_path: Path, module: str, given: Mapping[str, Any]) -> None:
    done = planned(tmp_path, module, given)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def providers() -> Iterator[str]:
    """Where Terraform finds the providers that make nothing."""
    command = [sys.executable, "-m", "tests.terraform_stub"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as running:
        assert running.stdout is not None
        where = running.stdout.readline()
        assert where, "they did not start"
        yield where
        running.terminate()


def whole(folder: Path, module: str) -> Path:
    """A copy of deploy/ that Terraform may write into."""
    shutil.copytree(ROOT / "deploy", folder / "deploy", ignore=shutil.ignore_patterns("chart", ".terraform*"))
    return folder / "deploy" / "terraform" / module


@needs_terraform
@pytest.mark.parametrize("module", MODULES)
def test_whole_modules_are_valid_and_pass_their_own_tests(tmp_path: Path, providers: str, module: str) -> None:
    place = whole(tmp_path, module)
    for command in (["init", "-input=false"], ["validate"], ["test"]):
        done = terraform(place, *command, "-no-color", TF_REATTACH_PROVIDERS=providers)
        assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout
    runs = len(re.findall(r"^run ", (place / "tests" / "module.tftest.hcl").read_text(), re.MULTILINE))
    assert f"Success! {runs} passed" in done.stdout


@needs_terraform
@pytest.mark.parametrize("module", MODULES)
def test_a_misspelt_argument_is_not_valid(tmp_path: Path, providers: str, module: str) -> None:
    place = whole(tmp_path, module)
    main = place / "main.tf"
    main.write_text(main.read_text().replace("  description ", "  descriptoin "))
    terraform(place, "init", "-input=false", "-no-color", TF_REATTACH_PROVIDERS=providers)
    done = terraform(place, "validate", "-no-color", TF_REATTACH_PROVIDERS=providers)
    assert done.returncode == 1
    assert 'An argument named "descriptoin" is not expected here.' in " ".join(done.stderr.split())
