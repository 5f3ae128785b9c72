"""The command lines of undos, ready to be pasted: every argument is quoted, because names and principals are hostile.

Source: AWS CLI Command Reference, kms; Google Cloud CLI reference, gcloud kms keys.
"""

import shlex
from collections.abc import Callable

from auditor.model import Cloud, KeyName, split_version


def aws_key(operation: str) -> Callable[[str], str]:
    """Make the line of an operation on a whole AWS key from the key's full name."""

    def line(name: str) -> str:
        return shlex.join(["aws", "kms", operation, "--region", KeyName(name).location, "--key-id", name])

    return line


def disable(name: str) -> str:
    """Disable a key of AWS, or a Cloud KMS key version."""
    return _of(name, aws_key("disable-key"), google_version("disable"))


def destroy(name: str) -> str:
    """Schedule the deletion of a key of AWS, as late as can be, or the destruction of a Cloud KMS version."""
    longest = "--pending-window-in-days 30"
    return _of(name, lambda key: f"{aws_key('schedule-key-deletion')(key)} {longest}", google_version("destroy"))


def _of(name: str, on_aws: Callable[[str], str], on_google: Callable[[str], str]) -> str:
    key, _ = split_version(name)
    return on_aws(name) if key.cloud is Cloud.AWS else on_google(name)


def aws_store(operation: str, key: KeyName, store: str) -> str:
    """Operate on the custom key store behind a key: stores are of the key's account and Region."""
    return shlex.join(["aws", "kms", operation, "--region", key.location, "--custom-key-store-id", store])


def google_version(operation: str) -> Callable[[str], str]:
    """Make the line of an operation on a Cloud KMS key version from the version's full name."""

    def line(name: str) -> str:
        key, number = split_version(name)
        # With = a name that begins with a dash cannot pass for another flag.
        place = (
            f"--project={key.owner}",
            f"--location={key.location}",
            f"--keyring={key.ring.rpartition('/')[2]}",
            f"--key={key.text.rpartition('/')[2]}",
        )
        return shlex.join(["gcloud", "kms", "keys", "versions", operation, number or "", *place])

    return line


def google_key(operation: str, key: KeyName, *flags: str) -> str:
    """Operate on a Cloud KMS key; its full name says project, location and ring as well."""
    return shlex.join(["gcloud", "kms", "keys", operation, key.text, *flags])
