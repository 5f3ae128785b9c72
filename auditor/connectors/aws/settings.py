"""What S3 tells of the encryption of new objects: recorded answers in, values out."""

from collections.abc import Mapping
from typing import Any, Final

from auditor.model import Encryption, KeyName, NewObjects

BEFORE_ANY: Final = NewObjects(Encryption.PROVIDER)
"""Where nothing was ever set S3 encrypts by itself, since January 2023. Source: S3 User Guide, default encryption."""
_BY_KMS: Final = frozenset({"aws:kms", "aws:kms:dsse"})
_OF_AMAZON: Final = "alias/aws/s3"
_SSE_C: Final = "SSE-C"


def parse_new_objects(told: Mapping[str, Any]) -> NewObjects:
    """What GetBucketEncryption says of new objects whose writer names no key."""
    rules = told["ServerSideEncryptionConfiguration"].get("Rules", ())
    blocked = {kind for rule in rules for kind in rule.get("BlockedEncryptionTypes", {}).get("EncryptionType", [])}
    refused = (Encryption.CUSTOMER_SUPPLIED,) if _SSE_C in blocked else ()
    by_default = next((one for rule in rules if (one := rule.get("ApplyServerSideEncryptionByDefault"))), None)
    if by_default is None:
        return NewObjects(Encryption.UNKNOWN, refused=refused)
    name = by_default.get("KMSMasterKeyID")
    match by_default.get("SSEAlgorithm"):
        case "AES256":
            return NewObjects(Encryption.PROVIDER, refused=refused)
        case kind if kind not in _BY_KMS:
            return NewObjects(Encryption.UNKNOWN, refused=refused)
    # Without a key, and by this alias, it is the key that Amazon manages.
    if not name or name == _OF_AMAZON or name.endswith(f":{_OF_AMAZON}"):
        return NewObjects(Encryption.PROVIDER_KMS, refused=refused)
    return NewObjects(Encryption.CMEK, named=name, refused=refused)


def full_name(new: NewObjects) -> str | None:
    """The default key where it is set by its full name; an alias or a bare id names no key for certain."""
    try:
        return KeyName.parse(new.named).text if new.named else None
    except ValueError:
        return None
