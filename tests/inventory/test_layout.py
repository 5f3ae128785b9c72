import pytest

from auditor.errors import UsageError
from auditor.inventory.layout import Layout

READ = {
    "two fields": ("{org}/{namespace}/", "acme/prod/data/1", ("acme/prod", "acme")),
    "a literal before": ("tpuf/{namespace}/", "tpuf/a b/x", ("a b", None)),
    "tenant wins over org": ("{org}/{tenant}/", "o/t/x", ("o/t", "t")),
    "nothing after the layout": ("{org}/{namespace}/", "acme/prod/", ("acme/prod", "acme")),
    "leading slash": ("{org}/{namespace}/", "/acme/prod/x", (None, None)),
    "doubled slash": ("{org}/{namespace}/", "acme//x", (None, None)),
    "too short": ("{org}/{namespace}/", "acme/prod", (None, None)),
    "dots are names": ("{org}/{namespace}/", "../../x", ("../..", "..")),
    "line break": ("{org}/{namespace}/", "a\nb/c/x", ("a\nb/c", "a\nb")),
    "unicode": ("{org}/{namespace}/", "日本/😀/x", ("日本/😀", "日本")),
    "a field never spans a slash": ("{org}-{namespace}/", "a/b-c/", (None, None)),
    "a field ends at the first literal": ("{org}-{namespace}/", "a-b-c/", ("a/b-c", "a")),
    "another prefix": ("tpuf/{namespace}/", "tpuf2/a/x", (None, None)),
    "pattern characters are text": ("a.b/{namespace}/", "axb/n/", (None, None)),
}


def test_a_layout_tells_its_tenant_beside_its_text() -> None:
    for text, tenant, told in (
        ("{a}/{b}/", None, "{a}/{b}/"),
        ("{a}/{b}/", "b", "{a}/{b}/ with tenant {b}"),
        ("{org}/{b}/", None, "{org}/{b}/ with tenant {org}"),
    ):
        assert str(Layout.parse(text, tenant)) == told


@pytest.mark.parametrize(("layout", "name", "expected"), READ.values(), ids=READ)
def test_cuts_namespace_and_tenant_out_of_a_name(
    layout: str, name: str, expected: tuple[str | None, str | None]
) -> None:
    assert Layout.parse(layout).read(name) == expected


def test_the_tenant_field_can_be_named() -> None:
    assert Layout.parse("{org}/{namespace}/", "namespace").read("acme/prod/x") == ("acme/prod", "prod")


IMPOSSIBLE = {
    "empty": "",
    "no field": "data/",
    "ends in a field": "{org}/{namespace}",
    "fields touch": "{org}{namespace}/",
    "twice": "{org}/{org}/",
    "open brace": "{org/",
    "closing brace": "org}/",
    "no name": "{}/",
    "bad name": "{Org}/",
    "control character": "{org}\n",
}


@pytest.mark.parametrize("layout", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_an_impossible_layout_is_refused_with_a_hint(layout: str) -> None:
    with pytest.raises(UsageError) as refused:
        Layout.parse(layout)
    assert refused.value.hint


def test_a_tenant_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError):
        Layout.parse("{namespace}/", "org")
