# The documents, made of variables and of the names in main.tf and feed.tf alone: the tests have Terraform work them out without
# any provider.

locals {
  as_deployed = jsondecode(file("${path.module}/../../aws-auditor-policy.json"))

  # Each statement of the file for the buckets and roles that there are; one that is left without any is no statement.
  resources = [
    for one in local.as_deployed.Statement : distinct(flatten([
      for resource in flatten([one.Resource]) : (
        strcontains(resource, ":s3:::BUCKET") ? [for bucket in sort(var.buckets) : replace(resource, "BUCKET", bucket)] :
        one.Sid == "BecomeTheAuditorOfOtherAccounts" ? sort(var.account_role_arns) :
        one.Sid == "CountBucketsThatNobodyConfigured" && length(var.buckets) == 0 ? [] :
        [resource]
      )
    ]))
  ]

  # Whom EKS Pod Identity has given out bears tags that go along into other accounts, and may not go there without this.
  brings_tags = var.trust.pod_identity != null || try(var.trust.principals.from_pod_identity, false)

  filled = [
    for number, one in local.as_deployed.Statement : {
      Sid    = one.Sid
      Effect = one.Effect
      Action = sort(concat(
        flatten([one.Action]),
        one.Sid == "BecomeTheAuditorOfOtherAccounts" && local.brings_tags ? ["sts:TagSession"] : [],
      ))
      Resource = [for arn in local.resources[number] : replace(arn, "/^arn:aws:/", "arn:${local.partition}:")]
    }
    if length(local.resources[number]) > 0 && !contains(var.leave_out, one.Sid)
  ]

  # As `cmek-auditor doctor --grants aws` prints it.
  listen = [
    for arn in local.queue_arns : {
      Sid      = "ListenToFeeds"
      Effect   = "Allow"
      Action   = ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]
      Resource = [arn]
    }
  ]

  policy = jsonencode({
    Version   = local.as_deployed.Version
    Statement = concat(local.filled, local.listen)
  })

  issuer = try(regex(":oidc-provider/(.+)$", var.trust.irsa.oidc_provider_arn)[0], "")

  trusted = concat(
    [
      for one in [var.trust.irsa] : {
        Sid       = "ServiceAccountByOidc"
        Effect    = "Allow"
        Principal = { Federated = one.oidc_provider_arn }
        Action    = ["sts:AssumeRoleWithWebIdentity"]
        Condition = {
          StringEquals = {
            "${local.issuer}:aud" = "sts.amazonaws.com"
            "${local.issuer}:sub" = "system:serviceaccount:${one.namespace}:${one.service_account}"
          }
        }
      } if one != null
    ],
    [
      for one in [var.trust.pod_identity] : {
        Sid       = "ServiceAccountByPodIdentity"
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = {
          StringEquals = {
            "aws:RequestTag/eks-cluster-arn"            = one.cluster_arn
            "aws:RequestTag/kubernetes-namespace"       = one.namespace
            "aws:RequestTag/kubernetes-service-account" = one.service_account
          }
        }
      } if one != null
    ],
    [
      for one in [var.trust.principals] : merge(
        {
          Sid       = "NamedPrincipals"
          Effect    = "Allow"
          Principal = { AWS = sort(one.arns) }
          Action    = ["sts:AssumeRole"]
        },
        one.external_id != null ? { Condition = { StringEquals = { "sts:ExternalId" = one.external_id } } } : {},
      ) if one != null
    ],
    # On its own it lets nobody in.
    [
      for one in [var.trust.principals] : {
        Sid       = "NamedPrincipalsBringTags"
        Effect    = "Allow"
        Principal = { AWS = sort(one.arns) }
        Action    = ["sts:TagSession"]
      } if try(one.from_pod_identity, false)
    ],
  )

  trust = jsonencode({ Version = "2012-10-17", Statement = local.trusted })

  # What auditor/connectors/aws/feed.py understands. RotateKey and DeleteKey of the service itself come by CloudTrail, too.
  event_pattern = {
    source = ["aws.kms"]
    "detail-type" = [
      "AWS API Call via CloudTrail",
      "AWS Service Event via CloudTrail",
      "KMS CMK Deletion",
      "KMS CMK Rotation",
      "KMS Imported Key Material Expiration",
    ]
  }

  # Allow alone would leave the queue open to whoever may send to any queue of the account.
  queue_policies = [
    for arn in local.queue_arns : jsonencode({
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "LetTheRuleSend"
          Effect    = "Allow"
          Principal = { Service = "events.amazonaws.com" }
          Action    = ["sqs:SendMessage"]
          Resource  = [arn]
          Condition = { ArnEquals = { "aws:SourceArn" = local.rule_arns } }
        },
        {
          Sid       = "NobodyElseSends"
          Effect    = "Deny"
          Principal = { AWS = "*" }
          Action    = ["sqs:SendMessage"]
          Resource  = [arn]
          Condition = { ArnNotEquals = { "aws:SourceArn" = local.rule_arns } }
        },
      ]
    })
  ]
}
