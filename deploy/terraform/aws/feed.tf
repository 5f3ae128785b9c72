# The feed: EventBridge puts what happens to keys into a queue that the auditor alone reads. Off while var.feed is null.

data "aws_region" "current" {}

data "aws_caller_identity" "current" {}

locals {
  feeds      = var.feed == null ? [] : [var.feed]
  queue_arns = aws_sqs_queue.feed[*].arn
  rule_arns  = aws_cloudwatch_event_rule.feed[*].arn
  senders    = toset(flatten([for one in local.feeds : one.other_regions]))
  bus = join(":", [
    "arn", local.partition, "events", data.aws_region.current.region, data.aws_caller_identity.current.account_id,
    "event-bus/default",
  ])
}

# No queue for dead letters: the auditor counts and deletes what it cannot understand. No KMS key: the policy denies kms:Decrypt.
resource "aws_sqs_queue" "feed" {
  count = length(local.feeds)

  name                      = var.name
  sqs_managed_sse_enabled   = true
  message_retention_seconds = local.feeds[count.index].retention_seconds
  tags                      = var.tags
}

resource "aws_sqs_queue_policy" "feed" {
  count = length(local.feeds)

  queue_url = aws_sqs_queue.feed[count.index].url
  policy    = local.queue_policies[count.index]
}

# In this state calls that only read are left out.
resource "aws_cloudwatch_event_rule" "feed" {
  count = length(local.feeds)

  name          = var.name
  description   = "Changes of KMS keys, for cmek-auditor."
  event_pattern = jsonencode(local.event_pattern)
  state         = "ENABLED"
  tags          = var.tags
}

# The whole event: no input, no input_path, no transformer.
resource "aws_cloudwatch_event_target" "feed" {
  count = length(local.feeds)

  rule      = aws_cloudwatch_event_rule.feed[count.index].name
  target_id = var.name
  arn       = aws_sqs_queue.feed[count.index].arn
}

# A rule reaches only queues of its own Region. Rules of other Regions send to the default bus here, where the rule above hears them.
resource "aws_cloudwatch_event_rule" "elsewhere" {
  for_each = local.senders

  region        = each.key
  name          = var.name
  description   = "Changes of KMS keys, sent on to ${data.aws_region.current.region} for cmek-auditor."
  event_pattern = jsonencode(local.event_pattern)
  state         = "ENABLED"
  tags          = var.tags

  lifecycle {
    precondition {
      condition     = each.key != data.aws_region.current.region
      error_message = "feed.other_regions names the provider's own Region, which is heard without it: events would go round in circles."
    }
  }
}

resource "aws_cloudwatch_event_target" "elsewhere" {
  for_each = local.senders

  region    = each.key
  rule      = aws_cloudwatch_event_rule.elsewhere[each.key].name
  target_id = var.name
  arn       = local.bus
  role_arn  = aws_iam_role.sender[0].arn
}

# EventBridge's own role, and not the auditor's: it puts events on that bus.
resource "aws_iam_role" "sender" {
  count = length(local.senders) > 0 ? 1 : 0

  name        = "${var.name}-events"
  description = "EventBridge sends changes of KMS keys from other Regions to ${data.aws_region.current.region}."
  tags        = var.tags
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      { Effect = "Allow", Principal = { Service = "events.amazonaws.com" }, Action = ["sts:AssumeRole"] },
    ]
  })
}

resource "aws_iam_role_policy" "sender" {
  count = length(aws_iam_role.sender)

  name = "send"
  role = aws_iam_role.sender[0].id
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = ["events:PutEvents"], Resource = [local.bus] }]
  })
}
