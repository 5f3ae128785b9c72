"""A HEAD is signed as botocore signs it, whatever its name is."""

from typing import Any, Final, cast
from urllib.parse import urlsplit

import pycurl
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials, ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from auditor.connectors.aws.signature import HeadSignature
from auditor.connectors.aws.signing import S3Signer

SECOND: Final = 1_795_000_000
STAMP: Final = "20261118T110640Z"
USER: Final = ReadOnlyCredentials("AKIAEXAMPLE", "secret/key+", None)
SESSION: Final = ReadOnlyCredentials("ASIAEXAMPLE", "other", "session/token+=")
BLANKS: Final = ReadOnlyCredentials("ASIAEXAMPLE", "other", " session  token ")
BASES: Final = (
    "https://data.s3.eu-west-1.amazonaws.com",
    "https://s3.eu-west-1.amazonaws.com:443/data",
    "http://127.0.0.1:9000/data",
    "http://[::1]:80/data",
)


def by_botocore(credentials: ReadOnlyCredentials, url: str, signed: dict[str, str]) -> str:
    """The Authorization header of a request with these headers."""
    auth = S3SigV4Auth(credentials, "s3", "eu-west-1")
    asked = AWSRequest("HEAD", url, headers={name: value for name, value in signed.items() if name != "host"})
    asked.context["timestamp"] = STAMP
    telling = auth.signature(auth.string_to_sign(asked, auth.canonical_request(asked)), asked)
    names = auth.signed_headers(auth.headers_to_sign(asked))
    return f"AWS4-HMAC-SHA256 Credential={auth.scope(asked)}, SignedHeaders={names}, Signature={telling}"


@given(name=st.text(min_size=1), version=st.none() | st.text(min_size=1), base=st.sampled_from(BASES))
@pytest.mark.parametrize("credentials", [USER, SESSION, BLANKS], ids=["a user", "a session", "blanks in a token"])
def test_a_head_is_signed_as_botocore_does(
    credentials: ReadOnlyCredentials, name: str, version: str | None, base: str
) -> None:
    signer = S3Signer(Credentials("-", "-"), "data", (base, "eu-west-1"))
    # Half a pair is no text that a name could have.
    whole = [one and one.encode("utf-8", "replace").decode() for one in (name, version)]
    url = signer.version(whole[0] or "", whole[1]).url
    lines = HeadSignature(credentials, "eu-west-1", base, SECOND).headers(url)
    headers = {key: value for key, _, value in (one.partition(": ") for one in lines)}
    told = headers.pop("Authorization")
    assert headers["x-amz-date"] == STAMP
    assert headers.get("x-amz-security-token") == credentials.token
    assert told == by_botocore(credentials, url, headers)


def test_the_host_is_named_without_the_port_that_goes_without_saying() -> None:
    hosts = [
        dict(one.split(": ", 1) for one in HeadSignature(USER, "x", base, SECOND).headers(f"{base}/y"))
        for base in BASES
    ]
    assert [one["host"] for one in hosts] == [
        "data.s3.eu-west-1.amazonaws.com",
        "s3.eu-west-1.amazonaws.com",
        "127.0.0.1:9000",
        "[::1]",
    ]
    assert urlsplit(BASES[2]).netloc == hosts[2]["host"]


class Taking:
    """Takes the header lines of one request, as a handle does."""

    signed: object = None

    def __init__(self) -> None:
        self.lines: list[str] = []

    def setopt(self, option: int, value: list[str]) -> None:
        """Take them."""
        assert option == pycurl.HTTPHEADER
        self.lines = value


def test_each_second_each_renewal_and_each_region_has_a_signature_of_its_own() -> None:
    now, passed, credentials = [float(SECOND)], [0.0], Credentials("AKIAEXAMPLE", "secret/key+")
    signer = S3Signer(credentials, "data", (BASES[0], "eu-west-1"), clock=lambda: passed[0], now=lambda: now[0])

    def signed() -> str:
        curl = Taking()
        signer.sign(cast("Any", curl), signer.version("acme/1", None))
        return curl.lines[0]

    first = signed()
    now[0] += 0.9
    assert signed() == first
    now[0] += 0.1
    second = signed()
    assert second != first
    credentials.secret_key = "renewed"
    assert signed() == second, "the SDK is asked once a second"
    passed[0] += 1
    third = signed()
    assert third != second
    signer.moved(BASES[0], "us-east-1")
    assert "us-east-1" in signed()
