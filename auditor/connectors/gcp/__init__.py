"""Cloud Storage and Cloud KMS through Google's own clients."""
