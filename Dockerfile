# The base image is an argument: any Debian with Python 3.11 or newer, python3-venv and CA certificates. So are the extras, and
# packages of Debian that they need. For `report --as pdf`:
#   --build-arg EXTRAS=logging,turbopuffer,pdf
#   --build-arg PACKAGES="libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core"
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=logging,turbopuffer
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY auditor auditor
COPY reports reports
RUN python3 -m venv /opt/cmek-auditor \
 && /opt/cmek-auditor/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt ".[$EXTRAS]"

FROM ${BASE}
ARG PACKAGES=""
# Which versions there are the base image decides.
# hadolint ignore=DL3008
RUN if [ -n "$PACKAGES" ]; then \
      apt-get update -qq && apt-get install -y -qq --no-install-recommends $PACKAGES && rm -rf /var/lib/apt/lists/*; \
    fi
COPY --from=build /opt/cmek-auditor /opt/cmek-auditor
# The root file system may be read-only: all state is in this one folder.
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/cmek-auditor
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/var/lib/cmek-auditor
USER 10001:10001
VOLUME /var/lib/cmek-auditor
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["/opt/cmek-auditor/bin/python", "-c", "import ssl, sys, urllib.request as r\nany_cert = ssl._create_unverified_context()\nfor scheme in 'http', 'https':\n try:\n  sys.exit(r.urlopen(scheme + '://127.0.0.1:9464/healthz', timeout=2, context=any_cert).status != 200)\n except Exception:\n  pass\nsys.exit(1)"]
ENTRYPOINT ["/opt/cmek-auditor/bin/cmek-auditor"]
CMD ["serve", "--config", "/config/auditor.toml"]
