"""One source text -> its mutants, each with one small change that some test should notice.

Prose is left alone: docstrings, f-strings, hints and causes are no verdict.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_PAIRS: Final[Sequence[tuple[type[ast.cmpop], type[ast.cmpop]]]] = (
    *((ast.Eq, ast.NotEq), (ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Is, ast.IsNot), (ast.In, ast.NotIn)),
)
_COMPARISONS: Final = dict(_PAIRS) | {second: first for first, second in _PAIRS}
_CALLS: Final = {"any": "all", "all": "any", "min": "max", "max": "min"}
_FILLED_IN: Final = frozenset(
    {"replace", "assessment", "failed"}
    | {"Assessment", "StateRow", "Gap", "Outcome", "Finding", "Cause", "Contradiction", "Undo", "Probe"}
    | {"KeyAccess", "KeyUnread", "KeyGone", "AwsKey", "GcpKey", "GcpKeyVersion", "Material", "StoredObject"}
)
"""Calls that fill a value in, whose every argument but the prose must matter."""
_PROSE: Final = frozenset({"cause", "text", "what", "hint", "title", "source", "remedy", "otherwise"})
_TAKES_CODES: Final = frozenset(
    {"get", "startswith", "endswith", "partition", "rpartition", "split", "removeprefix", "removesuffix"}
)
_CODE: Final = re.compile(r"\S+")

Enums = Mapping[str, Sequence[str]]
"""Name of an enum -> its members."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed source text, and the change as people read it."""

    line: int
    where: str
    """The function or class that the change is in; empty at the module's own level."""
    before: str
    after: str
    """Empty where something was taken out."""
    source: str


@dataclass(frozen=True, slots=True)
class _Change:
    old: ast.AST
    new: str
    taken_out: str = ""
    """What of a longer text is left out; empty where the old text is replaced as a whole."""


def enums_of(source: str) -> Enums:
    """Read the members of all enums of text that a module defines."""
    return {
        one.name: [ast.unparse(each.targets[0]) for each in one.body if isinstance(each, ast.Assign)]
        for one in ast.parse(source).body
        if isinstance(one, ast.ClassDef) and [*map(ast.unparse, one.bases)] == ["StrEnum"]
    }


def mutants(source: str, enums: Enums, *, classes: bool = True) -> Iterator[Mutant]:
    """Yield each mutant once, in the order of the text; without `classes` only tables and functions change."""
    raw = source.encode()
    starts = [0]
    for line in raw.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    seen = {source}
    for node, parent, where in _walk(ast.parse(source), None, "", classes=classes):
        for change in _changes(node, parent, enums):
            old: Any = change.old
            start, end = starts[old.lineno - 1] + old.col_offset, starts[old.end_lineno - 1] + old.end_col_offset
            text = (raw[:start] + change.new.encode() + raw[end:]).decode()
            if text in seen or not _is_python(text):
                continue
            seen.add(text)
            first, last = starts[old.lineno - 1], starts[old.end_lineno]
            if change.taken_out:
                yield Mutant(node.lineno, where, change.taken_out, "", text)
            else:
                after = raw[first:start] + change.new.encode() + raw[end:last]
                yield Mutant(node.lineno, where, _one_line(raw[first:last]), _one_line(after), text)


def _is_python(text: str) -> bool:
    try:
        compile(text, "", "exec")
    except SyntaxError:
        return False
    return True


def _one_line(text: bytes) -> str:
    return " ".join(text.decode().split())


def _walk(node: ast.AST, parent: ast.AST | None, where: str, *, classes: bool) -> Iterator[tuple[Any, Any, str]]:
    """Yield (node, parent, name of function or class), without types, imports, decorators and prose."""
    if isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom) or (
        isinstance(node, ast.ClassDef) and not classes
    ):
        return
    if hasattr(node, "lineno"):
        yield node, parent, where
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        where = f"{where}.{node.name}".lstrip(".")
    for field, value in ast.iter_fields(node):
        if field in {"annotation", "returns", "decorator_list", "type"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child, node, where, classes=classes)


