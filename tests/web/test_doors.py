"""Who reaches the web side: the listener, the names that it answers to, and the logins that it asks for."""

import asyncio
import base64
import io
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from auditor import cli
from auditor.config import Web, load
from auditor.daemon import listening
from auditor.daemon.leading import Leadership
from auditor.daemon.serving import Serving
from auditor.daemon.tls import Certificate
from auditor.errors import UsageError
from auditor.web import users
from auditor.web.app import make_app
from auditor.web.doors import hosts_of, logins_of
from auditor.web.hosts import Hosts
from auditor.web.logins import Logins
from auditor.web.users import Hashed, read_users
from auditor.wiring import assemble
from tests.daemon.test_daemon import Running, eventually
from tests.daemon.test_daemon import serving as running_daemon
from tests.logins import PASSWORD, TOKEN, USER, Made, a_certificate
from tests.small import Small, a_small_cloud
from tests.web.test_web import Answer, readings, sent_through

BUCKET = '[[bucket]]\nurl = "gs://data"\nlayout = "{org}/{namespace}/"\n[web]\n'
TLS = 'tls_cert = "tls.pem"\ntls_key = "tls.key"\n'
WIDE = 'listen = "0.0.0.0:9464"\n'
LOGIN = 'token_env = "AUDITOR_TOKEN"\n'


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Small]:
    with a_small_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], Path]:
    def written(web: str) -> Path:
        path = tmp_path / "auditor.toml"
        path.write_text(BUCKET + web)
        return path

    return written


OPEN = {
    "nothing else": (WIDE, "that needs TLS (tls_cert, tls_key) and a login (token_env, users_file)"),
    "a login without TLS": (WIDE + LOGIN, "that needs TLS (tls_cert, tls_key)"),
    "TLS without a login": (WIDE + TLS, "that needs a login (token_env, users_file)"),
    "one address of the network": ('listen = "10.0.0.7:9464"\n', "is beyond loopback"),
    "all of IPv6": ('listen = "[::]:9464"\n', "is beyond loopback"),
    "loopback in IPv6's clothes": ('listen = "[::ffff:10.0.0.1]:9464"\n', "is beyond loopback"),
    "half of TLS": ('tls_cert = "tls.pem"\n', "tls_key is missing"),
    "the other half": ('tls_key = "tls.key"\n', "tls_cert is missing"),
    "a name": ('listen = "auditor.example.com:9464"\n', "does not begin with an address"),
    "no address": ('listen = ":9464"\n', "does not begin with an address"),
    "IPv6 without brackets": ('listen = "::1:9464"\n', "an IPv6 address stands in brackets"),
    "a host that is a URL": ('hosts = ["https://auditor.example.com"]\n', "is no name or address"),
}


