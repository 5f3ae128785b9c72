"""What is to be granted, to be pasted: JSON for AWS, a shell script for Google Cloud, in which names are quoted."""

import json
import shlex
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final, TextIO

from auditor.grants import AwsGrants, GcpGrants, ProjectRole, QuotaProject, Subscription, UploadBucket
from auditor.log import visible

SCHEMA: Final = "cmek-auditor/grants/1"
_ROLE: Final = "cmekAuditor"
_IMPERSONATION: Final = ("roles/iam.serviceAccountTokenCreator", "iam.serviceAccounts.getAccessToken")
_QUOTA: Final = ("roles/serviceusage.serviceUsageConsumer", "serviceusage.services.use")
_SUBSCRIBER: Final = ("roles/pubsub.subscriber", "pubsub.subscriptions.consume")
"""Google's own role, and what of it is needed."""
_UPLOADER: Final = (
    ("roles/storage.objectCreator", "storage.objects.create"),
    ("roles/storage.legacyBucketReader", "storage.objects.list"),
)
_COPIER: Final = (
    ("roles/storage.objectCreator", "storage.objects.create"),
    ("roles/storage.objectViewer", "storage.objects.get"),
)
_SOMEBODY: Final = "serviceAccount:NAME@PROJECT.iam.gserviceaccount.com"


def write_json(aws: AwsGrants | None, gcp: GcpGrants | None, out: TextIO) -> None:
    """Write the whole document; of a cloud that was not asked for nothing stands in it."""
    told = {
        "schema": SCHEMA,
        "aws": aws
        and {
            "policies": [{"identity": one.identity, "document": dict(one.document)} for one in aws.policies],
            "key_statements": [
                {"account": one.account, "keys": list(one.keys), "statement": dict(one.statement)}
                for one in aws.key_statements
            ],
        },
        "gcp": gcp
        and {
            "roles": [
                {
                    "project": one.project,
                    "buckets": list(one.of),
                    "member": one.member,
                    "permissions": list(one.permissions),
                }
                for one in gcp.roles
            ],
            "impersonated": [{"service_account": one, **_role(_IMPERSONATION)} for one in gcp.impersonated],
            "quota_projects": [
                {"project": one.project, "member": one.member, **_role(_QUOTA)} for one in gcp.quota_projects
            ],
            "subscriptions": [
                {"name": one.name, "member": one.member, **_role(_SUBSCRIBER)} for one in gcp.subscriptions
            ],
            "uploads": [
                {"bucket": one.url, "member": one.member, **_role(role)} for one in gcp.uploads for role in _roles(one)
            ],
        },
    }
    out.write(json.dumps(told, indent=1) + "\n")


def _roles(one: UploadBucket) -> tuple[tuple[str, str], ...]:
    return _COPIER if one.is_read else _UPLOADER


def _role(one: tuple[str, str]) -> dict[str, Any]:
    return {"role": one[0], "permissions": [one[1]]}


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    text = files("auditor.schemas").joinpath("grants-1.schema.json").read_text(encoding="utf-8")
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def write_aws(one: AwsGrants, out: TextIO, notes: TextIO) -> None:
    """Write each policy as AWS takes it and nothing else; whose it is, and what others add, goes to `notes`."""
    is_alone = len(one.policies) == 1 and not one.key_statements
    for policy in one.policies:
        if not is_alone:
            notes.write(visible(f"# IAM policy of {policy.identity}") + "\n")
            notes.flush()
        out.write(json.dumps(policy.document, indent=2) + "\n")
        out.flush()
    for other in one.key_statements:
        lines = [
            f"# unless account {other.account} is the auditor's own: its owner adds this to the policy of each of",
            *(f"#   {key}" for key in other.keys),
        ]
        notes.writelines(f"{visible(line)}\n" for line in lines)
        notes.write(json.dumps(other.statement, indent=2) + "\n")


def gcp_text(given: GcpGrants) -> Iterator[str]:
    """Yield a shell script that makes the roles, or brings them up to date, and gives them.

    What nobody knows is asked of its environment.
    """
    members = {
        *(one.member for one in given.roles),
        *(one.member for one in given.quota_projects),
        *(one.member for one in given.subscriptions),
        *(one.member for one in given.uploads),
    }
    if None in members or given.impersonated:
        yield f': "${{MEMBER:?set it to who the auditor is, like {_SOMEBODY}}}"'
    for role in given.roles:
        # A name with a line break must not begin a line of its own, not even in a comment.
        yield from map(visible, _of_project(role))
    for account in given.impersonated:
        yield visible(
            f"gcloud iam service-accounts add-iam-policy-binding {shlex.quote(account)} --member={_member(None)} "
            f"--role={_IMPERSONATION[0]} --condition=None"
        )
    for quota in given.quota_projects:
        yield visible(_of_quota(quota))
    for one in given.subscriptions:
        yield visible(_of_subscription(one))
    for upload in given.uploads:
        yield from map(visible, _of_upload(upload))


def _of_project(role: ProjectRole) -> Iterator[str]:
    if role.project is None:
        yield f"# the project of {', '.join(role.of)}, which the config does not name"
        yield ': "${PROJECT:?set it to that project}"'
    project = shlex.quote(role.project) if role.project is not None else '"$PROJECT"'
    permissions = ",".join(role.permissions)
    # Run again, for another permission or project, it finds the role that it made.
    there = f"gcloud iam roles describe {_ROLE} --project={project} >/dev/null 2>&1"
    yield f"{there} && VERB=update || VERB=create"
    yield (
        f"gcloud iam roles \"$VERB\" {_ROLE} --project={project} --title='CMEK auditor' --stage=GA "
        f"--permissions={permissions}"
    )
    yield (
        f"gcloud projects add-iam-policy-binding {project} --member={_member(role.member)} "
        f"--role=projects/{project}/roles/{_ROLE} --condition=None"
    )


def _of_quota(one: QuotaProject) -> str:
    return (
        f"gcloud projects add-iam-policy-binding {shlex.quote(one.project)} --member={_member(one.member)} "
        f"--role={_QUOTA[0]} --condition=None"
    )


def _of_subscription(one: Subscription) -> str:
    _, project, _, name = one.name.split("/")
    return (
        f"gcloud pubsub subscriptions add-iam-policy-binding {shlex.quote(name)} --project={shlex.quote(project)} "
        f"--member={_member(one.member)} --role={_SUBSCRIBER[0]}"
    )


def _of_upload(one: UploadBucket) -> Iterator[str]:
    for role, _ in _roles(one):
        yield (
            f"gcloud storage buckets add-iam-policy-binding {shlex.quote(one.url)} --member={_member(one.member)} "
            f"--role={role}"
        )


def _member(given: str | None) -> str:
    return shlex.quote(f"serviceAccount:{given}") if given is not None else '"$MEMBER"'
