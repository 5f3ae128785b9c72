"""Amazon S3 and AWS KMS through boto3."""
