"""What holds for every test: none is timed, and the SDK's service descriptions are read once a process."""

import functools

from botocore import loaders
from hypothesis import HealthCheck, settings

# A busy machine is no failure of a property.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Each session would parse megabytes of JSON anew; tests make thousands of sessions.
loaders.create_loader = functools.cache(loaders.create_loader)
