"""`report --view tenant NAME`, from the command line to the files."""

import json
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.bundles import BUCKET, OTHERS_KEY, Operator, an_operator, run
from tests.clouds import GOOGLE_KEY
from tests.hostile import NAMES

FILE = '[[registry]]\nkind = "file"\npath = "zeta-namespaces.csv"\nbucket = "gs://data"\n'
OWN_BUCKET = BUCKET.replace("gs://data", "gs://zeta-archive")
WAIVERS = """
[[waiver]]
rule = "protection-level"
match = {{ key = "{key}" }}
until = 2027-01-31
owner = "security@{tenant}.example"
approved_by = "the board of {tenant}"
reason = "{tenant} moves in January"
"""
HUB = '[report]\nsecurity_hub = "arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default"\n'
POLICY = '[policy]\nallowed_protection_levels = ["HSM"]\n'
KINDS = {
    "r.html",
    "r.json",
    "r.csv",
    "r-dependencies.csv",
    "r-gaps.csv",
    "r.ocsf.jsonl",
    "r.oscal.json",
    "r.asff.jsonl",
}


def put_hostile(operator: Operator) -> list[str]:
    """Names of zeta's that have broken somebody's tool before; those that say something."""
    names = [name.replace("/", "|") for name in NAMES.values() if len(name) > 4 and name.strip("./")]
    for name in names:
        operator.cloud.store.put("data", f"zeta/zeta{name}/secret", key=OTHERS_KEY, version=1)
    return names


def a_registry(operator: Operator) -> None:
    rows = ["namespace,key,tenant,owner,team"]
    for tenant, key, spaces in (("acme", GOOGLE_KEY, ("search", "chat", "lost")), ("zeta", OTHERS_KEY, ("secret",))):
        rows += [f"{tenant}/{one},{key},{tenant},{one}@{tenant}.example,{tenant} desk" for one in spaces]
    rows += ["acme/disputed,,acme,,", "acme/disputed,,zeta,,"]
    (operator.folder / "zeta-namespaces.csv").write_text("\n".join(rows) + "\n")


@pytest.fixture(scope="module")
def two_sweeps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """Each tenant has something under the other's key; between two sweeps data came, and a key of each went."""
    with an_operator(tmp_path_factory.mktemp("views")) as operator:
        operator.cloud.store.add_project("zeta-platform", 888)
        operator.cloud.store.add_bucket("zeta-archive", "zeta-platform", "us-east1")
        put_hostile(operator)
        operator.put("zeta/old", 1, key=OTHERS_KEY, bucket="zeta-archive")
        operator.put("acme/lost", 1, key=OTHERS_KEY, count=3)
        operator.put("zeta/stray", 3)
        operator.put("acme/disputed", 1)
        operator.cloud.store.put("data", "zeta-outside", size=1)
        a_registry(operator)
        waivers = "".join(
            WAIVERS.format(tenant=one, key=key) for one, key in (("acme", GOOGLE_KEY), ("zeta", OTHERS_KEY))
        )
        operator.configure(BUCKET + OWN_BUCKET + FILE + POLICY + HUB + waivers)
        operator.scanned()
        operator.put("acme/search", 3, count=4)
        operator.put("zeta/new", 1, key=OTHERS_KEY)
        for key, version in ((GOOGLE_KEY, 2), (OTHERS_KEY, 1)):
            found = operator.cloud.store.key(key)
            assert found is not None
            found.versions[version].state = "DISABLED"
        operator.scanned()
        yield operator


def reported(operator: Operator, *view: str) -> dict[str, str]:
    """The files of a report, by name."""
    folder = operator.folder / "reports"
    shutil.rmtree(folder, ignore_errors=True)
    argv = [
        "report",
        *view,
        "-q",
        "-c",
        str(operator.config),
        "--as",
        "html,json,csv,ocsf,oscal,asff",
        "-o",
        str(folder / "r"),
    ]
    assert run(*argv) == 0
    return {one.name: one.read_text() for one in folder.iterdir()}


@pytest.fixture(scope="module")
def reports(two_sweeps: Operator) -> dict[str, dict[str, str]]:
    """Whose view -> its files; nothing: everybody's."""
    return {"": reported(two_sweeps), **{one: reported(two_sweeps, *of(one)) for one in ("acme", "zeta")}}


def findings(files: dict[str, str]) -> dict[str, Any]:
    return {one["id"]: one for one in json.loads(files["r.json"])["findings"]}


def of(tenant: str) -> tuple[str, str, str]:
    return "--view", "tenant", tenant


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("</style>")[2]))


def test_no_byte_of_another_tenants_is_in_any_file_and_all_of_ones_own_is(reports: dict[str, dict[str, str]]) -> None:
    told = reports["acme"]
    assert told.keys() == KINDS
    assert not [name for name, text in told.items() if "zeta" in text.casefold()]
    found = json.loads(told["r.json"])
    assert found["view"] == {"tenant": "acme"}
    amounts = {one["namespace"]: one["objects"] for one in found["dependencies"] if one["namespace"] != "acme/search"}
    assert amounts == {"acme/chat": 10, "acme/lost": 3}
    assert found["totals"]["objects"] == 27
    assert {one["owner"] for one in found["dependencies"]} == {
        f"{one}@acme.example" for one in ("search", "chat", "lost")
    }
    assert [one["bucket"] for one in found["coverage"]["buckets"]] == ["gs://data"]
    (waiver,) = found["waivers"]
    assert (waiver["owner"], waiver["reason"]) == ("security@acme.example", "acme moves in January")
    for name in ("r.html", "r.json", "r-dependencies.csv", "r.ocsf.jsonl", "r.oscal.json", "r.asff.jsonl"):
        text = told[name]
        assert all(one in text for one in ("acme/search", "acme/chat", "acme/lost", "gs://data"))
    assert found["scan"]["identity"] == []


