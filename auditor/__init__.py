"""cmek-auditor: which stored data hangs on which KMS key version."""

__version__ = "0.1.0"
