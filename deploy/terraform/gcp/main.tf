# The service account that cmek-auditor reads Google Cloud with. It may read, and nothing else: docs/permissions.md says what for.

resource "google_service_account" "auditor" {
  project      = var.project
  account_id   = var.account_id
  display_name = local.as_deployed.title
  description  = local.as_deployed.description
}

# A custom role of a project can be given in that project alone: each has its own.
resource "google_project_iam_custom_role" "auditor" {
  for_each = local.roles

  project     = each.key
  role_id     = var.role_id
  title       = local.as_deployed.title
  description = local.as_deployed.description
  stage       = local.as_deployed.stage
  permissions = each.value
}

# A member, and no binding or policy: those would take the role, or all roles, from others.
resource "google_project_iam_member" "auditor" {
  for_each = local.roles

  project = each.key
  role    = google_project_iam_custom_role.auditor[each.key].id
  member  = google_service_account.auditor.member
}

resource "google_service_account_iam_member" "kubernetes" {
  count = var.workload_identity == null ? 0 : 1

  service_account_id = google_service_account.auditor.name
  role               = "roles/iam.workloadIdentityUser"
  member = join("", [
    "serviceAccount:${var.workload_identity.project}.svc.id.goog",
    "[${var.workload_identity.namespace}/${var.workload_identity.service_account}]",
  ])
}
