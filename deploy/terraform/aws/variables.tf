variable "name" {
  description = "What the role, its policy and the queue of the feed are called."
  type        = string
  default     = "cmek-auditor"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{1,50}$", var.name))
    error_message = "name has 1 to 50 letters, digits, hyphens and underscores: queue, rule and role bear it."
  }
}

variable "trust" {
  description = <<-EOT
    Who may become the auditor: exactly one of the three.
    irsa: a service account of EKS, by the cluster's OIDC provider.
    pod_identity: a service account of EKS, by EKS Pod Identity; cluster_arn says of which cluster.
    principals: roles or users, of this account or of another one. external_id is the one of [[account]] in auditor.toml. It is
    no secret: it stands in the trust policy. from_pod_identity lets in a role that EKS Pod Identity has given out, which brings
    tags with it.
  EOT
  type = object({
    irsa = optional(object({
      oidc_provider_arn = string
      namespace         = string
      service_account   = string
    }))
    pod_identity = optional(object({
      cluster_arn     = string
      namespace       = string
      service_account = string
    }))
    principals = optional(object({
      arns              = set(string)
      external_id       = optional(string)
      from_pod_identity = optional(bool, false)
    }))
  })
  nullable = false

  validation {
    condition     = length([for one in [var.trust.irsa, var.trust.pod_identity, var.trust.principals] : one if one != null]) == 1
    error_message = "trust names exactly one of irsa, pod_identity and principals."
  }

  validation {
    condition = var.trust.irsa == null || can(
      regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/[^*?]+$", var.trust.irsa.oidc_provider_arn)
    )
    error_message = "trust.irsa.oidc_provider_arn is the ARN of an IAM OIDC provider: arn:aws:iam::ACCOUNT:oidc-provider/HOST/id/ID."
  }

  validation {
    condition = var.trust.pod_identity == null || can(
      regex("^arn:[a-z-]+:eks:[a-z0-9-]+:[0-9]{12}:cluster/[^*?]+$", var.trust.pod_identity.cluster_arn)
    )
    error_message = "trust.pod_identity.cluster_arn is the ARN of an EKS cluster: arn:aws:eks:REGION:ACCOUNT:cluster/NAME."
  }

  validation {
    condition = alltrue([
      for one in [var.trust.irsa, var.trust.pod_identity] :
      can(regex("^[a-z0-9-]{1,63}$", one.namespace)) && can(regex("^[a-z0-9.-]{1,253}$", one.service_account))
      if one != null
    ])
    error_message = "namespace and service_account are names of Kubernetes, each of one service account: without wildcards."
  }

  validation {
    condition = var.trust.principals == null || (
      length(try(var.trust.principals.arns, [])) > 0 &&
      alltrue([
        for arn in try(var.trust.principals.arns, []) :
        can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(root|(role|user)/[^*?]+)$", arn))
      ])
    )
    error_message = "trust.principals.arns names at least one role, user or account root by its whole ARN, without wildcards."
  }

  validation {
    condition = try(var.trust.principals.external_id, null) == null || (
      can(regex("^[A-Za-z0-9_+=,.@:/-]+$", var.trust.principals.external_id)) &&
      try(length(var.trust.principals.external_id) >= 2 && length(var.trust.principals.external_id) <= 1224, false)
    )
    error_message = "trust.principals.external_id has 2 to 1224 of the characters that AWS STS allows."
  }
}

variable "buckets" {
  description = "Names of the S3 buckets that this role reads, as [[bucket]] in auditor.toml names them. None for a role that reads keys alone."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for one in var.buckets : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", one))])
    error_message = "buckets are names without s3:// and without wildcards: each bucket is named."
  }
}

variable "account_role_arns" {
  description = "Roles of the auditor in other accounts, as role_arn of [[account]] in auditor.toml names them. This module makes them, too, with trust.principals."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = alltrue([
      for arn in var.account_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*?]+$", arn))
    ])
    error_message = "account_role_arns are whole ARNs of roles, without wildcards."
  }
}

variable "leave_out" {
  description = "Statements of deploy/aws-auditor-policy.json that the role does without, by their Sid. docs/permissions.md says what is lost."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition = length(setsubtract(var.leave_out, [
      "CountBucketsThatNobodyConfigured", "ReadWhoMayUseKeys", "ReadWhoChangedKeys", "ReadLastUseForRetire",
    ])) == 0
    error_message = "leave_out may name CountBucketsThatNobodyConfigured, ReadWhoMayUseKeys, ReadWhoChangedKeys and ReadLastUseForRetire; the others are needed, and the Deny always stays."
  }
}

variable "permissions_boundary" {
  description = "ARN of the permissions boundary that the account asks of its roles; null gives none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/[^*?]+$", var.permissions_boundary))
    error_message = "permissions_boundary is the ARN of an IAM policy."
  }
}

variable "feed" {
  description = <<-EOT
    The queue that tells at once whose key changed; null makes none. It hears of the keys in the provider's Region of this account,
    and in other_regions, which send their events there. retention_seconds: how long a message waits for the auditor.
  EOT
  type = object({
    other_regions     = optional(set(string), [])
    retention_seconds = optional(number, 86400)
  })
  default = null

  validation {
    condition     = alltrue([for one in try(var.feed.other_regions, []) : can(regex("^[a-z]{2,4}(-[a-z]+)+-[0-9]$", one))])
    error_message = "feed.other_regions are names of Regions, such as eu-west-1."
  }

  validation {
    condition     = var.feed == null || try(var.feed.retention_seconds >= 60 && var.feed.retention_seconds <= 1209600, false)
    error_message = "feed.retention_seconds is from 60 to 1209600 (14 days), as Amazon SQS has it."
  }
}

variable "tags" {
  description = "Tags of the role, its policy, the queue and the rules."
  type        = map(string)
  default     = {}
  nullable    = false
}
