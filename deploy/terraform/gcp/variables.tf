variable "project" {
  description = "Project of the auditor's service account."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project is the id of a project, and not its number or name."
  }
}

variable "account_id" {
  description = "What the service account is called, before the @."
  type        = string
  default     = "cmek-auditor"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account_id))
    error_message = "account_id has 6 to 30 small letters, digits and hyphens, and begins with a letter."
  }
}

variable "role_id" {
  description = "What the custom role is called in each project; `cmek-auditor doctor --grants gcp` calls it so, too."
  type        = string
  default     = "cmekAuditor"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.]{3,64}$", var.role_id))
    error_message = "role_id has 3 to 64 letters, digits, underscores and dots."
  }
}

variable "bucket_projects" {
  description = "Ids of the projects whose buckets are read."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for one in var.bucket_projects : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", one))])
    error_message = "bucket_projects are ids of projects, and not their numbers or names."
  }
}

variable "key_projects" {
  description = "Ids of the projects that the keys are in; a project that has both is named in both."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for one in var.key_projects : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", one))])
    error_message = "key_projects are ids of projects, and not their numbers or names."
  }
}

variable "workload_identity" {
  description = "The service account of GKE that may act as the auditor: project is the one whose workload identity pool the cluster is in. null lets none."
  type = object({
    project         = string
    namespace       = string
    service_account = string
  })
  default = null

  validation {
    condition     = var.workload_identity == null || can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.workload_identity.project))
    error_message = "workload_identity.project is the id of a project, and not its number or name."
  }

  validation {
    condition = var.workload_identity == null || (
      can(regex("^[a-z0-9-]{1,63}$", var.workload_identity.namespace)) &&
      can(regex("^[a-z0-9.-]{1,253}$", var.workload_identity.service_account))
    )
    error_message = "workload_identity.namespace and service_account are names of Kubernetes, each of one service account."
  }
}

variable "feed" {
  description = <<-EOT
    What tells within seconds that somebody changed a key; null makes none. project: where topic and subscription are. projects,
    folders and organizations: whose audit logs are heard, each by a sink of its own; ids of projects, numbers of the others.
    ack_deadline_seconds: at least 60, or a change is heard again and again. retention_seconds: how long a message waits for the
    auditor. doctor_sees_deadline also gives roles/pubsub.viewer on the subscription, which `doctor` alone asks for.
  EOT
  type = object({
    project              = string
    name                 = optional(string, "key-changes")
    projects             = optional(set(string), [])
    folders              = optional(set(string), [])
    organizations        = optional(set(string), [])
    ack_deadline_seconds = optional(number, 60)
    retention_seconds    = optional(number, 86400)
    doctor_sees_deadline = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.feed == null || can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.feed.project))
    error_message = "feed.project is the id of a project, and not its number or name."
  }

  validation {
    condition     = var.feed == null || can(regex("^[A-Za-z][A-Za-z0-9_-]{2,98}$", var.feed.name))
    error_message = "feed.name has 3 to 99 letters, digits, hyphens and underscores, and begins with a letter: topic, subscription and sinks bear it."
  }

  validation {
    condition     = var.feed == null || length(try(setunion(var.feed.projects, var.feed.folders, var.feed.organizations), [])) > 0
    error_message = "feed names whose audit logs are heard: projects, folders or organizations."
  }

  validation {
    condition     = alltrue([for one in try(var.feed.projects, []) : can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", one))])
    error_message = "feed.projects are ids of projects, and not their numbers or names."
  }

  validation {
    condition = alltrue([
      for one in try(setunion(var.feed.folders, var.feed.organizations), []) : can(regex("^[0-9]+$", one))
    ])
    error_message = "feed.folders and feed.organizations are numbers, without folders/ or organizations/ before them."
  }

  validation {
    condition     = var.feed == null || try(var.feed.ack_deadline_seconds >= 60 && var.feed.ack_deadline_seconds <= 600, false)
    error_message = "feed.ack_deadline_seconds is from 60, which the auditor needs to read the keys, to 600, which Pub/Sub allows."
  }

  validation {
    condition     = var.feed == null || try(var.feed.retention_seconds >= 600 && var.feed.retention_seconds <= 2678400, false)
    error_message = "feed.retention_seconds is from 600 to 2678400 (31 days), as Pub/Sub has it."
  }
}
