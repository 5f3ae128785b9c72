# What is granted and what is heard, made of variables alone: the tests have Terraform work it out without any provider.

locals {
  as_deployed = yamldecode(file("${path.module}/../../gcp-auditor-role.yaml"))
  permissions = local.as_deployed.includedPermissions

  # What the projects of the buckets are asked for; all else is asked of the projects of the keys, so that none can be forgotten.
  of_buckets = [for one in local.permissions : one if startswith(one, "storage.") || one == "resourcemanager.projects.get"]
  of_keys    = [for one in local.permissions : one if !contains(local.of_buckets, one)]

  roles = {
    for project in setunion(var.bucket_projects, var.key_projects) : project => sort(concat(
      contains(var.bucket_projects, project) ? local.of_buckets : [],
      contains(var.key_projects, project) ? local.of_keys : [],
    ))
  }

  # The filter of README.md, "Within seconds": what auditor/connectors/gcp/log_hints.py reads.
  key_changes = trimspace(<<-EOT
    (log_id("cloudaudit.googleapis.com/activity") OR log_id("cloudaudit.googleapis.com/system_event")) AND
    (protoPayload.serviceName="cloudkms.googleapis.com" OR
    (protoPayload.serviceName=("cloudresourcemanager.googleapis.com" OR "iam.googleapis.com" OR "orgpolicy.googleapis.com" OR "serviceusage.googleapis.com") AND
    protoPayload.methodName=~"(^|\\.)(BatchEnableServices|ClearOrgPolicy|CreatePolicy|DeletePolicy|DeleteProject|DeleteRole|DeleteServiceAccount|DisableService|DisableServiceAccount|EnableService|EnableServiceAccount|MoveProject|SetIamPolicy|SetOrgPolicy|UndeleteProject|UndeleteRole|UndeleteServiceAccount|UpdatePolicy|UpdateRole)$"))
  EOT
  )
}
