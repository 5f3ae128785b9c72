"""Google Cloud in small: Cloud Storage listings and reads, Cloud KMS, IAM policies, log entries, Pub/Sub."""

from auditor.embedded.google.server import GoogleCloud
from auditor.embedded.google.store import Store, Version

__all__ = ["GoogleCloud", "Store", "Version"]
