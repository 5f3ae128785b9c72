# The role that cmek-auditor reads AWS with. It may read, and nothing else: docs/permissions.md says what for.

data "aws_partition" "current" {}

locals {
  partition = data.aws_partition.current.partition
}

resource "aws_iam_role" "auditor" {
  name                 = var.name
  description          = "cmek-auditor: reads which KMS key each object names and the state of those keys; changes nothing."
  assume_role_policy   = local.trust
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags
}

resource "aws_iam_policy" "auditor" {
  name        = var.name
  description = "What cmek-auditor may read: deploy/aws-auditor-policy.json for the buckets and roles that there are."
  policy      = local.policy
  tags        = var.tags

  lifecycle {
    precondition {
      condition     = length(local.policy) <= 6144
      error_message = "The policy has more than the 6144 characters that IAM allows: give some of the buckets a role of their own."
    }
  }
}

resource "aws_iam_role_policy_attachment" "auditor" {
  role       = aws_iam_role.auditor.name
  policy_arn = aws_iam_policy.auditor.arn
}
