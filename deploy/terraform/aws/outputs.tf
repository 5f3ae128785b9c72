output "role_arn" {
  description = "The role: of the pod (identity.role in the Helm chart), or role_arn of [[account]] in auditor.toml."
  value       = aws_iam_role.auditor.arn
}

output "policy" {
  description = "The policy of the role, to compare with what `cmek-auditor doctor --grants aws` prints."
  value       = local.policy
}

output "feed" {
  description = "feed of [[account]] in auditor.toml: the queue's URL; null without a feed."
  value       = one(aws_sqs_queue.feed[*].url)
}
