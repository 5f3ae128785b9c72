"""Each kind of change is made, no other is, and a try really runs on the changed source."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from tests.mutants import __main__ as runner
from tests.mutants.operators import enums_of, mutants
from tests.mutants.plan import ENUMS, PLAN, ROOT, planned

ENUMS_OF_A_TEST = {"Severity": ["LOW", "HIGH"]}

CHANGES: dict[str, tuple[str, set[tuple[str, str]]]] = {
    "a limit": ("x = a < b\n", {("x = a < b", "x = a <= b")}),
    "each link of a chain": (
        "x = a < b == c\n",
        {("x = a < b == c", "x = a <= b == c"), ("x = a < b == c", "x = a < b != c")},
    ),
    "is": ("x = a is b\n", {("x = a is b", "x = a is not b")}),
    "in": ("x = a not in b\n", {("x = a not in b", "x = a in b")}),
    "and": (
        "x = a and b or c\n",
        {("x = a and b or c", "x = ((a and b) and c)"), ("x = a and b or c", "x = (a or b) or c")},
    ),
    "not": ("x = not a\n", {("x = not a", "x = a")}),
    "a flag": ("x = True\n", {("x = True", "x = False")}),
    "a number": ("x = 0.5\n", {("x = 0.5", "x = 1.5")}),
    "all": ("x = all(a)\n", {("x = all(a)", "x = any(a)")}),
    "a member": ("x = Severity.HIGH\n", {("x = Severity.HIGH", "x = Severity.LOW")}),
    "a member in a pattern": (
        "match a:\n    case Severity.LOW:\n        b\n",
        {("case Severity.LOW:", "case Severity.HIGH:")},
    ),
    "a row": ("X = {'a': 'prose it is', **b}\n", {("'a': 'prose it is'", ""), ("b", "")}),
    "an entry": ("X = frozenset({a, b})\n", {("a", ""), ("b", "")}),
    "the only entry": ("X = (a,)\n", {("a", "")}),
    "a compared code": ("x = a == 'B'\n", {("x = a == 'B'", "x = a != 'B'"), ("x = a == 'B'", "x = a == 'B~'")}),
    "a code in a table": ("X = {a: 'B'}\n", {("a: 'B'", ""), ("X = {a: 'B'}", "X = {a: 'B~'}")}),
    "a looked up code": ("x = a.get('B', c)\n", {("x = a.get('B', c)", "x = a.get('B~', c)")}),
    "a raise": ("if a:\n    raise b\n", {("if a:", "if not a:"), ("raise b", "pass")}),
    "a way out": ("for a in b:\n    continue\n", {("continue", "pass")}),
    "an attribute": ("a.b = c\n", {("a.b = c", "pass")}),
    "a call for its effect": ("a.append(b)\n", {("a.append(b)", "pass")}),
    "an answer": ("def f():\n    return a\n", {("return a", "return None")}),
    "an early answer": (
        "def f():\n    if a():\n        return b\n",
        {("if a():", "if not a():"), ("return b", "return None"), ("return b", "pass")},
    ),
    "an argument": ("x = replace(a, b=c, hint=d)\n", {("b=c", "")}),
    "prose, types, imports and docstrings": (
        """'Says 1.'\nfrom a import b\ndef f(a: tuple[int, str]) -> int:\n    g(f"{a == 1}", "hint", title="Keys")\n""",
        {('g(f"{a == 1}", "hint", title="Keys")', "pass")},
    ),
}


@pytest.mark.parametrize(("source", "expected"), CHANGES.values(), ids=CHANGES)
def test_each_kind_of_change_is_made_and_no_other(source: str, expected: set[tuple[str, str]]) -> None:
    found = list(mutants(source, ENUMS_OF_A_TEST))
    assert {(one.before, one.after) for one in found} == expected
    assert len({one.source for one in found}) == len(found)


def test_a_change_is_told_with_its_line_and_place_and_leaves_all_else_as_it_was() -> None:
    source = "# é\nclass A:\n    def f(self):\n        return (  # as said\n            1\n        )\n"
    (number, nothing) = sorted(mutants(source, {}), key=lambda one: -one.line)
    assert (number.line, number.where, number.before, number.after) == (5, "A.f", "1", "2")
    assert number.source == source.replace("1", "2")
    assert (nothing.line, nothing.after) == (4, "return None")
    assert list(mutants(source, {}, classes=False)) == []


def test_members_are_read_where_they_are_defined() -> None:
    assert enums_of("class A(StrEnum):\n    '''Doc.'''\n    B = 'b'\n    C = 'c'\nclass D: E = 1\n") == {
        "A": ["B", "C"]
    }
    known = set().union(*(enums_of((ROOT / one).read_text()) for one in ENUMS))
    assert known >= {"Readability", "Confidence", "Basis", "Grant", "Reason", "Severity", "Verdict"}


def test_what_is_planned_exists_and_a_module_that_is_not_is_refused() -> None:
    assert all(list(ROOT.glob(one.modules)) for one in PLAN)
    assert all((ROOT / test).is_file() for one in PLAN for test in one.tests)
    assert list(planned(["auditor/engine.py"])) == ["auditor/engine.py"]
    with pytest.raises(ValueError, match=r"auditor/cli\.py"):
        planned(["auditor/cli.py"])


RULE = "def check(age):\n    return age <= 90\n"
NOTICES = "import tiny_rule\n\n\ndef test_rule():\n    assert tiny_rule.check(90)\n"
TRIES = """
import os, pathlib, sys
from tests.mutants.__main__ import started
sys.path.insert(0, os.getcwd())
path = pathlib.Path.cwd() / "tiny_rule.py"
tries = (None, path.read_text(), "def check(age): return age < 90", "while True: pass", "no python")
for number, source in enumerate(tries):
    _, status = os.waitpid(started(path, source, ["test_tiny.py"], 0.5 if number == 3 else 20), 0)
    print("survived" if status == 0 else "killed")
"""


def test_a_try_runs_on_the_changed_source_and_ends(tmp_path: Path) -> None:
    (tmp_path / "tiny_rule.py").write_text(RULE)
    (tmp_path / "test_tiny.py").write_text(NOTICES)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    told = subprocess.run(
        [sys.executable, "-c", TRIES], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == ["survived", "survived", "killed", "killed", "killed"]


def test_only_the_one_module_gets_another_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tiny_one", "tiny_two"):
        (tmp_path / f"{name}.py").write_text("TOLD = 'as it is'\n")
    monkeypatch.syspath_prepend(tmp_path)
    changed = runner.Changed("tiny_one", tmp_path / "tiny_one.py", "TOLD = 'changed'\n")
    monkeypatch.setattr(sys, "meta_path", [changed, *sys.meta_path])
    assert [import_module(name).TOLD for name in ("tiny_one", "tiny_two")] == ["changed", "as it is"]
    assert (tmp_path / "tiny_one.py").read_text() == "TOLD = 'as it is'\n"
