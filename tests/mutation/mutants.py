"""Small changes of a module, one at a time: what a slip of the hand makes of it. Runs none.

The kinds are those that a reviewer would try: a bound that is met or not, a call that is left out,
a lock that is not taken, an error that is swallowed. Types, docstrings, decorators and messages
stay as they are.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_COMPARED: Final[dict[type[ast.cmpop], tuple[str, str]]] = {
    ast.Lt: ("<", "<="),
    ast.LtE: ("<=", "<"),
    ast.Gt: (">", ">="),
    ast.GtE: (">=", ">"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"),
}
_COMPUTED: Final[dict[type[ast.operator], tuple[str, str]]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "//"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
    ast.BitXor: ("^", "&"),
}
_SWAPPED: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed module."""

    path: str
    """Of the module, from the top of the checkout."""
    function: str
    """Qualified name of what holds the change, or empty for the module itself."""
    line: int
    kind: str
    """What kind of slip it is."""
    change: str
    """What stood there, and what stands there now."""
    number: int
    """Which one of those of the same path, function and change."""
    source: str
    """The whole module as it is now."""

    @property
    def name(self) -> str:
        """The same in every run, and after changes elsewhere in the module."""
        count = f" #{self.number}" if self.number else ""
        return f"{self.path}::{self.function}: {self.change}{count}"


@dataclass(frozen=True, slots=True)
class _Change:
    kind: str
    node: ast.AST
    new: str
    start: tuple[int, int] | None = None
    """Line and column where it begins, if not with the node."""
    end: tuple[int, int] | None = None
    """Where it ends, if not with the node."""


def mutants_of(path: str, source: str) -> list[Mutant]:
    """All mutants of a module, by their lines; those that are no Python are left out."""
    return list(_Mutator(path, source).mutants())


def functions_of(source: str) -> list[tuple[int, int, str]]:
    """First line, last line and qualified name of each function of a module, outer ones first."""
    found = []

    def visit(node: ast.AST, within: str) -> None:
        for child in ast.iter_child_nodes(node):
            name = within
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{within}.{child.name}" if within else child.name
                if not isinstance(child, ast.ClassDef):
                    found.append((child.lineno, child.end_lineno or child.lineno, name))
            visit(child, name)

    visit(ast.parse(source), "")
    return found


class _Mutator:
    def __init__(self, path: str, source: str) -> None:
        self._path = path
        self._bytes = source.encode()
        self._tree = ast.parse(source)
        self._line_starts = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._line_starts.append(self._line_starts[-1] + len(line))

    def mutants(self) -> Iterator[Mutant]:
        seen: Counter[tuple[str, str]] = Counter()
        for function, change in self._changes(self._tree, ""):
            if _is_trivial(function, change):
                continue
            start = self._at(*(change.start or _start(change.node)))
            end = self._at(*(change.end or _end(change.node)))
            old = self._bytes[start:end].decode()
            source = (self._bytes[:start] + change.new.encode() + self._bytes[end:]).decode()
            try:
                compile(source, self._path, "exec")
            except SyntaxError:
                continue
            told = f"{_short(old)} -> {_short(change.new)}"
            if change.kind in ("comparison", "arithmetic", "and/or"):
                whole = _short(self._text(change.node))
                told = f"{told} in {whole}"
            number = seen[function, told]
            seen[function, told] += 1
            line = (change.start or _start(change.node))[0]
            yield Mutant(self._path, function, line, change.kind, told, number, source)

    def _at(self, line: int, column: int) -> int:
        return self._line_starts[line - 1] + column

    def _text(self, node: ast.AST) -> str:
        return self._bytes[self._at(*_start(node)) : self._at(*_end(node))].decode()

    def _changes(self, node: ast.AST, function: str) -> Iterator[tuple[str, _Change]]:
        for change in self._of(node):
            yield function, change
        for child in _children(node):
            name = function
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{function}.{child.name}" if function else child.name
            yield from self._changes(child, name)

    def _of(self, node: ast.AST) -> Iterator[_Change]:
        match node:
            case ast.Compare():
                yield from self._compared(node)
            case ast.BoolOp():
                yield from self._joined(node)
            case ast.UnaryOp(op=ast.Not()):
                yield _Change("negation", node, self._text(node.operand))
            case ast.If() | ast.While() | ast.IfExp() if not _is_equality(node.test):
                yield self._negated(node.test)
            case ast.comprehension():
                for test in node.ifs:
                    yield _Change("filter", test, "True")
            case ast.BinOp() | ast.AugAssign():
                yield from self._computed(node)
            case ast.Constant():
                yield from _constants(node)
            case ast.Call():
                yield from self._called(node)
            case ast.With():
                yield from self._with(node)
            case ast.Try():
                yield from self._tried(node)
        yield from self._dropped(node)

    def _compared(self, node: ast.Compare) -> Iterator[_Change]:
        before: ast.expr = node.left
        for operator, after in zip(node.ops, node.comparators, strict=True):
            yield self._between("comparison", node, before, after, *_COMPARED[type(operator)])
            before = after

    def _joined(self, node: ast.BoolOp) -> Iterator[_Change]:
        words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        for one, other in pairwise(node.values):
            yield self._between("and/or", node, one, other, *words)

    def _between(
        self, kind: str, node: ast.AST, one: ast.AST, other: ast.AST, old: str, new: str
    ) -> _Change:
        """Another operator between two operands; parentheses stay."""
        between = self._bytes[self._at(*_end(one)) : self._at(*_start(other))].decode()
        return _Change(kind, node, between.replace(old, new, 1), _end(one), _start(other))

    def _negated(self, test: ast.expr) -> _Change:
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return _Change("condition", test, "True")
        return _Change("condition", test, f"not ({self._text(test)})")

    def _computed(self, node: ast.BinOp | ast.AugAssign) -> Iterator[_Change]:
        if type(node.op) not in _COMPUTED or _is_text(node):
            return
        one, other = (
            (node.left, node.right) if isinstance(node, ast.BinOp) else (node.target, node.value)
        )
        yield self._between("arithmetic", node, one, other, *_COMPUTED[type(node.op)])

    def _called(self, node: ast.Call) -> Iterator[_Change]:
        if isinstance(node.func, ast.Name) and node.func.id in _SWAPPED:
            yield _Change("min/max", node.func, _SWAPPED[node.func.id])
        for keyword in node.keywords:
            if keyword.arg is None:
                continue
            before = self._bytes[: self._at(*_start(keyword))].rstrip()
            after = self._bytes[self._at(*_end(keyword)) :].lstrip()
            # its comma goes with it
            text = self._text(node)
            if before.endswith(b","):
                start = len(before) - 1
                yield _Change("argument", keyword, "", self._place(start))
            elif after.startswith(b",") and text:
                end = len(self._bytes) - len(after) + 1
                yield _Change("argument", keyword, "", None, self._place(end))
            else:
                yield _Change("argument", keyword, "")

    def _place(self, offset: int) -> tuple[int, int]:
        line = next(i for i, start in enumerate(self._line_starts) if start > offset)
        return line, offset - self._line_starts[line - 1]

    def _with(self, node: ast.With) -> Iterator[_Change]:
        if all(item.optional_vars is None for item in node.items):
            first = node.items[0].context_expr
            last = node.items[-1].context_expr
            # the head up to the colon, so that the block stays
            yield _Change("with", node, "if True", _start(node), self._closed(first, last))

    def _closed(self, first: ast.expr, last: ast.expr) -> tuple[int, int]:
        colon = self._bytes.index(b":", self._at(*_end(last)))
        return self._place(colon)

    def _tried(self, node: ast.Try) -> Iterator[_Change]:
        for block in (*(handler.body for handler in node.handlers), node.finalbody):
            if block and not (len(block) == 1 and isinstance(block[0], ast.Pass)):
                yield _Change("handler", block[0], "pass", None, _end(block[-1]))

    def _dropped(self, node: ast.AST) -> Iterator[_Change]:
        match node:
            case ast.Expr(value=ast.Call() | ast.Await() | ast.Yield()):
                if not isinstance(node.value, ast.Yield):
                    yield _Change("statement", node, "pass")
            case ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign():
                yield _Change("statement", node, "pass")
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
                yield _Change("statement", node, "pass")
            case ast.Return(value=None):
                yield _Change("statement", node, "pass")


