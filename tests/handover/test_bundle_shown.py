"""`show` tells what is in a bundle and whether anybody vouches for it, whatever somebody has written into it."""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from auditor.handover.bundle import PAYLOAD_TYPE
from auditor.outputs import show_json
from auditor.signing import envelope
from tests.bundles import BUCKET, OTHERS_KEY, Operator, a_signer, an_operator, run
from tests.clouds import GOOGLE_KEY
from tests.handover.test_bundle_read import anew
from tests.hostile import NAMES

Show = Callable[..., tuple[int, str, str]]


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    with an_operator(tmp_path) as running:
        running.configure(BUCKET + BUCKET.replace("gs://data", "gs://nobody-has-this"))
        running.put("acme/lost", 1, count=3, key=OTHERS_KEY)
        running.scanned()
        assert running.bundle("-q", "--operator", "Example Platform") == 0
        yield running


@pytest.fixture
def show(operator: Operator, capsys: pytest.CaptureFixture[str]) -> Show:
    def told(*more: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run("show", str(operator.made), *more)
        return code, *capsys.readouterr()

    return told


def by_key(operator: Operator, name: str = "operator") -> list[str]:
    return ["--key", str(operator.folder / f"{name}.pub")]


def test_a_verified_bundle_tells_who_signed_it_whose_it_is_and_what_is_in_it(operator: Operator, show: Show) -> None:
    code, out, _ = show(*by_key(operator))
    assert code == 0
    lines = out.splitlines()
    assert (
        lines[0] == f"signature   verified: signed by the key sha256:{envelope.fingerprint(operator.key.public_key())}"
    )
    assert "tenant      acme" in lines
    assert "operator    Example Platform (as it says)" in lines
    assert "tells of    3 namespaces, 23 objects, 2.3 kB, in 1 bucket" in lines
    rows = [" ".join(one.split()) for one in lines]
    assert [one for one in rows if one.startswith("gs://data ")]
    # Objects of zeta are under the key of the three, and objects of acme under no key of its own alone.
    assert "not named: it may be another tenant's - cmek 3 1 300 B" in rows
    assert "acme/us-east1/tpuf/main 1 cmek 10 1 1.0 kB" in rows
    assert "acme/us-east1/tpuf/main 2 cmek 10 1 1.0 kB" in rows
    assert "not in it: 1 bucket without a whole sweep" in lines
    assert OTHERS_KEY not in out


def test_what_nobody_verified_says_so_first_and_is_no_success(operator: Operator, show: Show) -> None:
    code, out, _ = show()
    assert code == 3
    assert out.startswith(
        "signature   NOT verified, anybody may have written it (--key FILE verifies it); the file names "
    )
    assert f"the key sha256:{envelope.fingerprint(operator.key.public_key())}\n" in out


def test_json_fits_its_schema_and_tells_the_same(operator: Operator, show: Show) -> None:
    for key, verified in (([], False), (by_key(operator), True)):
        found = json.loads(show(*key, "--format", "json")[1])
        Draft202012Validator(show_json.schema()).validate(found)
        signer = f"sha256:{envelope.fingerprint(operator.key.public_key())}"
        assert found["signature"] == {
            "verified": verified,
            "key": signer if verified else None,
            "named_by_file": signer,
        }
        assert (found["tenant"], found["namespaces"], found["objects"], found["bytes"]) == ("acme", 3, 23, 2300)
        assert {(one["key"], one["key_version"], one["objects"]) for one in found["held"]} == {
            (None, None, 3),
            (GOOGLE_KEY, "1", 10),
            (GOOGLE_KEY, "2", 10),
        }
        assert found["not_seen"]["buckets_not_swept"] == 1


def test_another_key_a_changed_file_and_none_at_all_are_one_error_each(operator: Operator, show: Show) -> None:
    a_signer(operator.folder, "other")
    for argv, why in (
        (by_key(operator, "other"), "is not signed by the expected key sha256:"),
        (["--key", str(operator.folder / "nothing.pub")], "nothing.pub cannot be read: No such file"),
        (["--key", str(operator.config)], "it is no public key in PEM form"),
    ):
        code, out, err = show(*argv)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")
        assert why in err
        assert "\nhint: " in err
    operator.made.write_bytes(operator.made.read_bytes()[:200])
    assert "it is cut off" in show()[2]
    operator.made.unlink()
    assert "cannot be read: No such file" in show()[2]


def test_hostile_names_reach_no_terminal(operator: Operator, show: Show) -> None:
    names = sorted({one for one in NAMES.values() if 0 < len(one.encode(errors="replace")) < 200})

    def change(content: Any) -> None:
        content["tenant"] = "\x1b[31mred\r\n\u202eevil"
        row = content["data"][0]["namespaces"][0]
        spaces = sorted(one for one in names if one.isascii() or one.isprintable())
        content["data"][0]["namespaces"] = [[one, *row[1:]] for one in spaces]
        content["gaps"] = [{"about": one, "reason": "throttled"} for one in sorted(spaces)]

    anew(operator.made, operator.key, change)
    code, out, err = show(*by_key(operator))
    assert (code, err) == (0, "")
    assert all(one.isprintable() for one in out.splitlines())
    assert "\\x1b[31mred\\r\\n\\u202eevil" in out


def test_of_much_the_first_rows_are_told_and_how_many_more(operator: Operator, show: Show) -> None:
    def change(content: Any) -> None:
        content["gaps"] = [{"about": f"gs://b-{number:04}", "reason": "throttled"} for number in range(500)]
        first = content["data"][0]
        content["data"] = [
            {**first, "key": GOOGLE_KEY, "version": str(number), "encryption": "cmek"} for number in range(100, 300)
        ]

    anew(operator.made, operator.key, change)
    lines = show(*by_key(operator))[1].splitlines()
    assert len(lines) < 90
    assert "and 170 more; --format json has all of them" in " ".join(lines)
    # Two lines say what is not in it.
    assert lines[-1] == "and 472 more; --format json has all of them"


def test_a_file_that_nobody_signed_is_looked_at_as_strictly(operator: Operator, show: Show) -> None:
    payload = base64.b64decode(json.loads(operator.made.read_text())["payload"]) + b" "
    operator.made.write_bytes(envelope.seal(payload, PAYLOAD_TYPE, operator.key))
    code, _, err = show()
    assert code == 2
    assert "what is signed is not written as a bundle is" in err
