"""The kit does against the embedded clouds all that it will do against real ones, and leaves nothing behind."""

import base64
import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from auditor.embedded.aws import AwsCloud
from auditor.embedded.aws import Store as AwsStore
from auditor.embedded.google import GoogleCloud
from auditor.embedded.google import Store as GoogleStore
from tests.clouds import Clock
from tests.live import aws_experiments, connect, gcp_experiments
from tests.live.__main__ import main
from tests.live.aws import Aws
from tests.live.gcp import Google
from tests.live.kit import LABEL, Answer, Made, NotAnsweredError, Patience, Run, accepted, experiment, insist, watched
from tests.live.plan import cost, plan
from tests.live.run import Outcome, run

README = (Path(__file__).parent / "README.md").read_text()
ACCOUNT, PROJECT, NUMBER = "999988887777", "scratch-1234", 555566667777
SETTINGS = Run("0123456789", Patience(5, 0))
GET, MEDIA = "GetObject", "objects.get with alt=media"

# What the last answer to each question is here. The others are recorded as not answered.
ANSWERS = {
    "aws": {
        "head-disabled": ("HeadObject", 200, ""),
        "head-pending-deletion": ("HeadObject", 200, ""),
        "get-disabled": (GET, 400, "KMS.DisabledException"),
        "get-pending-deletion": (GET, 400, "KMS.KMSInvalidStateException"),
        "get-decrypt-removed": (GET, 403, "AccessDenied"),
        "disable-until-refused": (GET, 400, "KMS.DisabledException"),
        "dry-run-enabled": ("Decrypt with IGNORE_CIPHERTEXT", 412, "DryRunOperationException"),
        "describe-made-up-own": ("DescribeKey", 400, "NotFoundException"),
        "describe-made-up-other": ("DescribeKey", 400, "AccessDeniedException"),
    },
    "gcp": {
        "get-disabled": (MEDIA, 400, "cloudKmsDisabledKey"),
        "get-destroy-scheduled": (MEDIA, 400, "cloudKmsDisabledKey"),
        "get-grant-removed": (MEDIA, 403, "forbidden"),
        "disable-until-refused": (MEDIA, 400, "cloudKmsDisabledKey"),
        "list-key-version": ("objects.list", 200, ""),
        "soft-deleted-list": ("objects.list with softDeleted", 200, ""),
        "soft-deleted-refused": ("objects.list with softDeleted", 400, "invalid"),
        "count-versions": ("ListCryptoKeyVersions", 200, ""),
        "made-up-key": ("GetCryptoKey", 404, "NOT_FOUND"),
    },
}
NOT_ANSWERED = {
    "aws": {
        "head-checksum-disabled": "HeadObject with ChecksumMode: 501",
        "get-pending-import": "GetParametersForImport is not part of this embedded cloud",
        "disable-until-refused-bucket-key": "PutObject: 501 NotImplemented",
        "dry-run-disabled": "what KMS answers here is not documented",
        "rotation-status-external": "GetKeyRotationStatus is not part of this embedded cloud",
    },
    "gcp": {
        "metadata-disabled": "no checksum is told while the key works",
        "restore-disabled": "objects.restore: 501 notImplemented",
        "rewrite-versioned-key": "objects.rewrite: 501 notImplemented",
    },
}


@pytest.fixture
def amazon() -> Iterator[AwsCloud]:
    with AwsCloud(AwsStore(Clock())) as cloud:
        yield cloud


@pytest.fixture
def alphabet() -> Iterator[GoogleCloud]:
    store = GoogleStore(Clock())
    store.add_project(PROJECT, NUMBER)
    with GoogleCloud(store) as cloud:
        yield cloud


def aws(cloud: AwsCloud, region: str = "us-east-1", settings: Run = SETTINGS) -> Aws:
    return connect.embedded_aws(cloud, region, settings, ACCOUNT)


def gcp(cloud: GoogleCloud, settings: Run = SETTINGS) -> Google:
    return connect.embedded_gcp(cloud, PROJECT, "us-east1", settings)


def states(cloud: AwsCloud, region: str = "us-east-1") -> list[str]:
    return [cloud.store.state(key) for key in cloud.store.keys(ACCOUNT, region)]


