"""What holds for every test: none is timed, and none pays or waits for what it says nothing about."""

import functools

import pytest
from botocore import loaders
from hypothesis import HealthCheck, settings

# A busy machine is no failure of a property.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Each session would parse megabytes of JSON anew; tests make thousands of sessions.
loaders.create_loader = functools.cache(loaders.create_loader)

# The clouds' own quotas of their logs are a request or two a second: each poll that finds something would wait.
for _asked in ("aws.audit_log", "gcp.log_pages"):
    pytest.MonkeyPatch().setattr(f"auditor.connectors.{_asked}._QUOTA", 1000.0)