def _changes(node: ast.AST, parent: ast.AST, enums: Enums) -> Iterator[_Change]:
    match node:
        case ast.Compare():
            for number, operator in enumerate(node.ops):
                ops = [*node.ops[:number], _COMPARISONS[type(operator)](), *node.ops[number + 1 :]]
                yield _Change(node, ast.unparse(ast.Compare(node.left, ops, node.comparators)))
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield _Change(node, f"({ast.unparse(ast.BoolOp(other, node.values))})")
        case ast.UnaryOp(op=ast.Not()):
            plain = isinstance(node.operand, ast.Name | ast.Attribute | ast.Call | ast.Subscript)
            yield _Change(node, ast.unparse(node.operand) if plain else f"({ast.unparse(node.operand)})")
        case ast.Constant(value=bool()):
            yield _Change(node, str(not node.value))
        case ast.Constant(value=int() | float() as number):
            yield _Change(node, repr(number + 1))
        case ast.Constant(value=str() as text) if _CODE.fullmatch(text) and _is_code(node, parent):
            yield _Change(node, repr(f"{text}~"))
        case ast.Attribute(value=ast.Name(id=name), attr=member) if member in enums.get(name, ()):
            members = enums[name]
            yield _Change(node, f"{name}.{members[(members.index(member) + 1) % len(members)]}")
        case ast.Name(id=name) if name in _CALLS and isinstance(parent, ast.Call) and parent.func is node:
            yield _Change(node, _CALLS[name])
        case ast.Dict() | ast.Set() | ast.List() | ast.Tuple():
            yield from _without_entries(node, parent)
        case ast.Call():
            yield from _without_arguments(node)
        case ast.stmt():
            yield from _without_statement(node, parent)
    is_bare_test = isinstance(node, ast.Name | ast.Attribute | ast.Call) and getattr(parent, "test", None) is node
    if is_bare_test and (text := ast.unparse(node)) != "TYPE_CHECKING":
        yield _Change(node, f"not {text}")


def _is_code(node: ast.Constant, parent: ast.AST) -> bool:
    """Whether a text is compared or looked up, and not shown."""
    match parent:
        case ast.Compare() | ast.MatchValue() | ast.Subscript() | ast.Return() | ast.IfExp():
            return True
        case ast.Assign() | ast.AnnAssign():
            return parent.col_offset == 0
        case ast.Dict():
            return node in parent.values
        case ast.Call(func=ast.Attribute(attr=name)):
            return name in _TAKES_CODES and node in parent.args
    return False


def _without_entries(node: ast.Dict | ast.Set | ast.List | ast.Tuple, parent: ast.AST) -> Iterator[_Change]:
    if isinstance(node, ast.Dict):
        for number, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
            keys, values = [*node.keys], [*node.values]
            del keys[number], values[number]
            told = ast.unparse(value) if key is None else f"{ast.unparse(key)}: {ast.unparse(value)}"
            yield _Change(node, ast.unparse(ast.Dict(keys, values)), told)
        return
    is_target = not isinstance(node, ast.Set) and not isinstance(node.ctx, ast.Load)
    if is_target or isinstance(parent, ast.Subscript) or "__all__" in map(ast.unparse, getattr(parent, "targets", ())):
        return
    for number, entry in enumerate(node.elts):
        rest = [*node.elts[:number], *node.elts[number + 1 :]]
        left = ast.Set(rest) if isinstance(node, ast.Set) else type(node)(rest, ast.Load())
        yield _Change(node, ast.unparse(left), ast.unparse(entry))


def _without_arguments(node: ast.Call) -> Iterator[_Change]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name not in _FILLED_IN:
        return
    for one in node.keywords:
        if one.arg is not None and one.arg not in _PROSE:
            rest = [each for each in node.keywords if each is not one]
            yield _Change(node, ast.unparse(ast.Call(node.func, node.args, rest)), ast.unparse(one))


def _without_statement(node: ast.stmt, parent: ast.AST) -> Iterator[_Change]:
    match node:
        case ast.Return(value=value):
            if value is not None and ast.unparse(value) not in {"None", "False"}:
                yield _Change(node, "return None")
            if not isinstance(parent, ast.FunctionDef):
                yield _Change(node, "pass")
        case (
            (ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign())
            | ast.Assign(targets=[ast.Attribute() | ast.Subscript()])
            | ast.Expr(value=ast.Call() | ast.Yield() | ast.YieldFrom())
        ):
            yield _Change(node, "pass")