def records(folder: Path) -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def check_records(folder: Path, cloud: str, outcome: Outcome) -> None:
    found = records(folder)
    assert set(found) == {f"{cloud}-{one}" for one in {*ANSWERS[cloud], *NOT_ANSWERED[cloud]}}
    for name, told in ANSWERS[cloud].items():
        record = found[f"{cloud}-{name}"]
        last = record["answer"][-1]
        assert (record["answered"], record["error"]) == (True, None), record
        assert (last["call"], last["status"], last["code"]) == told
    for name, why in NOT_ANSWERED[cloud].items():
        assert found[f"{cloud}-{name}"]["answered"] is False
        assert why in found[f"{cloud}-{name}"]["error"]
    assert set(outcome.unanswered) == set(NOT_ANSWERED[cloud])
    assert (outcome.left, outcome.interrupted, outcome.code) == ((), False, 3)
    for record in found.values():
        assert record["question"].endswith("?")
        assert record["asked_of"] == "an embedded cloud"
        assert abs(datetime.now(UTC) - datetime.fromisoformat(record["date"])) < timedelta(minutes=5)


# Whole runs


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_aws_is_asked_everything_and_left_as_it_was(amazon: AwsCloud, tmp_path: Path, region: str) -> None:
    outcome = run(aws(amazon, region), aws_experiments.TABLE, tmp_path, "an embedded cloud", print)
    check_records(tmp_path, "aws", outcome)
    assert amazon.store.buckets == {}
    planned = sum(one.keys for one in aws_experiments.TABLE)
    assert states(amazon, region) == ["PendingDeletion"] * planned
    keys = amazon.store.keys(ACCOUNT, region)
    assert all(key.tags == {LABEL: SETTINGS.suffix} for key in keys)
    shortest = timedelta(days=7, minutes=1)
    assert all(key.deletion_date and key.deletion_date - amazon.store.clock() < shortest for key in keys)


def test_google_is_asked_everything_and_left_as_it_was(alphabet: GoogleCloud, tmp_path: Path) -> None:
    cloud = gcp(alphabet)
    outcome = run(cloud, gcp_experiments.TABLE, tmp_path, "an embedded cloud", print)
    check_records(tmp_path, "gcp", outcome)
    assert alphabet.store.buckets == {}
    ring = f"projects/{PROJECT}/locations/us-east1/keyRings/{SETTINGS.name}"
    assert alphabet.store.rings == {ring}
    assert ring in cloud.made.stays[0]
    keys = alphabet.store.keys(ring)
    assert len(keys) == sum(one.keys for one in gcp_experiments.TABLE)
    assert [version.state for key in keys for version in key.versions.values()] == ["DESTROY_SCHEDULED"] * len(keys)
    assert all(key.destroy_after == timedelta(days=1) for key in keys)
    assert all(key.labels == {LABEL: SETTINGS.suffix} for key in keys)


def test_what_is_recorded_names_no_account_project_or_key(
    amazon: AwsCloud, alphabet: GoogleCloud, tmp_path: Path
) -> None:
    alphabet.store.deny("storage.objects.list", SETTINGS.name)  # the refusal names a person
    run(aws(amazon), aws_experiments.TABLE, tmp_path, "x", print)
    run(gcp(alphabet), gcp_experiments.TABLE, tmp_path, "x", print)
    text = "".join(path.read_text() for path in tmp_path.iterdir())
    assert "arn:aws:kms:us-east-1:111122223333:key/" in text
    assert "projects/my-project/locations/us-east1/keyRings/" in text
    assert "someone@example.com does not have storage.objects.list access" in text
    for hidden in (ACCOUNT, PROJECT, str(NUMBER), "administrator", "platform.example", "AKIA"):
        assert hidden not in text


def test_only_what_a_change_did_is_kept_of_many_reads(amazon: AwsCloud, tmp_path: Path) -> None:
    run(aws(amazon), [one for one in aws_experiments.TABLE if one.id == "get-disabled"], tmp_path, "x", print)
    before, after = records(tmp_path)["aws-get-disabled"]["answer"]
    assert before["told"] == {"as_written": True}
    assert after["told"]["changes"] == [[0.0, 400, "KMS.DisabledException"]]
    assert after["message"].endswith(" is disabled.")


