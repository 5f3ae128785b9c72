# `terraform init && terraform test` in the folder above runs it. It reaches no cloud: what a provider would make is mocked.

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_data "aws_region" {
    defaults = { region = "us-east-1" }
  }

  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_resource "aws_iam_policy" {
    defaults = { arn = "arn:aws:iam::111122223333:policy/cmek-auditor" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/cmek-auditor-events" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = {
      arn = "arn:aws:sqs:us-east-1:111122223333:cmek-auditor"
      url = "https://sqs.us-east-1.amazonaws.com/111122223333/cmek-auditor"
    }
  }

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:us-east-1:111122223333:rule/cmek-auditor" }
  }
}

variables {
  trust = { principals = { arns = ["arn:aws:iam::111122223333:role/platform"] } }
}

run "makes_a_role_and_its_policy_and_no_more" {
  assert {
    condition = alltrue([
      length(aws_sqs_queue.feed) == 0, length(aws_sqs_queue_policy.feed) == 0, length(aws_cloudwatch_event_rule.feed) == 0,
      length(aws_cloudwatch_event_target.feed) == 0, length(aws_cloudwatch_event_rule.elsewhere) == 0,
      length(aws_cloudwatch_event_target.elsewhere) == 0, length(aws_iam_role.sender) == 0,
      length(aws_iam_role_policy.sender) == 0, output.feed == null,
    ])
    error_message = "What was not asked for is made."
  }

  assert {
    condition     = aws_iam_role_policy_attachment.auditor.policy_arn == aws_iam_policy.auditor.arn
    error_message = "The role has another policy."
  }
}

run "plans_a_feed_before_anything_is_there" {
  command = plan

  variables {
    buckets = ["tpuf-us-east-1"]
    feed    = { other_regions = ["eu-west-1"] }
  }
}

run "makes_a_feed" {
  variables {
    feed = { other_regions = ["eu-west-1", "eu-west-2"] }
  }

  assert {
    condition     = output.feed == "https://sqs.us-east-1.amazonaws.com/111122223333/cmek-auditor"
    error_message = "The feed is another queue."
  }

  assert {
    condition = [for one in jsondecode(aws_sqs_queue_policy.feed[0].policy).Statement : one.Condition] == [
      { ArnEquals = { "aws:SourceArn" = ["arn:aws:events:us-east-1:111122223333:rule/cmek-auditor"] } },
      { ArnNotEquals = { "aws:SourceArn" = ["arn:aws:events:us-east-1:111122223333:rule/cmek-auditor"] } },
    ]
    error_message = "Another sender than the rule is let in."
  }

  assert {
    condition = [for one in jsondecode(aws_iam_policy.auditor.policy).Statement : one.Resource if one.Sid == "ListenToFeeds"] == [
      ["arn:aws:sqs:us-east-1:111122223333:cmek-auditor"],
    ]
    error_message = "The auditor may not read the queue."
  }

  assert {
    condition = (
      keys(aws_cloudwatch_event_target.elsewhere) == ["eu-west-1", "eu-west-2"] &&
      alltrue([
        for region, one in aws_cloudwatch_event_target.elsewhere :
        one.region == region && one.arn == "arn:aws:events:us-east-1:111122223333:event-bus/default"
      ])
    )
    error_message = "Other Regions send their events elsewhere."
  }

  assert {
    condition = jsondecode(aws_iam_role_policy.sender[0].policy).Statement == [
      { Effect = "Allow", Action = ["events:PutEvents"], Resource = ["arn:aws:events:us-east-1:111122223333:event-bus/default"] },
    ]
    error_message = "EventBridge may do more than put events on that bus."
  }
}

run "refuses_to_send_in_circles" {
  command = plan

  variables {
    feed = { other_regions = ["us-east-1"] }
  }

  expect_failures = [aws_cloudwatch_event_rule.elsewhere]
}

run "takes_sixty_buckets" {
  command = plan

  variables {
    buckets = [for number in range(60) : "tpuf-us-east-${number}"]
  }
}

run "refuses_more_than_a_policy_holds" {
  command = plan

  variables {
    buckets = [for number in range(120) : "tpuf-us-east-${number}"]
  }

  expect_failures = [aws_iam_policy.auditor]
}