@pytest.mark.parametrize(("web", "told"), OPEN.values(), ids=OPEN)
def test_beyond_loopback_it_starts_only_with_tls_and_a_login(
    config: Callable[[str], Path], web: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli._run(["serve", "--config", str(config(web))]) == 2  # noqa: SLF001 - without the end of the process
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert told in error
    assert hint.startswith("hint: ")


def test_a_token_that_stands_where_its_variable_is_named_is_not_told(
    config: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "0f.secret-" * 4
    assert cli._run(["serve", "--config", str(config(f'token_env = "{secret}"\n'))]) == 2  # noqa: SLF001 - as above
    assert "put the token itself there alone" in (told := capsys.readouterr().err)
    assert "secret" not in told


def test_paths_are_relative_to_the_config(config: Callable[[str], Path], tmp_path: Path) -> None:
    web = load(config(WIDE + TLS + 'users_file = "users"\n')).web
    assert (web.tls_cert, web.tls_key) == (tmp_path / "tls.pem", tmp_path / "tls.key")
    assert (web.users_file, web.is_local) == (tmp_path / "users", False)


TOKENS = {
    "not set": ({}, "is not set"),
    "empty": ({"T": " "}, "is not set"),
    "short": ({"T": TOKEN[:-1]}, "no bearer token of 32 characters or more"),
    "with a space": ({"T": f"{TOKEN} x"}, "no bearer token"),
}


@pytest.mark.parametrize(("environment", "told"), TOKENS.values(), ids=TOKENS)
def test_a_token_is_one_that_nobody_guesses(environment: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        logins_of(Web(token_env="T"), environment)
    assert TOKEN[:-1] not in f"{caught.value} {caught.value.hint}"
    assert logins_of(Web(token_env="T"), {"T": f"{TOKEN}\n"}) is not None
    assert logins_of(Web(), environment) is None


# --- users ---


def test_the_line_that_password_prints_lets_its_user_in_and_no_other_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PASSWORD} of ada\r\n"))
    assert cli._run(["password", "ada"]) == 0  # noqa: SLF001 - as above
    line = capsys.readouterr().out
    assert re.fullmatch(r"ada:\$scrypt\$ln=15,r=8,p=3\$[\w+/]{22}\$[\w+/]{43}\n", line)
    path = tmp_path / "users"
    path.write_text(f"# people\n\n{line}")
    found = read_users(path)
    assert found["ada"].fits(f"{PASSWORD} of ada".encode())
    assert not found["ada"].fits(f"{PASSWORD} of eve".encode())
    assert "digest" not in repr(found)


@pytest.mark.parametrize(
    ("name", "given"), [("ada", "too short"), ("a:b", PASSWORD), ("", PASSWORD), ("ada\n", PASSWORD)]
)
def test_what_can_be_no_user_is_refused(name: str, given: str) -> None:
    with pytest.raises(UsageError) as caught:
        users.line_for(name, given)
    assert given not in f"{caught.value} {caught.value.hint}"


_SALT, _REST = USER.rpartition("$")[0], USER.rpartition("$")[2]
LINES = {
    "empty": "",
    "a comment alone": "# nobody\n",
    "the password itself": f"ada:{PASSWORD}\n",
    "no hash": "ada:\n",
    "bcrypt": "ada:$2b$12$KIXQ4Q1q1q1q1q1q1q1q1uGq1q1q1q1q1q1q1q1q1q1q1q1q1q1q\n",
    "too cheap": USER.replace("ln=14", "ln=4") + "\n",
    "so dear that it stops us": USER.replace("ln=14", "ln=24") + "\n",
    "more passes than that": USER.replace("p=1", "p=99") + "\n",
    "a short salt": f"ada:$scrypt$ln=14,r=8,p=1$c2FsdA${_REST}\n",
    "a short hash": f"{_SALT}$c2FsdA\n",
    "base64 that is none": f"{_SALT}${'A' * 42}B\n".replace("$A", "$-"),
    "somebody twice": f"{USER}\n{USER}\n",
    "a colon in the name": USER.replace("ada", "ada:x") + "\n",
}


@pytest.mark.parametrize("text", LINES.values(), ids=LINES)
def test_a_file_of_users_with_a_line_that_is_none_is_refused_and_not_told(text: str, tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(text)
    with pytest.raises(UsageError, match="users_file") as caught:
        read_users(path)
    told = f"{caught.value} {caught.value.hint}"
    assert PASSWORD not in told
    assert _REST not in told
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="is not UTF-8"):
        read_users(path)
    path.unlink()
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_users(path)


def test_a_pipe_for_a_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError, match=r"users_file .*pipe is no file"):
        read_users(pipe)
    other = tmp_path / "other"
    other.touch()
    for setting, cert, key in (("tls_cert", pipe, other), ("tls_key", other, pipe)):
        with pytest.raises(UsageError, match=rf"{setting} .*pipe is no file"):
            Certificate(cert, key)
    with pytest.raises(UsageError, match="cannot be used: No such file"):
        Certificate(tmp_path / "nowhere", other)
    other.write_text("junk")
    with pytest.raises(UsageError, match=r"cannot be used: one of them is no PEM file$"):
        Certificate(other, other)


# --- logins ---


class Counted:
    """A user whose password costs nothing to try, so that tries can be counted."""

    def __init__(self) -> None:
        self.tried: list[bytes] = []
        self.at_once = 0
        self.most_at_once = 0
        self.pause = 0.0

    def fits(self, password: bytes) -> bool:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.tried.append(password)
        time.sleep(self.pause)
        self.at_once -= 1
        return password == PASSWORD.encode()


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def basic(name: str = "ada", password: str = PASSWORD) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Door:
    """An application behind a token and one user, asked in one event loop."""

    def __init__(self) -> None:
        self.user = Counted()
        self.ticks = Time()
        self.logins = Logins(TOKEN, {"ada": self.user}, self.ticks)  # type: ignore[dict-item] # enough of one
        self.app = make_app(readings(), logins=self.logins)

    async def send(self, authorization: str | None, path: str = "/api/v1/keys", address: str = "10.0.0.1") -> Answer:
        headers = {} if authorization is None else {"authorization": authorization}
        return await sent_through(self.app, path, address=address, **headers)

    def ask(self, authorization: str | None, path: str = "/api/v1/keys", address: str = "10.0.0.1") -> Answer:
        return asyncio.run(self.send(authorization, path, address))


@pytest.fixture
def door() -> Door:
    return Door()


PAGES = ["/", "/metrics", "/readyz", "/api/v1/status", "/api/v1/findings/x", "/nope", "/healthz/", "//healthz", ""]


@pytest.mark.parametrize("path", PAGES)
def test_without_a_login_nothing_is_told_but_that_the_process_lives(door: Door, path: str) -> None:
    answer = door.ask(None, path)
    assert (answer.status, list(json.loads(answer.text))) == (401, ["error"])
    assert answer.headers["www-authenticate"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    health = door.ask(None, "/healthz")
    assert (health.status, health.text) == (200, "ok\n")


LET_IN = [f"Bearer {TOKEN}", f"bearer {TOKEN}", basic(), basic().replace("Basic", "BASIC")]
KEPT_OUT = [
    "",
    "Bearer",
    "Bearer ",
    f"Bearer {TOKEN[:-1]}",
    f"Bearer {TOKEN}0",
    f"Bearer {TOKEN},Bearer {TOKEN}",
    f"Bearer  {TOKEN}",
    f"Token {TOKEN}",
    TOKEN,
    "Bearer \xe9",
    "Basic",
    "Basic !!!",
    "Basic \xff\xfe",
    basic(password=""),
    basic(password=TOKEN),
    basic(name="eve"),
    basic(name=""),
    "Basic " + base64.b64encode(b"\xff:" + PASSWORD.encode()).decode(),
    "Basic " + base64.b64encode(b"ada").decode(),
]


@pytest.mark.parametrize("given", LET_IN)
def test_the_token_or_a_user_with_the_password_is_let_in(door: Door, given: str) -> None:
    assert door.ask(given).status == 200


@pytest.mark.parametrize("given", KEPT_OUT, ids=range(len(KEPT_OUT)))
def test_whatever_is_neither_is_kept_out_and_nothing_of_it_is_logged(
    door: Door, given: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = door.ask(given)
    assert (answer.status, list(json.loads(answer.text))) == (401, ["error"])
    assert [one.getMessage() for one in caplog.records] == [
        "a login from 10.0.0.1 was refused; more of them are not logged for a minute"
    ]


def test_two_logins_with_one_request_are_none(door: Door) -> None:
    given = f"Bearer {TOKEN}"
    assert [asyncio.run(door.logins.answer([given] * count, "somewhere")).name for count in (1, 2)] == [
        "LET_IN",
        "REFUSED",
    ]


def test_each_kind_of_login_is_offered_only_where_there_is_one(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_text(USER)
    basic_, bearer = 'Basic realm="cmek-auditor", charset="UTF-8"', 'Bearer realm="cmek-auditor"'
    both = logins_of(Web(token_env="T", users_file=path), {"T": TOKEN})
    one = logins_of(Web(token_env="T"), {"T": TOKEN})
    other = logins_of(Web(users_file=path), {})
    assert both is not None
    assert one is not None
    assert other is not None
    assert (both.challenges, one.challenges, other.challenges) == ((basic_, bearer), (bearer,), (basic_,))
    app = make_app(readings(), logins=one)
    assert asyncio.run(sent_through(app, "/", authorization=basic())).status == 401
    app = make_app(readings(), logins=other)
    assert asyncio.run(sent_through(app, "/", authorization=f"Bearer {TOKEN}")).status == 401
    assert asyncio.run(sent_through(app, "/", authorization=basic())).status == 200, "by the real scrypt"


def test_a_name_that_nobody_has_takes_as_long_as_a_wrong_password(door: Door) -> None:
    assert door.ask(basic(name="nobody")).status == 401, "although it is somebody's password"
    assert door.user.tried == [PASSWORD.encode()]


def test_a_name_that_nobody_has_costs_what_one_that_somebody_has_does_and_always_the_same() -> None:
    dear, cheap = Counted(), Counted()
    app = make_app(readings(), logins=Logins(None, {"ada": dear, "eve": cheap}, Time()))  # type: ignore[dict-item] # enough of them
    for name in ("nobody", "nobody", "somebody", "anybody"):
        asyncio.run(sent_through(app, "/", address=f"10.0.0.{name}", authorization=basic(name, "wrong")))
    assert len(dear.tried) + len(cheap.tried) == 4, "nothing else is hashed"

    both = {"ada": Counted(), "eve": Counted()}
    app = make_app(readings(), logins=Logins(None, both, Time()))  # type: ignore[arg-type] # likewise
    for address in range(8):
        asyncio.run(sent_through(app, "/", address=str(address), authorization=basic("nobody", "wrong")))
    assert sorted(len(one.tried) for one in both.values()) == [0, 8]


def test_a_password_that_was_right_is_not_hashed_again_while_it_is_used(door: Door) -> None:
    for second in (0.0, 59.0, 118.0, 177.0):
        door.ticks.now = second
        assert door.ask(basic()).status == 200
    assert len(door.user.tried) == 1
    door.ticks.now = 238.0
    assert door.ask(basic()).status == 200
    assert len(door.user.tried) == 2
    assert door.ask(basic(password="wrong")).status == 401
    assert door.ask(basic(password="wrong")).status == 401
    assert len(door.user.tried) == 4, "who was wrong is never remembered as right"


def test_one_password_is_hashed_at_a_time_and_few_wait_for_it(door: Door) -> None:
    door.user.pause = 0.05

    async def flood() -> list[int]:
        given = [basic(password=f"wrong {number}") for number in range(20)]
        answers = await asyncio.gather(*(door.send(one, address=f"10.0.0.{n}") for n, one in enumerate(given)))
        return sorted(one.status for one in answers)

    assert asyncio.run(flood()) == [401] * 8 + [429] * 12
    assert (len(door.user.tried), door.user.most_at_once) == (8, 1)


def test_who_opens_many_connections_at_once_is_hashed_once(door: Door) -> None:
    door.user.pause = 0.02

    async def opened() -> list[int]:
        return [one.status for one in await asyncio.gather(*(door.send(basic()) for _ in range(6)))]

    assert asyncio.run(opened()) == [200] * 6
    assert len(door.user.tried) == 1


def test_an_address_with_many_wrong_passwords_waits_and_no_other_does(door: Door) -> None:
    assert [door.ask(basic(password="wrong")).status for _ in range(12)] == [401] * 10 + [429] * 2
    assert door.ask(basic(password="wrong")).headers["retry-after"] == "6"
    assert door.ask(basic()).status == 429, "not even the right one: it may be the next guess"
    assert door.ask(f"Bearer {TOKEN}").status == 200, "a token costs nothing to compare"
    assert door.ask(basic(), address="10.0.0.2").status == 200
    tried = len(door.user.tried)
    door.ticks.now = 6.0
    assert door.ask(basic()).status == 200
    assert len(door.user.tried) == tried, "it was right for another address a moment ago"
    assert [door.ask(basic(password="wrong")).status for _ in range(2)] == [401, 429]


def test_many_addresses_together_cannot_make_it_hash_all_the_time(door: Door) -> None:
    found = [door.ask(basic(password="wrong"), address=f"10.0.{n // 5}.1").status for n in range(100)]
    assert found == [401] * 30 + [429] * 70
    door.ticks.now = 2.0
    found = [door.ask(basic(password="wrong"), address=f"10.1.{n}.1").status for n in range(80)]
    assert found == [401] * 2 + [429] * 78
    assert len(door.logins._budgets) <= 64  # noqa: SLF001 - what it keeps is bounded


def test_neither_token_nor_password_stands_in_what_is_kept(door: Door) -> None:
    door.ask(basic())
    kept = repr(vars(door.logins))
    assert TOKEN not in kept
    assert PASSWORD not in kept
    assert "digest" not in repr(Hashed(14, 1, b"salt", b"digest"))


# --- names ---

NAMES = ["auditor.example.com", "*.internal.example.com", "10.0.0.7", "FE80::1", "Upper.Example.com"]
ANSWERED = [
    "auditor.example.com",
    "AUDITOR.example.com:9464",
    "auditor.example.com.:9464",
    "a.internal.example.com",
    "10.0.0.7:9464",
    "[fe80::1]:9464",
    "[FE80:0:0::1]",
    "upper.example.com",
]
NOT_ANSWERED = [
    "evil.example",
    "example.com",
    "internal.example.com",
    "a.b.internal.example.com",
    ".internal.example.com",
    "127.0.0.1",
    "localhost",
    "[::1]",
    "10.0.0.70",
    "auditor.example.com@evil.example",
    "",
]


@pytest.mark.parametrize("host", ANSWERED)
def test_a_wide_listener_answers_to_the_names_that_are_its_own(host: str) -> None:
    app = make_app(readings(), Hosts(NAMES, local=False))
    assert asyncio.run(sent_through(app, "/api/v1/keys", host=host)).status == 200


@pytest.mark.parametrize("host", NOT_ANSWERED)
def test_a_wide_listener_answers_to_no_other_name_but_that_it_lives(host: str) -> None:
    app = make_app(readings(), Hosts(NAMES, local=False))
    assert asyncio.run(sent_through(app, "/api/v1/keys", host=host)).status == 421
    assert asyncio.run(sent_through(app, "/healthz", host=host)).status == 200


def test_names_are_the_configs_else_the_certificates(tmp_path: Path) -> None:
    wide = Web.model_validate(
        {"listen": "0.0.0.0:1", "tls_cert": "c", "tls_key": "k", "token_env": "T", "hosts": ["a.example"]}
    )
    assert hosts_of(wide, ["b.example"]).answers("a.example")
    assert not hosts_of(wide, ["b.example"]).answers("b.example")
    bare = wide.model_copy(update={"hosts": ()})
    assert hosts_of(bare, ["b.example"]).answers("b.example")
    with pytest.raises(UsageError, match="has no subject alternative names"):
        hosts_of(bare, Certificate(*_paths(a_certificate(tmp_path))).names)
    assert hosts_of(wide.model_copy(update={"hosts": ("*",)}), ()).answers("anything.example")
    local = hosts_of(Web(hosts=("proxy.example",)), None)
    assert [local.answers(one) for one in ("127.0.0.1", "proxy.example", "evil.example")] == [True, True, False]


# --- TLS ---


def _paths(made: Made) -> tuple[Path, Path]:
    return made.cert, made.key


_AN_X400_ADDRESS = b"\x30\x04\xa3\x02\x30\x00"
UNUSABLE: dict[str, Callable[[Made], object]] = {
    "no certificate": lambda made: made.cert.unlink(),
    "no key": lambda made: made.key.unlink(),
    "no PEM": lambda made: made.cert.write_text("hello"),
    "an empty key": lambda made: made.key.write_text(""),
    "a key with a password": lambda made: made.key.write_bytes(_encrypted(made.key.read_bytes())),
    "another's key": lambda made: made.key.write_bytes(a_certificate(_folder(made), "b").key.read_bytes()),
    "a name of a kind that nobody reads": lambda made: a_certificate(made.cert.parent, extension=_AN_X400_ADDRESS),
}


def _encrypted(key: bytes) -> bytes:
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    loaded = serialization.load_pem_private_key(key, None)
    return loaded.private_bytes(*form, serialization.BestAvailableEncryption(b"secret"))


def _folder(made: Made) -> Path:
    folder = made.cert.parent / "other"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("spoil", UNUSABLE.values(), ids=UNUSABLE)
def test_a_certificate_that_cannot_be_used_is_one_error_and_later_no_reason_to_stop(
    spoil: Callable[[Made], object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = a_certificate(tmp_path, "a.example")
    good = Certificate(*_paths(made))
    spoil(made)
    with pytest.raises(UsageError, match=re.escape(str(tmp_path))) as caught:
        Certificate(*_paths(made))
    assert caught.value.hint
    assert not good.renew()
    assert "the one of before stays" in caplog.text
    assert good.names == ("a.example",)
    assert not good.renew()
    assert caplog.text.count("the one of before stays") == 1
    a_certificate(tmp_path, "b.example", "10.0.0.7")
    assert good.renew()
    assert " ".join(good.names) == "b.example 10.0.0.7"
    assert not good.renew()


def test_a_renewed_certificate_without_names_is_refused_where_they_are_the_only_ones(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AUDITOR_TOKEN", TOKEN)
    a_certificate(tmp_path, "127.0.0.1")
    wide = f'listen = "0.0.0.0:0"\n{TLS}{LOGIN}'
    small.config.write_text(small.config.read_text().replace('listen = "127.0.0.1:0"', wide))
    config = load(small.config)
    assembly = assemble(config)
    served = Serving(small.config, config, assembly, Leadership(assembly.ledger))
    assert served.certificate is not None
    a_certificate(tmp_path)
    served.mind_the_certificate()
    assert served.certificate.names == ("127.0.0.1",)
    assert "has no subject alternative names" in caplog.text
    assert "the one of before stays" in caplog.text
    assembly.close()


def test_a_certificate_that_has_expired_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Certificate(*_paths(a_certificate(tmp_path, "a.example", days=-1)))
    assert "has expired at" in caplog.text


@contextmanager
def listening_on(certificate: Certificate | None, patience: float = 10.0) -> Iterator[tuple[str, int]]:
    answering = listening.Answering()
    listener = listening.open_listener("127.0.0.1", 0, answering)
    tls = certificate.context if certificate is not None else None
    server = listening.make_server(make_app(readings()), answering, tls=tls, patience=patience)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    address: tuple[str, int] = listener.getsockname()
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()


def connected(address: tuple[str, int], **versions: ssl.TLSVersion) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, version in versions.items():
        setattr(context, name, version)
    return context.wrap_socket(socket.create_connection(address, timeout=20))


def test_new_connections_get_the_certificate_of_now_and_old_ones_go_on(tmp_path: Path) -> None:
    certificate = Certificate(*_paths(a_certificate(tmp_path, "a.example")))
    with listening_on(certificate) as address, connected(address) as before:
        a_certificate(tmp_path, "b.example")
        assert certificate.renew()
        with connected(address) as after:
            shown = before.getpeercert(binary_form=True), after.getpeercert(binary_form=True)
            assert shown[0] != shown[1]
            assert shown[1] == ssl.PEM_cert_to_DER_cert((tmp_path / "tls.pem").read_text())
        before.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert before.recv(1000).startswith(b"HTTP/1.1 200")


# Older versions are asked for on purpose, of which Python warns.
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_is_of_version_1_2_or_newer(tmp_path: Path) -> None:
    certificate = Certificate(*_paths(a_certificate(tmp_path, "a.example")))
    with listening_on(certificate) as address:
        with connected(address, maximum_version=ssl.TLSVersion.TLSv1_2) as client:
            assert client.version() == "TLSv1.2"
        with pytest.raises(ssl.SSLError):
            connected(address, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)


def test_the_health_check_of_the_image_asks_with_tls_and_without(tmp_path: Path) -> None:
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text()
    (line,) = (one for one in dockerfile.splitlines() if one.startswith("HEALTHCHECK"))
    _, option, code = json.loads(line.partition(" CMD ")[2])

    def healthy(port: int) -> int:
        told = code.replace(":9464", f":{port}")
        return subprocess.run([sys.executable, option, told], capture_output=True, check=False).returncode

    for tls in (Certificate(*_paths(a_certificate(tmp_path, "auditor.example.com"))), None):
        with listening_on(tls) as (_, port):
            assert healthy(port) == 0
    assert healthy(port) == 1


def test_who_begins_no_handshake_does_not_keep_its_place(tmp_path: Path) -> None:
    certificate = Certificate(*_paths(a_certificate(tmp_path, "a.example")))
    with (
        listening_on(certificate, patience=0.2) as address,
        socket.create_connection(address, timeout=20) as silent,
        socket.create_connection(address, timeout=20) as plain,
    ):
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert b"HTTP" not in plain.recv(1000)
        assert silent.recv(1000) == b""


# --- the daemon ---


class Closed:
    """A daemon on all addresses, asked as somebody elsewhere asks it."""

    def __init__(self, daemon: Running, cert: Path) -> None:
        self.daemon = daemon
        self._cert = cert
        self._url = daemon.address.replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - where it listens

    def ask(self, path: str, given: str | None) -> int:
        request = urllib.request.Request(f"{self._url}{path}", headers={"Authorization": given} if given else {})
        try:
            with self._open(request) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except urllib.error.URLError:
            return 0  # a certificate that is not trusted, or nobody there yet

    def status(self) -> str:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with self._open(urllib.request.Request(f"{self._url}/api/v1/status", headers=headers)) as answer:
            return str(answer.read().decode())

    def _open(self, request: urllib.request.Request) -> Any:
        context = ssl.create_default_context(cafile=str(self._cert))
        return urllib.request.urlopen(request, timeout=10, context=context)


def test_a_daemon_beyond_loopback_lets_in_who_may_and_a_reload_changes_who_that_is(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUDITOR_TOKEN", TOKEN)
    made = a_certificate(tmp_path, "127.0.0.1")
    (tmp_path / "users").write_text(f"{USER}\n")
    wide = f'listen = "0.0.0.0:0"\n{TLS}{LOGIN}users_file = "users"'
    small.config.write_text(small.config.read_text().replace('listen = "127.0.0.1:0"', wide))
    with running_daemon(small.config) as daemon:
        closed = Closed(daemon, made.cert)
        assert daemon.address.startswith("https://0.0.0.0:")
        asked = {
            given: closed.ask("/api/v1/status", given) for given in (None, f"Bearer {TOKEN}", basic(), basic("eve"))
        }
        assert list(asked.values()) == [401, 200, 200, 401]
        assert closed.ask("/healthz", None) == 200

        (tmp_path / "users").write_text(USER.replace("ada", "eve"))
        a_certificate(tmp_path, "127.0.0.1")
        daemon.process.send_signal(signal.SIGHUP)
        # Only the new certificate is trusted from here on: it was taken as well.
        eventually(lambda: closed.ask("/api/v1/status", basic("eve")) == 200)
        assert closed.ask("/api/v1/status", basic()) == 401

        (tmp_path / "users").write_text("nobody\n")
        daemon.process.send_signal(signal.SIGHUP)
        eventually(lambda: "line 1 is no name:hash" in closed.status())
        assert closed.ask("/api/v1/status", basic("eve")) == 200, "the users of before stay"
        status = closed.status()

        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(timeout=10) == 0
        assert daemon.process.stderr is not None
        logged = daemon.process.stderr.read()
    assert "a login from 127.0.0.1 was refused" in logged
    for secret in (TOKEN, PASSWORD, _REST, basic().partition(" ")[2]):
        assert secret not in logged + status
