"""What can be wrong with a line of code: small changes of a module's source, one at a time."""

from __future__ import annotations

import ast

import attrs

_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<=",
    ast.LtE: "<",
    ast.Gt: ">=",
    ast.GtE: ">",
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_ARITHMETIC: dict[type[ast.operator], str] = {
    ast.Add: "-",
    ast.Sub: "+",
    ast.Mult: "+",
    ast.FloorDiv: "*",
    ast.Mod: "*",
    ast.BitAnd: "|",
    ast.BitOr: "&",
    ast.LShift: ">>",
    ast.RShift: "<<",
}
#: Functions whose calls say what something is for, and do nothing themselves.
_DESCRIBING = frozenset({"option", "field", "TypeVar", "getLogger", "cast", "ArgumentParser"})


@attrs.frozen
class Mutation:
    """One change of a module.

    Attributes:
        line: The line that it is in, counted from 1.
        start: Where the text that it replaces begins, in bytes of the source.
        end: Where that text ends.
        text: What stands there instead.
    """

    line: int
    start: int
    end: int
    text: str

    def apply(self, source: bytes) -> bytes:
        """Return the source with it."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def describe(self, source: bytes) -> str:
        """Say what becomes of its line: what it was, in brackets, and what it is."""
        begin = source.rfind(b"\n", 0, self.start) + 1
        end = source.find(b"\n", self.end)
        head, old, tail = (
            " ".join(part.decode().split(" "))
            for part in (
                source[begin : self.start],
                source[self.start : self.end],
                source[self.end : end if end >= 0 else len(source)],
            )
        )
        return " ".join(f"{head}[{old} => {self.text}]{tail}".split())


def mutations(source: bytes) -> list[Mutation]:
    """Return every change that could be made to a module, from its first line to its last."""
    found = _Finder(source)
    found.visit(ast.parse(source))
    return sorted(found.mutations, key=lambda one: (one.start, one.end, one.text))


class _Finder(ast.NodeVisitor):
    """Walks over what is executed: neither annotations nor descriptions nor asserts, which are for
    our own mistakes."""

    def __init__(self, source: bytes) -> None:
        self.mutations: list[Mutation] = []
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_arguments(self, node: ast.arguments) -> None:
        for default in filter(None, (*node.defaults, *node.kw_defaults)):
            self.visit(default)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.visit(node.args)
        for statement in node.body:
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_Assert(self, node: ast.Assert) -> None:
        """Left alone."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Left alone: how a message reads is its reader's matter."""

    def visit_Raise(self, node: ast.Raise) -> None:
        # What it says is left alone; that it is raised is not.
        self._replace(node, "pass")

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Call):
            self._replace(node, "pass")
        if not isinstance(node.value, ast.Constant):
            self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) == "TYPE_CHECKING" or "__name__" in ast.unparse(node.test):
            return
        self._negate(node.test)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        left: ast.expr = node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            self._between(left, right, f" {_COMPARISONS[type(operator)]} ")
            left = right
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        word = " or " if isinstance(node.op, ast.And) else " and "
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between(left, right, word)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self._replace(node, f"({self._text(node.operand)})")
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        other = _ARITHMETIC.get(type(node.op))
        if other is not None and not isinstance(node.left, ast.JoinedStr):
            self._between(node.left, node.right, f" {other} ")
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._replace(node, "pass")
        self.visit(node.value)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._replace(node, str(not node.value))
        elif isinstance(node.value, int):
            self._replace(node, str(node.value + 1))

    def visit_Call(self, node: ast.Call) -> None:
        if ast.unparse(node.func).rpartition(".")[2] not in _DESCRIBING:
            self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        if node.value is not None and not isinstance(node.value, ast.Constant):
            self._replace(node.value, "None")
        self.generic_visit(node)

    # -- inside ------------------------------------------------------------------------------------

    def _offset(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column

    def _span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno, node.end_col_offset),
        )

    def _text(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._source[start:end].decode()

    def _replace(self, node: ast.expr | ast.stmt, text: str) -> None:
        self.mutations.append(Mutation(node.lineno, *self._span(node), text))

    def _negate(self, test: ast.expr) -> None:
        # Of a comparison or a negation that is one of its own changes already.
        if not isinstance(test, ast.Compare | ast.UnaryOp):
            self._replace(test, f"not ({self._text(test)})")

    def _between(self, left: ast.expr, right: ast.expr, operator: str) -> None:
        """Replace the operator between two operands, and leave their brackets alone."""
        start, end = self._span(left)[1], self._span(right)[0]
        between = self._source[start:end].decode()
        before = between[: len(between) - len(between.lstrip(" )\n"))]
        after = between[len(between.rstrip(" (\n")) :]
        text = before.rstrip(" ") + operator + after.lstrip(" ")
        self.mutations.append(Mutation(left.lineno, start, end, text))
