import pytest

from auditor.connectors.aws.names import is_plain, sibling

PLAIN = ["a", "acme/prod/index/0001.seg", "_a-b/C.d", "a" * 200, "/".join(["a" * 200] * 2)]
ODD = [
    "",
    "a b",
    "a+b",
    "é",
    "a//b",
    "/a",
    "a/",
    "./a",
    "a/..",
    "a\\b",
    "a:b",
    "a?b",
    "a%b",
    "a" * 201,
]
LONG = "/".join(["a" * 200, "a" * 200, "a" * 110])


@pytest.mark.parametrize("name", [*PLAIN, LONG])
def test_nobody_refuses_a_plain_name(name: str) -> None:
    assert is_plain(name)


@pytest.mark.parametrize("name", [*ODD, f"{LONG}a"])
def test_somebody_may_refuse_an_odd_name(name: str) -> None:
    assert not is_plain(name)


def test_a_sibling_has_the_same_oddities_and_another_name_each_time() -> None:
    first, second = sibling("a b/é"), sibling("a b/é")
    assert first.startswith("a b/é")
    assert first != second


@pytest.mark.parametrize("name", ["é" * 512, "a" * 1024, "a" * 993, "a" * 992, "😀" * 256])
def test_a_sibling_is_no_longer_than_a_name_may_be(name: str) -> None:
    found = sibling(name)
    assert len(found.encode()) <= 1024
    assert found[:200] == name[:200]
    assert found != name