# What an embedded cloud cannot do, answered for it


def test_material_is_imported_wrapped_and_deleted_again(
    amazon: AwsCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    parameters = {"ImportToken": "dG9rZW4=", "PublicKey": base64.b64encode(public).decode()}
    amazon.traffic.fail("kms GetParametersForImport", status=200, body=json.dumps(parameters).encode())
    amazon.traffic.fail("kms ImportKeyMaterial", status=200, body=b"{}")
    really = Aws.import_material

    def imported(self: Aws, key: str) -> None:
        really(self, key)
        found = amazon.store.key(key)
        assert found
        found.state = "Enabled"

    monkeypatch.setattr(Aws, "import_material", imported)
    chosen = [one for one in aws_experiments.TABLE if one.id == "get-pending-import"]
    assert run(aws(amazon), chosen, tmp_path, "x", print).code == 0
    (sent,) = [json.loads(one.body) for one in amazon.traffic.requests if one.verb == "ImportKeyMaterial"]
    scheme = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    material = private.decrypt(base64.b64decode(sent["EncryptedKeyMaterial"]), scheme)
    assert len(material) == 32
    answers = records(tmp_path)["aws-get-pending-import"]["answer"]
    assert [one["status"] for one in answers] == [200, 200, 400]
    assert answers[1]["told"] == {"KeyState": "PendingImport", "Origin": "EXTERNAL"}
    assert answers[2]["code"] == "KMS.KMSInvalidStateException"
    assert base64.b64encode(material).decode() not in "".join(path.read_text() for path in tmp_path.iterdir())


def test_an_error_of_the_service_itself_is_an_answer_and_one_of_the_moment_is_not(amazon: AwsCloud) -> None:
    cloud = aws(amazon)
    amazon.traffic.fail("GetKeyRotationStatus", status=400, code="UnsupportedOperationException", times=1)
    assert cloud.rotation_status("a").code == "UnsupportedOperationException"
    for status, code in ((400, "ThrottlingException"), (503, "SlowDown"), (400, "ExpiredTokenException")):
        amazon.traffic.heal()
        amazon.traffic.fail("GetKeyRotationStatus", status=status, code=code)
        with pytest.raises(NotAnsweredError, match=code):
            cloud.rotation_status("a")


def test_a_rewrite_names_the_version_and_its_refusal_is_read_from_the_body(
    alphabet: GoogleCloud, tmp_path: Path
) -> None:
    body = json.dumps({"error": {"message": "Malformed", "errors": [{"reason": "invalid"}]}}).encode()
    alphabet.traffic.fail("rewriteTo", status=400, body=body)
    chosen = [one for one in gcp_experiments.TABLE if one.id == "rewrite-versioned-key"]
    assert run(gcp(alphabet), chosen, tmp_path, "x", print).code == 0
    (answer,) = records(tmp_path)["gcp-rewrite-versioned-key"]["answer"]
    assert (answer["status"], answer["code"], answer["message"]) == (400, "invalid", "Malformed")
    (sent,) = [one.target for one in alphabet.traffic.requests if "rewriteTo" in one.target]
    assert sent.endswith("cryptoKeyVersions%2F1")


# What must be removed, whatever happens


def interrupted_aws(cloud: Aws) -> Iterator[Answer]:
    """Is it over?"""
    yield cloud.get(cloud.put_object(cloud.create_key()))
    signal.raise_signal(signal.SIGINT)


def interrupted_gcp(cloud: Google) -> Iterator[Answer]:
    """Is it over?"""
    key = cloud.create_key()
    cloud.put_object(key, cloud.soft_bucket)
    yield cloud.get(cloud.put_object(key))
    signal.raise_signal(signal.SIGINT)


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """Python leaves SIGINT alone where whoever started it had it ignored, as shells do for what runs behind them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_a_ctrl_c_ends_the_asking_and_not_the_removing(amazon: AwsCloud, alphabet: GoogleCloud, tmp_path: Path) -> None:
    on_aws = [experiment("aws", interrupted_aws), *aws_experiments.TABLE]
    outcome = run(aws(amazon), on_aws, tmp_path, "x", print)
    assert (outcome.code, outcome.left, records(tmp_path)) == (130, (), {})
    assert (amazon.store.buckets, states(amazon)) == ({}, ["PendingDeletion"])
    on_google = [experiment("gcp", interrupted_gcp), *gcp_experiments.TABLE]
    outcome = run(gcp(alphabet), on_google, tmp_path, "x", print)
    assert (outcome.code, outcome.left, records(tmp_path)) == (130, (), {})
    (ring,) = alphabet.store.rings
    (key,) = alphabet.store.keys(ring)
    assert (alphabet.store.buckets, key.versions[1].state) == ({}, "DESTROY_SCHEDULED")


def test_a_defect_of_the_kit_is_raised_after_the_removal(amazon: AwsCloud, tmp_path: Path) -> None:
    def defective(cloud: Aws) -> Iterator[Answer]:
        """Is it defective?"""
        yield cloud.get(cloud.put_object(cloud.create_key()))
        raise AssertionError

    with pytest.raises(AssertionError):
        run(aws(amazon), [experiment("aws", defective)], tmp_path, "x", print)
    assert (amazon.store.buckets, states(amazon)) == ({}, ["PendingDeletion"])


def test_what_could_not_be_removed_is_told_and_the_rest_is_removed(amazon: AwsCloud, tmp_path: Path) -> None:
    told: list[str] = []
    amazon.traffic.fail(f"s3 DELETE /{SETTINGS.name}", status=403, code="AccessDenied")
    chosen = [one for one in aws_experiments.TABLE if one.id == "get-disabled"]
    outcome = run(aws(amazon), chosen, tmp_path, "x", told.append)
    assert outcome.code == 1
    assert [one for one in told if one.startswith("NOT REMOVED")] == [f"NOT REMOVED  {outcome.left[0]}"]
    assert outcome.left[0].startswith(f"bucket s3://{SETTINGS.name}: AccessDenied: ")
    assert told[-1] == "removed      all else"
    assert states(amazon) == ["PendingDeletion"]


def test_a_second_ctrl_c_gives_up_one_thing_and_no_other() -> None:
    removed: list[str] = []

    def interrupt() -> None:
        raise KeyboardInterrupt

    made = Made()
    made.note("first", lambda: removed.append("first"))
    made.note("second", interrupt)
    made.note("third", lambda: removed.append("third"))
    assert made.remove() == ["second: interrupted"]
    assert removed == ["third", "first"]


def test_a_key_whose_making_was_never_answered_is_found_by_its_tag(amazon: AwsCloud, tmp_path: Path) -> None:
    prefix = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/"
    lost = amazon.store.add_key(f"{prefix}lost", tags={LABEL: SETTINGS.suffix})
    foreign = amazon.store.add_key(f"{prefix}foreign", tags={LABEL: "another-run"})
    plain = amazon.store.add_key(f"{prefix}plain")
    run(aws(amazon), [one for one in aws_experiments.TABLE if one.id == "dry-run-enabled"], tmp_path, "x", print)
    assert (lost.state, foreign.state, plain.state) == ("PendingDeletion", "Enabled", "Enabled")


def test_a_bucket_of_somebody_else_is_not_emptied(amazon: AwsCloud, tmp_path: Path) -> None:
    amazon.store.add_bucket(SETTINGS.name)
    amazon.store.put(SETTINGS.name, "theirs")
    run(aws(amazon), [one for one in aws_experiments.TABLE if one.id == "get-disabled"], tmp_path, "x", print)
    assert amazon.store.find(SETTINGS.name, "theirs", None)


def test_a_bucket_of_somebody_else_is_not_emptied_on_google(alphabet: GoogleCloud, tmp_path: Path) -> None:
    alphabet.store.add_bucket(SETTINGS.name, PROJECT, "us-east1")
    alphabet.store.put(SETTINGS.name, "theirs")
    run(gcp(alphabet), [one for one in gcp_experiments.TABLE if one.id == "get-disabled"], tmp_path, "x", print)
    assert alphabet.store.find(SETTINGS.name, "theirs", None)


# The command


@contextmanager
def reached(cloud: Aws) -> Iterator[Aws]:
    yield cloud


def use(monkeypatch: pytest.MonkeyPatch, cloud: AwsCloud) -> None:
    monkeypatch.delenv("CI", raising=False)

    def connected(region: str, settings: Run, *, rehearse: bool) -> Any:
        assert not rehearse
        return reached(aws(cloud, region, Run(settings.suffix, SETTINGS.patience)))

    monkeypatch.setattr(connect, "aws", connected)


@pytest.mark.parametrize("word", ["no", "", "y", "Yes please"])
def test_nothing_is_made_without_a_yes(
    amazon: AwsCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    use(monkeypatch, amazon)
    assert main(["aws", "--region", "us-east-1", "--out", str(tmp_path)], lambda _: word) == 2
    assert [one.verb for one in amazon.traffic.requests] == ["GetCallerIdentity"]
    printed = capsys.readouterr().out
    assert f"in aws us-east-1: account {ACCOUNT}, us-east-1" in printed
    assert "12 KMS keys" in printed
    assert "it costs at most $0.0" in printed
    assert not list(tmp_path.iterdir())


def test_nothing_is_made_where_nobody_can_answer(amazon: AwsCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, amazon)

    def nobody(_: str) -> str:
        raise EOFError

    assert main(["aws", "--region", "us-east-1"], nobody) == 2
    assert [one.verb for one in amazon.traffic.requests] == ["GetCallerIdentity"]


def test_a_kill_is_a_ctrl_c(amazon: AwsCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(cloud: Aws) -> Iterator[Answer]:
        """Is it killed?"""
        yield cloud.get(cloud.put_object(cloud.create_key()))
        signal.raise_signal(signal.SIGTERM)

    use(monkeypatch, amazon)
    monkeypatch.setattr(aws_experiments, "TABLE", (experiment("aws", killed),))
    before = signal.getsignal(signal.SIGTERM)
    assert main(["aws", "--region", "us-east-1", "--out", str(tmp_path)], lambda _: "yes") == 130
    assert (amazon.store.buckets, states(amazon)) == ({}, ["PendingDeletion"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_it_does_not_reach_for_a_real_cloud_in_ci(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", "true")
    assert main(["aws", "--region", "us-east-1", "--yes"]) == 2
    assert "not in CI" in capsys.readouterr().err


WRONG = {
    "no project": (["gcp", "--region", "us-east1"], "gcp needs --project"),
    "unknown experiment": (["aws", "--region", "us-east-1", "--only", "get-lost"], "no such experiment: get-lost"),
}


@pytest.mark.parametrize(("argv", "text"), WRONG.values(), ids=WRONG)
def test_wrong_usage_is_told(argv: list[str], text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    assert text in capsys.readouterr().err


def test_no_credentials_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("CI", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert main(["aws", "--region", "us-east-1"]) == 2
    assert "no way in: Unable to locate credentials" in capsys.readouterr().err
    assert main(["gcp", "--region", "us-east1", "--project", PROJECT]) == 2
    assert "no way in: " in capsys.readouterr().err


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_the_readme_shows_what_a_rehearsal_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cloud: str
) -> None:
    (command, shown) = next(
        (command, text)
        for command, text in re.findall(r"```console\n(.*?)\n```\n\n```text\n(.*?)```", README, re.DOTALL)
        if f"tests.live {cloud} " in command
    )
    argv = command.partition("tests.live ")[2].split()
    assert main([*argv, "--out", str(tmp_path)]) == 3
    assert without_suffix(capsys.readouterr().out) == without_suffix(shown)


def without_suffix(text: str) -> str:
    return re.sub(r"[0-9]+\.[0-9] s\b", "N s", re.sub(rf"{LABEL}([-=])[0-9a-f]{{10}}", rf"{LABEL}\1SUFFIX", text))


def test_the_readme_says_what_is_not_asked_of_each_and_names_every_exit_code() -> None:
    for code in ("**0**", "**1**", "**2**", "**3**", "**130**"):
        assert code in README


# The parts


def scripted(*statuses: int) -> Any:
    answers = iter([*statuses, *statuses[-1:] * 100])
    return lambda: Answer("GetObject", status := next(answers), "KMS.DisabledException" if status >= 400 else "")


def test_a_refusal_counts_once_it_stays() -> None:
    answer = watched(scripted(200, 400, 200, 400, 400, 400, 200), Patience(60, 0))
    assert (answer.told["settled"], answer.told["reads"], answer.status) == (True, 6, 400)
    assert [one[1] for one in answer.told["changes"]] == [200, 400, 200, 400]
    insist(answer)


def test_a_read_that_goes_on_working_is_told_with_its_limit() -> None:
    answer = watched(scripted(200), Patience(0.05, 0.01))
    assert (answer.told["settled"], answer.status) == (False, 200)
    assert answer.told["seconds"] >= 0.0
    with pytest.raises(NotAnsweredError, match="a higher --limit waits longer"):
        insist(answer)


def test_what_was_just_made_is_waited_for() -> None:
    assert accepted(scripted(403, 403, 200), Patience(60, 0)).status == 200
    with pytest.raises(NotAnsweredError, match="GetObject is still refused: 403"):
        accepted(scripted(403), Patience(0, 0))


MASKED = {
    "own account": (f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1", "arn:aws:kms:us-east-1:111122223333:key/1"),
    "a third account": ("arn:aws:kms:eu-west-1:123123123123:key/1", "arn:aws:kms:eu-west-1:111122223333:key/1"),
    "the account of the examples": ("arn:aws:kms:x:444455556666:key/1", "arn:aws:kms:x:444455556666:key/1"),
    "a person": (
        f"User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized",
        "User: arn:aws:iam::111122223333:user/someone is not authorized",
    ),
    "a session": (
        f"User: arn:aws:sts::{ACCOUNT}:assumed-role/admin/bob@corp.example is",
        "User: arn:aws:iam::111122223333:user/someone is".replace("iam", "sts"),
    ),
    "an access key": ("AKIA2E0A8F3B244C9986 is unknown", "AKIAIOSFODNN7EXAMPLE is unknown"),
    "a key id with digits": ("key/1f3c0f5e-0000-4000-8000-000000000001", "key/1f3c0f5e-0000-4000-8000-000000000001"),
}


@pytest.mark.parametrize(("text", "masked"), MASKED.values(), ids=MASKED)
def test_aws_texts_are_masked(amazon: AwsCloud, text: str, masked: str) -> None:
    assert aws(amazon).mask(text) == masked


def test_google_texts_are_masked(alphabet: GoogleCloud) -> None:
    cloud = gcp(alphabet)
    cloud.create_key()  # which learns the project's number
    text = f"alice@corp.example lacks x on projects/{PROJECT}/y or {NUMBER}, {PROJECT}-keys"
    assert cloud.mask(text) == "someone@example.com lacks x on projects/my-project/y or 123456789012, my-project-keys"
    agent = f"service-{NUMBER}@gs-project-accounts.iam.gserviceaccount.com"
    assert cloud.mask(agent) == "service-123456789012@gs-project-accounts.iam.gserviceaccount.com"


def test_the_plan_is_dearer_the_longer_it_may_take() -> None:
    short, long = (Run("0", Patience(limit)) for limit in (60.0, 3600.0))
    assert cost("aws", aws_experiments.TABLE, short) < cost("aws", aws_experiments.TABLE, long) < 0.5
    assert cost("gcp", gcp_experiments.TABLE, short) == cost("gcp", gcp_experiments.TABLE, long) < 0.1
    text = "\n".join(plan("gcp", gcp_experiments.TABLE, short, "here"))
    assert "no call deletes a key ring" in text
    assert all(one.question in text for one in gcp_experiments.TABLE)


def test_each_experiment_has_an_id_of_its_own_and_asks_something() -> None:
    for table in (aws_experiments.TABLE, gcp_experiments.TABLE):
        assert len({one.id for one in table}) == len(table)
        assert all(one.question.endswith("?") and len(one.question) > 40 for one in table)
