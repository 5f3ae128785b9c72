"""Many requests at once, over a real socket."""

import hashlib
import hmac
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import cast
from urllib.parse import parse_qsl, quote

import pycurl
import pytest
from botocore.credentials import Credentials, ReadOnlyCredentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from auditor.connectors.aws.signing import S3Signer
from auditor.connectors.headers import header
from auditor.connectors.transfers import Handle, Outcome, Transfer, Transfers
from auditor.connectors.wire import Wire
from auditor.errors import ReadOnlyError
from auditor.model import Requests
from tests.clouds import Clock
from tests.hostile import NAMES

Answer = tuple[int, bytes]
LIST = ("s3", "ListObjectsV2")


class Server(ThreadingHTTPServer):
    """Answers by a function, and remembers what was asked."""

    request_queue_size = 128
    daemon_threads = True

    def __init__(self, answer: Callable[[str], Answer | None]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def _serve(self) -> None:
        with self.server.lock:
            told = {name.lower(): value for name, value in self.headers.items()}
            self.server.asked.append((self.command, self.path, told))
            answer = self.server.answer(self.path)
        if answer is None:
            self.close_connection = True
            return
        status, body = answer
        self.send_response(status)
        self.send_header("X-Told", "yes")
        if self.path == "/header":
            for number in range(50):
                self.send_header(f"X-Long-{number}", "x" * 10_000)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_GET = do_HEAD = _serve  # noqa: N815 - the handler's own names

    def log_message(self, *_: object) -> None: ...


@contextmanager
def serving(answer: Callable[[str], Answer | None]) -> Iterator[Server]:
    server = Server(answer)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Plain:
    """Signs nothing, and believes every success but one that says so."""

    def sign(self, curl: Handle, transfer: Transfer) -> None: ...

    def look(self, transfer: Transfer) -> Outcome:
        if transfer.body == b"garbage":
            return Outcome("malformed", again=True)
        return Outcome("ok" if transfer.status == 200 else str(transfer.status))


def gathered(transfers: Transfers, requests: list[Transfer]) -> list[Transfer]:
    for one in requests:
        transfers.start(one)
    done: list[Transfer] = []
    while transfers.open:
        done += transfers.settled()
    transfers.close()
    return done


def some(wire: Wire | None = None, ceiling: float = 100_000, attempts: int | None = None) -> Transfers:
    return Transfers(Plain(), wire or Wire(Clock()), ceiling=ceiling, agent="test/1", connections=16, attempts=attempts)


def test_every_request_is_answered_once_and_counted() -> None:
    wire = Wire(Clock())
    with serving(lambda path: (200, path.encode())) as server:
        asked = [Transfer(LIST, f"{server.url}/{number}", number) for number in range(300)]
        done = gathered(some(wire), asked)
    assert sorted(one.tag for one in done if isinstance(one.tag, int)) == list(range(300))
    assert all(one.body == f"/{one.tag}".encode() for one in done)
    assert {header(one.headers, b"x-told") for one in done} == {"yes"}
    assert wire.counts() == {("s3", "ListObjectsV2", "ok"): 300}
    assert {agent["user-agent"] for _, _, agent in server.asked} == {"test/1"}


def a_certificate(folder: Path, host: str) -> Path:
    """Make a certificate that nobody vouches for, with its key in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.now(UTC)
    named: x509.GeneralName = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([named]), critical=False)
        .sign(key, hashes.SHA256())
    )
    told = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path = folder / f"{host}.pem"
    path.write_bytes(made.public_bytes(Encoding.PEM) + told)
    return path


@pytest.mark.parametrize(
    ("host", "trusted", "status"),
    [("127.0.0.1", True, 200), ("127.0.0.1", False, 0), ("other.example", True, 0)],
    ids=["trusted", "nobody vouches for it", "of another host"],
)
def test_only_who_has_a_trusted_certificate_of_its_own_name_is_asked(
    tmp_path: Path, host: str, *, trusted: bool, status: int
) -> None:
    certificate = a_certificate(tmp_path, host)
    with serving(lambda _: (200, b"")) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        named = str(certificate) if trusted else None
        transfers = Transfers(Plain(), Wire(Clock()), ceiling=100_000, agent="test/1", certificates=named, attempts=1)
        (done,) = gathered(transfers, [Transfer(LIST, f"{server.url.replace('http:', 'https:')}/")])
    assert (done.status, bool(done.lost)) == (status, status == 0)
    assert len(server.asked) == (status == 200)


class Unrenewable(Plain):
    """Has no credentials any more for what is asked again."""

    def sign(self, curl: Handle, transfer: Transfer) -> None:
        super().sign(curl, transfer)
        if transfer.attempts:
            raise PermissionError


def test_what_was_answered_counts_also_where_nothing_is_asked_any_more() -> None:
    wire = Wire(Clock())
    with serving(lambda _: (500, b"")) as server:
        transfers = Transfers(Unrenewable(), wire, ceiling=1000, agent="test/1", bucket="s3://data")
        with pytest.raises(PermissionError):
            gathered(transfers, [Transfer(LIST, server.url)])
        transfers.close()
    assert (len(server.asked), wire.sent("s3://data")) == (1, Requests(lists=1))


def test_an_answer_that_is_longer_than_any_page_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.connectors.transfers._LONGEST_BODY", 1_000)
    with serving(lambda path: (200, b"x" * (1_000 if path == "/page" else 1_001))) as server:
        done = gathered(some(attempts=1), [Transfer(LIST, f"{server.url}/{one}", one) for one in ("page", "flood")])
    assert {one.tag: (one.status, one.lost, len(one.body)) for one in done} == {
        "page": (200, "", 1_000),
        "flood": (0, "too long", 0),
    }


def test_a_header_that_does_not_end_is_given_up() -> None:
    with serving(lambda _: (200, b"x")) as server:
        (one,) = gathered(some(attempts=1), [Transfer(LIST, f"{server.url}/header", head=True)])
    assert (one.status, one.lost, one.answer) == (0, "curl 56", None)
    assert len(one.headers) < 400_000


def test_a_storm_of_503_loses_nothing_and_slows_down() -> None:
    tries: Counter[str] = Counter()

    def stormy(path: str) -> Answer:
        tries[path] += 1
        return (200, b"x") if tries[path] > 2 else (503, b"")

    wire = Wire(Clock())
    transfers = some(wire, ceiling=1000)
    with serving(stormy) as server:
        asked = [Transfer(LIST, f"{server.url}/{number % 2}/{number}", number) for number in range(100)]
        done = gathered(transfers, asked)
    assert {one.status for one in done} == {200}
    assert len(done) == 100
    assert wire.counts() == {("s3", "ListObjectsV2", "ok"): 100, ("s3", "ListObjectsV2", "503"): 200}
    assert transfers.rate < 1000


class Time:
    """Passes while somebody waits for it, and not otherwise: however slow a machine is, nothing takes time here."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 1
        self.now += seconds


def test_after_a_storm_nothing_is_lost_and_the_rate_is_back_within_a_minute() -> None:
    ceiling, begins, ends = 50, 6.0, 16.0
    time = Time()
    answered: Counter[int] = Counter()
    refused: Counter[str] = Counter()

    def stormy(path: str) -> Answer:
        if begins <= time() < ends:
            refused[path] += 1
            return 503, b""
        answered[int(time())] += 1
        return 200, b""

    transfers = Transfers(
        Plain(), Wire(Clock()), ceiling=ceiling, agent="test/1", connections=16, clock=time, sleep=time.sleep
    )
    with serving(stormy) as server:
        asked = [Transfer(("s3", "HeadObject"), f"{server.url}/{number}", number, head=True) for number in range(1_600)]
        done = gathered(transfers, asked)
    assert sorted(one.tag for one in done if isinstance(one.tag, int)) == list(range(1_600))
    assert {(one.status, one.lost) for one in done} == {(200, "")}
    assert refused
    former = answered[int(begins) - 2]
    assert former >= 0.98 * ceiling
    # The cloud was asked ever less while it refused, and not at all too fast afterwards.
    assert sum(refused.values()) < 2.5 * ceiling
    assert max(answered[second] for second in range(int(ends), int(ends) + 120)) <= 1.1 * ceiling
    back = next(second for second in range(int(ends), int(time())) if answered[second] >= 0.8 * former)
    assert back - ends <= 60


def test_where_one_prefix_is_refused_the_others_go_on() -> None:
    ceiling, begins, ends = 50, 6.0, 16.0
    time = Time()
    answered: Counter[tuple[str, int]] = Counter()
    refused: Counter[str] = Counter()

    def stormy(path: str) -> Answer:
        prefix = path.split("/")[1]
        if prefix == "hot" and begins <= time() < ends:
            refused[path] += 1
            return 503, b""
        answered[prefix, int(time())] += 1
        return 200, b""

    transfers = Transfers(
        Plain(), Wire(Clock()), ceiling=ceiling, agent="test/1", connections=16, clock=time, sleep=time.sleep
    )
    head = ("s3", "HeadObject")
    with serving(stormy) as server:
        names = [f"{server.url}/{'hot' if number % 2 else 'cold'}/{number}" for number in range(2_000)]
        done = gathered(transfers, [Transfer(head, url, number, head=True) for number, url in enumerate(names)])
    assert sorted(one.tag for one in done if isinstance(one.tag, int)) == list(range(2_000))
    assert {one.status for one in done} == {200}
    assert refused
    assert transfers.rate == ceiling
    cold = [answered["cold", second] for second in range(int(begins) + 2, int(ends))]
    assert min(cold) >= 0.8 * ceiling, "and have what it leaves"
    assert sum(refused.values()) < 1.5 * ceiling
    every: Counter[int] = Counter()
    for (_, second), count in answered.items():
        every[second] += count
    assert max(every.values()) <= 1.1 * ceiling + 5, "together they are not faster than the bucket may be asked"
    back = next(second for second in range(int(ends), int(time())) if answered["hot", second] >= 0.8 * ceiling / 2)
    assert back - ends <= 60


def one_by_one() -> Transfers:
    """One request at a time, and three tries for each."""
    time, wire = Time(), Wire(Clock())
    return Transfers(Plain(), wire, ceiling=10, agent="test/1", connections=1, attempts=3, clock=time, sleep=time.sleep)


def test_what_stays_refused_comes_to_its_end_before_the_others_are_tried() -> None:
    with serving(lambda _: (503, b"")) as server:
        done = gathered(one_by_one(), [Transfer(LIST, f"{server.url}/p{number}/a") for number in range(200)])
        first = next(place for place, (_, path, _) in enumerate(server.asked) if path == "/p199/a")
    assert [one.attempts for one in done] == [3] * 200
    assert sum(path == "/p0/a" for _, path, _ in server.asked[:first]) == 3
    assert {one.status for one in done} == {503}


def test_under_a_prefix_that_was_refused_to_the_end_each_is_asked_once_until_one_is_answered() -> None:
    healed = False

    def answer(path: str) -> Answer:
        return (200, b"x") if healed and path == "/p/well" else (503, b"")

    with serving(answer) as server:
        transfers = one_by_one()

        def ask(*names: str, page: bool = False) -> list[int]:
            for name in names:
                operation = LIST if page else ("s3", "HeadObject")
                transfers.start(Transfer(operation, f"{server.url}/p/{name}", head=not page))
            done: list[Transfer] = []
            while transfers.open:
                done += transfers.settled()
            return [one.attempts for one in done]

        assert ask("a") == [3]
        assert ask("b", "c") == [1, 1]
        assert ask("page", page=True) == [3], "without pages there is no sweep"
        assert ask("b") == [1], "nor does one that is refused say more of the others"
        healed = True
        assert ask("well") == [1]
        assert ask("d") == [3]
        transfers.close()


def test_while_it_waits_for_its_turn_it_does_nothing() -> None:
    time = Time()
    naps: list[float] = []

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        time.sleep(seconds)

    transfers = Transfers(Plain(), Wire(Clock()), ceiling=2, agent="test/1", clock=time, sleep=sleep)
    with serving(lambda _: (200, b"")) as server:
        gathered(transfers, [Transfer(LIST, f"{server.url}/{number}") for number in range(6)])
    assert time() == pytest.approx(2.5)
    assert len(naps) <= 6


FAULTS: dict[str, Answer | None] = {
    "dropped": None,
    "500": (500, b""),
    "502": (502, b"<html>"),
    "429": (429, b""),
    "an answer that is none": (200, b"garbage"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_tried_again_and_one_that_lasts_is_told(fault: Answer | None) -> None:
    tries: Counter[str] = Counter()

    def faulty(path: str) -> Answer | None:
        tries[path] += 1
        return (200, b"fine") if path == "/once" and tries[path] > 1 else fault

    with serving(faulty) as server:
        done = gathered(some(attempts=2), [Transfer(LIST, f"{server.url}/{tag}", tag) for tag in ("once", "always")])
    found = {one.tag: one for one in done}
    assert (found["once"].status, found["once"].body, found["once"].lost) == (200, b"fine", "")
    # libcurl itself asks once more where a kept connection was closed under it.
    assert 2 <= tries["/always"] <= 4
    assert found["always"].body != b"fine"
    assert (found["always"].status, bool(found["always"].lost)) == ((fault[0], False) if fault else (0, True))


@pytest.mark.parametrize("fault", [None, (500, b""), (502, b"<html>")], ids=["dropped", "500", "502"])
@pytest.mark.parametrize("head", [False, True], ids=["GET", "HEAD"])
def test_throttling_uses_up_no_patience_with_faults(
    monkeypatch: pytest.MonkeyPatch, fault: Answer | None, *, head: bool
) -> None:
    monkeypatch.setattr("auditor.connectors.transfers._FIRST_WAIT", 0.001)
    left = [*[(503, b"")] * 5, fault, fault]

    def answer(_: str) -> Answer | None:
        return left.pop(0) if left else (200, b"fine")

    with serving(answer) as server:
        transfers = some()
        transfers._attempts = 3, 6  # noqa: SLF001 - fewer than in earnest, as the pauses grow
        (one,) = gathered(transfers, [Transfer(LIST, f"{server.url}/x", head=head)])
    assert (one.status, left) == (200, [])


def test_what_nobody_answers_is_lost_with_a_word() -> None:
    with serving(lambda _: (200, b"")) as server:
        url = server.url
    (one,) = gathered(some(attempts=1), [Transfer(LIST, f"{url}/x")])
    assert (one.status, one.lost) == (0, "no connection")


def test_what_is_not_in_the_table_is_not_sent() -> None:
    with serving(lambda _: (200, b"")) as server:
        transfers = some()
        with pytest.raises(ReadOnlyError):
            transfers.start(Transfer(("s3", "PutObject"), server.url))
        assert transfers.settled() == []
        transfers.close()
    assert server.asked == []


ODD = {
    "what a listing asks": ({"continuation-token": "a+b/c=&é", "start-after": "x y%"}, None),
    **{label: (None, name) for label, name in NAMES.items()},
}


@pytest.mark.parametrize(("query", "name"), ODD.values(), ids=ODD)
@pytest.mark.parametrize("token", [None, "session/token+="], ids=["a user", "a session"])
def test_the_signature_is_that_of_what_is_sent(
    query: dict[str, str] | None, name: str | None, token: str | None
) -> None:
    with serving(lambda _: (404, b"")) as server:
        signer = S3Signer(Credentials("AKIAEXAMPLE", "secret/key+", token), "data", (f"{server.url}/data", "eu-west-1"))
        asked = signer.version(name, "v+/=") if name is not None else signer.page(query or {}, versions=False)
        transfers = Transfers(signer, Wire(Clock()), ceiling=1000, agent="test/1", attempts=1)
        gathered(transfers, [asked])
    ((verb, path, headers),) = server.asked
    assert headers["authorization"].endswith(f"Signature={signature(verb, path, headers)}")
    assert headers.get("x-amz-security-token") == token
    if name is not None:
        assert path == f"/data/{quote(name, safe='/-_.~')}?versionId=v%2B%2F%3D"


class Kept:
    """Credentials as the SDK keeps them: the same object until they are renewed."""

    def __init__(self, now: ReadOnlyCredentials) -> None:
        self.now = now

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return self.now


def test_a_handle_that_is_used_again_is_signed_for_whom_and_where_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    credentials, passed = Kept(ReadOnlyCredentials("AKIAEXAMPLE", "secret/key+", "session/token")), [0.0]
    signings: list[object] = []

    def setopt(self: Handle, option: int, value: object) -> None:
        if option == pycurl.AWS_SIGV4:
            signings.append(value)
        pycurl.Curl.setopt(self, option, value)

    monkeypatch.setattr(Handle, "setopt", setopt, raising=False)
    with serving(lambda _: (404, b"")) as server:
        base = f"{server.url}/data"
        signer = S3Signer(cast("Credentials", credentials), "data", (base, "eu-west-1"), clock=lambda: passed[0])
        transfers = Transfers(signer, Wire(Clock()), ceiling=1000, agent="test/1", connections=1, attempts=1)

        def asked() -> None:
            transfers.start(signer.page({}, versions=False))
            while transfers.open:
                transfers.settled()

        asked()
        asked()
        credentials.now = ReadOnlyCredentials("AKIAEXAMPLE", "secret/key+", None)
        passed[0] += 1
        asked()
        signer.moved(base, "us-east-1")
        asked()
        transfers.close()
    for verb, path, headers in server.asked:
        assert headers["authorization"].endswith(f"Signature={signature(verb, path, headers)}")
    tokens = [headers.get("x-amz-security-token") for *_, headers in server.asked]
    assert tokens == ["session/token", "session/token", None, None]
    assert signings == ["aws:amz:eu-west-1:s3", "aws:amz:eu-west-1:s3", "aws:amz:us-east-1:s3"], "once for each"


@pytest.mark.parametrize("name", ["a/../b", "./a", "plain"])
def test_a_host_is_signed_as_it_is_written(name: str) -> None:
    with serving(lambda _: (404, b"")) as server:
        base = f"http://LOCALHOST:{server.server_port}/data"
        signer = S3Signer(Credentials("AKIAEXAMPLE", "secret/key+"), "data", (base, "eu-west-1"))
        transfers = Transfers(signer, Wire(Clock()), ceiling=1000, agent="test/1", attempts=1)
        gathered(transfers, [signer.version(name, None), signer.page({}, versions=False)])
    for verb, path, headers in server.asked:
        assert headers["authorization"].endswith(f"Signature={signature(verb, path, headers)}")
    assert {path for verb, path, _ in server.asked if verb == "HEAD"} == {f"/data/{name}"}


def signature(verb: str, path: str, headers: dict[str, str]) -> str:
    """Sign anew what arrived. Source: AWS General Reference, Signature Version 4; S3 signs the path as it is."""
    where, _, query = path.partition("?")
    credential = headers["authorization"].partition("Credential=")[2].partition(",")[0]
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0]
    pairs = sorted(
        (quote(one, safe="-_.~"), quote(two, safe="-_.~")) for one, two in parse_qsl(query, keep_blank_values=True)
    )
    canonical = "\n".join(
        [
            verb,
            where,
            "&".join("=".join(pair) for pair in pairs),
            *(f"{name}:{headers[name].strip()}" for name in signed.split(";")),
            "",
            signed,
            headers["x-amz-content-sha256"],
        ]
    )
    _, *scope = credential.split("/")
    told = ["AWS4-HMAC-SHA256", headers["x-amz-date"], "/".join(scope), hashlib.sha256(canonical.encode()).hexdigest()]
    key = b"AWS4secret/key+"
    for step in (*scope, "\n".join(told)):
        key = hmac.new(key, step.encode(), hashlib.sha256).digest()
    return key.hex()


@pytest.mark.parametrize(
    "before",
    [
        b"",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 100 Continue\nx: y\n\n",
        b"HTTP/1.1 200 Connection established\r\nx: y\r\n\r\n",
    ],
)
def test_a_header_is_looked_up_in_the_last_answer_alone(before: bytes) -> None:
    lines = b"X-Amz-Bucket-Region: eu-west-1\r\nHTTP/1.1 200 OK: nothing\r\nVia: HTTP/1.1 proxy\r\n\r\n"
    raw = before + b"HTTP/1.1 301 Moved\r\n" + lines
    assert header(raw, b"x-amz-bucket-region") == "eu-west-1"
    assert header(raw, b"via") == "HTTP/1.1 proxy"
    assert header(raw, b"x") is None