def _is_trivial(function: str, change: _Change) -> bool:
    """Nothing works without an attribute; and a bar outside of functions joins types."""
    if isinstance(change.node, ast.Assign):
        return function.endswith("__init__")
    return not function and isinstance(getattr(change.node, "op", None), ast.BitOr)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    """What of a node may be changed: no type, docstring, decorator or message."""
    skipped: set[int] = set()
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            skipped |= {id(child) for child in (*node.decorator_list, node.returns)}
        case ast.ClassDef():
            skipped |= {id(child) for child in (*node.decorator_list, *node.bases, *node.keywords)}
        case ast.arg() | ast.JoinedStr() | ast.Import() | ast.ImportFrom() | ast.Assert():
            return
        case ast.AnnAssign():
            skipped.add(id(node.annotation))
        case ast.Raise(exc=ast.Call() as call):
            # the words of a message are pinned elsewhere; what is raised matters
            yield from (c for c in call.args if not isinstance(c, ast.Constant | ast.JoinedStr))
            return
    for child in ast.iter_child_nodes(node):
        if id(child) not in skipped:
            yield child


def _constants(node: ast.Constant) -> Iterator[_Change]:
    value = node.value
    if isinstance(value, bool):
        yield _Change("constant", node, str(not value))
    elif isinstance(value, int):
        yield _Change("constant", node, str(value + 1))
        if value > 2:
            yield _Change("constant", node, str(value - 1))
            yield _Change("constant", node, str(value * 2))
    elif isinstance(value, float):
        yield _Change("constant", node, repr(value * 2 if value else 1.0))


def _start(node: ast.AST) -> tuple[int, int]:
    return node.lineno, node.col_offset  # type: ignore[attr-defined]


def _end(node: ast.AST) -> tuple[int, int]:
    return node.end_lineno, node.end_col_offset  # type: ignore[attr-defined]


def _is_equality(test: ast.expr) -> bool:
    """Whether the negation is the other comparison, which is a mutant of its own."""
    equalities = ast.Eq | ast.NotEq | ast.Is | ast.IsNot | ast.In | ast.NotIn
    return isinstance(test, ast.Compare) and all(isinstance(op, equalities) for op in test.ops)


def _is_text(node: ast.BinOp | ast.AugAssign) -> bool:
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
    return any(
        isinstance(side, ast.JoinedStr)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str | bytes))
        for side in sides
    )


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= 70 else f"{flat[:50]} ... {flat[-15:]}"
