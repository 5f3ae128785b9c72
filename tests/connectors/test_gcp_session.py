"""As whom Google is asked, and what the requests count against."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from auditor.connectors.gcp.session import Endpoints, GcpClients, GcpIdentity
from auditor.connectors.wire import Wire
from tests.clouds import Clock

READER = "reader@platform.iam.gserviceaccount.com"
WHO = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
IDENTITIES = {
    "nobody else": (GcpIdentity(None, None), "own", None),
    "nobody else, and another project": (GcpIdentity(None, "pays"), "own", "pays"),
    "another account": (GcpIdentity(READER, None), "theirs", None),
    "another account, and another project": (GcpIdentity(READER, "pays"), "theirs", "pays"),
}


@dataclass
class Google:
    """Gives tokens, as the transport of google-auth."""

    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """(path, project that it counts against) of each request."""

    def __call__(self, url: str, headers: dict[str, str], **_: object) -> SimpleNamespace:
        self.asked.append((url.rpartition("/")[2], headers.get("x-goog-user-project")))
        told = {
            "access_token": "own",
            "expires_in": 3600,
            "accessToken": "theirs",
            "expireTime": "2999-01-01T00:00:00Z",
        }
        return SimpleNamespace(status=200, data=json.dumps(told).encode(), headers={})


@pytest.mark.parametrize(("identity", "token", "project"), IDENTITIES.values(), ids=IDENTITIES)
def test_requests_count_against_the_quota_project_whoever_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, identity: GcpIdentity, token: str, project: str | None
) -> None:
    (tmp_path / "adc.json").write_text(json.dumps(WHO))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "adc.json"))
    monkeypatch.delenv("GOOGLE_CLOUD_QUOTA_PROJECT", raising=False)
    clients = GcpClients({"acme": identity}, Endpoints(), Wire(Clock()))
    google, headers = Google(), dict[str, str]()
    credentials = clients.credentials("acme")
    credentials.refresh(google)
    credentials.apply(headers)
    assert (headers["authorization"], headers.get("x-goog-user-project")) == (f"Bearer {token}", project)
    tokens = ["token", f"{READER}:generateAccessToken"] if identity.impersonate else ["token"]
    assert google.asked == [(one, None) for one in tokens], "what a token counts against is its maker's own"