def test_the_operators_view_is_everything_and_the_default(
    two_sweeps: Operator, reports: dict[str, dict[str, str]]
) -> None:
    assert reported(two_sweeps, "--view", "operator")["r.json"] == reports[""]["r.json"]
    found = json.loads(reports[""]["r.json"])
    assert "view" not in found
    assert {one["tenant"] for one in found["dependencies"]} >= {"acme", "zeta"}


def test_findings_keep_their_ids_and_only_this_tenants_part(reports: dict[str, dict[str, str]]) -> None:
    every, mine, theirs = (findings(reports[one]) for one in ("", "acme", "zeta"))
    assert mine.keys() | theirs.keys() <= every.keys()
    both = [name for name in mine.keys() & theirs.keys() if every[name]["objects"]]
    assert {every[one]["rule"] for one in both} == {"data-unreadable", "protection-level"}
    for one in both:
        # Ten more are in a namespace of which nobody says for certain whose it is.
        assert every[one]["objects"] - mine[one]["objects"] - theirs[one]["objects"] in {0, 10}
        assert (mine[one]["tenants"], theirs[one]["tenants"]) == (["acme"], ["zeta"])
        assert mine[one]["severity"] == every[one]["severity"]
    # What is under the other's key is told without the key; the undo is the other's.
    (lost,) = [one for one in mine.values() if one["rule"] == "wrong-key"]
    assert lost["subject"] == {"kind": "key", "id": "(not named here: 1)"}
    assert (lost["evidence"], lost["undo"], lost["objects"]) == ([], [], 3)
    own = next(one for one in mine.values() if one["subject"]["id"] == f"{GOOGLE_KEY}/cryptoKeyVersions/2")
    assert own == every[own["id"]]


def test_what_changed_is_told_of_ones_own_data_alone(reports: dict[str, dict[str, str]]) -> None:
    page = text_of(reports["acme"]["r.html"])
    changed = page.partition("What changed")[2].partition("Resolved since")[0]
    assert (
        "13 objects (1.3 kB) in 2 namespaces cannot be read any more; 4 objects (400 B) in 1 namespace appeared."
        in changed
    )
    assert "acme/us-east1/tpuf/main version 2 ENABLED -&gt; DISABLED" in changed
    assert "opened: critical data-unreadable acme/us-east1/tpuf/main version 2" in changed
    assert changed.count("opened: critical data-unreadable") == 2
    assert "13 objects" not in text_of(reports["zeta"]["r.html"])
    assert "Not told: what could not be read after a scan is not kept by tenant." in page


def test_what_may_be_missing_is_a_gap(reports: dict[str, dict[str, str]]) -> None:
    found = json.loads(reports["acme"]["r.json"])["gaps"]
    told = {(one["what"], one["effect"]) for one in found}
    whose = "data of which nobody says for certain whose it is is in no tenant's view: some may be acme's"
    outside = "it has objects whose names tell no namespace: whose they are is not known, and no view has them"
    assert {("view of tenant acme", whose), ("gs://data", outside)} <= told
    assert not [text for one in reports["acme"].values() for text in ("disputed", "zeta") if text in one]


def test_an_unknown_tenant_is_one_clear_error(two_sweeps: Operator, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*view: str) -> str:
        target = two_sweeps.folder / "never.html"
        assert run("report", *view, "-q", "-c", str(two_sweeps.config), "-o", str(target)) == 2
        assert not target.exists()
        return capsys.readouterr().err

    assert refused(*of("acmee")) == ("error: no data is known to be of tenant 'acmee'\nhint: did you mean 'acme'?\n")
    assert "tenants with data are 'acme', 'zeta'" in refused(*of("mars"))
    assert "\x1b" not in refused(*of("\x1b[31m"))
    assert "is no text in UTF-8" in refused(*of("acme\udcff"))
    assert "--view tenant names no tenant" in refused("--view", "tenant")
    assert "'acme' is given, and nothing that takes it" in refused("acme")
    assert "'acme' is given, and nothing that takes it" in refused("acme", "--view", "operator")


def test_where_what_was_before_is_not_kept_the_rest_is_told(two_sweeps: Operator) -> None:
    inventory = two_sweeps.folder / "state" / "inventory"
    aside = {
        one: one.rename(one.with_name(f"{one.name}.aside")) for one in sorted(inventory.glob("*/2*")) if one.is_dir()
    }
    try:
        newest = {}
        for one in sorted(aside):
            newest[one.parent] = one
        for one in newest.values():
            aside.pop(one).rename(one)
        page = text_of(reported(two_sweeps, *of("acme"))["r.html"])
    finally:
        for one, moved in aside.items():
            moved.rename(one)
    assert "zeta" not in page.casefold()
    assert "13 of 27 objects cannot be read now" in page
    assert "earlier judgement stands on no sweep of it that could be used" in page
