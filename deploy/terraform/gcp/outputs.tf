output "service_account" {
  description = "E-mail address of the service account: identity.role in the Helm chart, or impersonate of [[account]] in auditor.toml."
  value       = google_service_account.auditor.email
}

output "roles" {
  description = "Project -> permissions of the custom role there, to compare with what `cmek-auditor doctor --grants gcp` prints."
  value       = local.roles
}

output "feed" {
  description = "feed of [[account]] in auditor.toml: the subscription's full name; null without a feed."
  value       = one(google_pubsub_subscription.feed[*].id)
}
