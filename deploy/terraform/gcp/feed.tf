# The feed: log sinks hand what may bear on a key to a topic, whose subscription the auditor alone pulls. Off while var.feed is null.

locals {
  feeds = var.feed == null ? [] : [var.feed]
  writers = merge(
    { for one, sink in google_logging_project_sink.feed : "projects/${one}" => sink.writer_identity },
    { for one, sink in google_logging_folder_sink.feed : "folders/${one}" => sink.writer_identity },
    { for one, sink in google_logging_organization_sink.feed : "organizations/${one}" => sink.writer_identity },
  )
}

resource "google_pubsub_topic" "feed" {
  count = length(local.feeds)

  project = local.feeds[count.index].project
  name    = local.feeds[count.index].name
}

# No topic for dead letters: the auditor counts and acknowledges what it cannot understand.
resource "google_pubsub_subscription" "feed" {
  count = length(local.feeds)

  project                    = local.feeds[count.index].project
  name                       = local.feeds[count.index].name
  topic                      = google_pubsub_topic.feed[count.index].id
  ack_deadline_seconds       = local.feeds[count.index].ack_deadline_seconds
  message_retention_duration = "${local.feeds[count.index].retention_seconds}s"

  # Never: else an auditor that was off for a month would find it gone.
  expiration_policy {
    ttl = ""
  }
}

resource "google_logging_project_sink" "feed" {
  for_each = toset(flatten([for one in local.feeds : one.projects]))

  project                = each.key
  name                   = local.feeds[0].name
  description            = "Changes of keys, for cmek-auditor."
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.feed[0].id}"
  filter                 = local.key_changes
  unique_writer_identity = true
}

resource "google_logging_folder_sink" "feed" {
  for_each = toset(flatten([for one in local.feeds : one.folders]))

  folder           = each.key
  name             = local.feeds[0].name
  description      = "Changes of keys, for cmek-auditor."
  destination      = "pubsub.googleapis.com/${google_pubsub_topic.feed[0].id}"
  filter           = local.key_changes
  include_children = true
}

resource "google_logging_organization_sink" "feed" {
  for_each = toset(flatten([for one in local.feeds : one.organizations]))

  org_id           = each.key
  name             = local.feeds[0].name
  description      = "Changes of keys, for cmek-auditor."
  destination      = "pubsub.googleapis.com/${google_pubsub_topic.feed[0].id}"
  filter           = local.key_changes
  include_children = true
}

# Each sink writes as an identity of its own, to this topic alone.
resource "google_pubsub_topic_iam_member" "writer" {
  for_each = local.writers

  project = google_pubsub_topic.feed[0].project
  topic   = google_pubsub_topic.feed[0].name
  role    = "roles/pubsub.publisher"
  member  = each.value
}

# On the subscription, and not on its project.
resource "google_pubsub_subscription_iam_member" "auditor" {
  for_each = toset(flatten([
    for one in local.feeds : concat(["roles/pubsub.subscriber"], one.doctor_sees_deadline ? ["roles/pubsub.viewer"] : [])
  ]))

  project      = google_pubsub_subscription.feed[0].project
  subscription = google_pubsub_subscription.feed[0].name
  role         = each.key
  member       = google_service_account.auditor.member
}
