#!/bin/sh
# Installs what `make test-system` needs from Debian's own packages. Run it as root.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends \
  postgresql prometheus prometheus-alertmanager chromium fonts-dejavu-core buildah mmdebstrap \
  libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0
