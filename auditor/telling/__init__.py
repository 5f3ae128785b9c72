"""What is told of each judgement as it happens: in lines, as JSON, in Cloud Logging."""
