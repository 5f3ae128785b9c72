"""AWS in small: S3 listings and reads, KMS key states and custom key stores, the caller's identity."""

from auditor.embedded.aws.server import AwsCloud
from auditor.embedded.aws.store import Key, Material, Store

__all__ = ["AwsCloud", "Key", "Material", "Store"]
