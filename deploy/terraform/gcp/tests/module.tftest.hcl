# `terraform init && terraform test` in the folder above runs it. It reaches no cloud: what a provider would make is mocked.

mock_provider "google" {
  mock_resource "google_service_account" {
    defaults = { member = "serviceAccount:cmek-auditor@platform-audit.iam.gserviceaccount.com" }
  }

  mock_resource "google_logging_project_sink" {
    defaults = { writer_identity = "serviceAccount:of-a-project@gcp-sa-logging.iam.gserviceaccount.com" }
  }

  mock_resource "google_logging_folder_sink" {
    defaults = { writer_identity = "serviceAccount:of-a-folder@gcp-sa-logging.iam.gserviceaccount.com" }
  }

  mock_resource "google_logging_organization_sink" {
    defaults = { writer_identity = "serviceAccount:of-an-organization@gcp-sa-logging.iam.gserviceaccount.com" }
  }
}

variables {
  project = "platform-audit"
}

run "makes_a_service_account_and_no_more" {
  assert {
    condition = alltrue([
      length(google_project_iam_custom_role.auditor) == 0, length(google_project_iam_member.auditor) == 0,
      length(google_service_account_iam_member.kubernetes) == 0, length(google_pubsub_topic.feed) == 0,
      length(google_pubsub_subscription.feed) == 0, length(google_logging_project_sink.feed) == 0,
      length(google_logging_folder_sink.feed) == 0, length(google_logging_organization_sink.feed) == 0,
      length(google_pubsub_topic_iam_member.writer) == 0, length(google_pubsub_subscription_iam_member.auditor) == 0,
      output.feed == null,
    ])
    error_message = "What was not asked for is made."
  }
}

run "plans_all_of_it_before_anything_is_there" {
  command = plan

  variables {
    bucket_projects   = ["acme-data"]
    key_projects      = ["customer-prod"]
    workload_identity = { project = "platform-audit", namespace = "audit", service_account = "cmek-auditor" }
    feed              = { project = "platform-audit", projects = ["customer-prod"], folders = ["12"], organizations = ["34"] }
  }
}

run "makes_all_of_it" {
  variables {
    bucket_projects   = ["acme-data"]
    key_projects      = ["acme-data", "customer-prod"]
    workload_identity = { project = "platform-audit", namespace = "audit", service_account = "cmek-auditor" }
    feed              = { project = "platform-audit", projects = ["customer-prod"], folders = ["12"], organizations = ["34"] }
  }

  assert {
    condition = { for name, one in google_pubsub_topic_iam_member.writer : name => one.member } == {
      "projects/customer-prod" = "serviceAccount:of-a-project@gcp-sa-logging.iam.gserviceaccount.com"
      "folders/12"             = "serviceAccount:of-a-folder@gcp-sa-logging.iam.gserviceaccount.com"
      "organizations/34"       = "serviceAccount:of-an-organization@gcp-sa-logging.iam.gserviceaccount.com"
    }
    error_message = "Another than the sinks publishes."
  }

  assert {
    condition = { for role, one in google_pubsub_subscription_iam_member.auditor : role => one.member } == {
      "roles/pubsub.subscriber" = "serviceAccount:cmek-auditor@platform-audit.iam.gserviceaccount.com"
    }
    error_message = "The auditor may do something else with the subscription than pull from it."
  }

  assert {
    condition = (
      google_pubsub_subscription.feed[0].ack_deadline_seconds == 60 &&
      google_pubsub_subscription.feed[0].message_retention_duration == "86400s"
    )
    error_message = "The subscription has another deadline."
  }

  assert {
    condition     = keys(google_project_iam_member.auditor) == ["acme-data", "customer-prod"]
    error_message = "The role is given in other projects."
  }

  assert {
    condition = (
      google_service_account_iam_member.kubernetes[0].member ==
      "serviceAccount:platform-audit.svc.id.goog[audit/cmek-auditor]"
    )
    error_message = "Another may act as the auditor."
  }
}

run "lets_the_doctor_see_the_deadline" {
  variables {
    feed = { project = "platform-audit", folders = ["12"], doctor_sees_deadline = true }
  }

  assert {
    condition     = keys(google_pubsub_subscription_iam_member.auditor) == ["roles/pubsub.subscriber", "roles/pubsub.viewer"]
    error_message = "The doctor cannot see it."
  }
}
