"""A module's code with a call after each definition, so that what it defines is hooked before anybody can use it.

The calls stand beside the definitions in the syntax tree, on their last lines: no line of the module moves. What they
call is a constant of the compiled code, so that no name is added to the module.
"""

from __future__ import annotations

import ast
import os
import sys
from typing import TYPE_CHECKING, cast

from tachograph.instrument import adopt
from tachograph.telemetry.guard import guarded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_MADE = (ast.Call, ast.Name, ast.Attribute, ast.Lambda)  # values that may be a function, a cache or a semaphore


class _Adopter:
    """What the added calls go to."""

    @guarded("instrument", None)
    def adopt(self, name: str) -> None:
        """Hooks what the calling module has just bound to `name`."""
        namespace = sys._getframe(2).f_globals  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - the module that runs, also as `__main__`
        module = sys.modules.get(namespace.get("__name__", ""))
        if module is not None and vars(module) is namespace:
            adopt(module, name)


_ADOPTER = _Adopter()


def adopting(source: bytes | str, filename: str) -> CodeType:
    """The code of a module that has what it defines hooked; SyntaxError or ValueError as compile() raises them."""
    # compile() and not ast.parse(): no future import of this file, and bytes with their encoding cookie
    tree = cast("ast.Module", compile(source, filename, "exec", ast.PyCF_ONLY_AST, dont_inherit=True))
    token = f"tachograph-{os.urandom(8).hex()}"
    tree.body = list(_with_calls(tree.body, token))
    code = compile(tree, filename, "exec", dont_inherit=True)
    return code.replace(co_consts=tuple(_ADOPTER if each == token else each for each in code.co_consts))


def _with_calls(body: list[ast.stmt], token: str) -> Iterator[ast.stmt]:
    for statement in body:
        _descend(statement, token)
        yield statement
        for name in _bound(statement):
            yield _call(token, name, statement)


def _descend(statement: ast.stmt, token: str) -> None:
    """Into statements that run once: a call in a loop would cost its time each time round."""
    match statement:
        case ast.If() | ast.Try() | ast.TryStar() | ast.With():
            blocks: list[ast.AST] = [statement, *getattr(statement, "handlers", ())]
        case _:
            return
    for block in blocks:
        for part in ("body", "orelse", "finalbody"):
            if inner := getattr(block, part, None):
                setattr(block, part, list(_with_calls(inner, token)))


def _bound(statement: ast.stmt) -> list[str]:
    """The names that a statement binds to something that may be hooked."""
    if isinstance(statement, _DEFINITIONS):
        return [statement.name]
    match statement:
        case ast.Assign(targets=targets, value=value) if isinstance(value, _MADE):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if isinstance(value, _MADE):
            return [name]
        case _:
            return []


def _call(token: str, name: str, after: ast.stmt) -> ast.Expr:
    called = ast.Attribute(ast.Constant(token), "adopt", ast.Load())
    call = ast.Expr(ast.Call(called, [ast.Constant(name)], []))
    line, column = after.end_lineno or after.lineno, after.end_col_offset or 0
    for node in ast.walk(call):
        if isinstance(node, ast.expr | ast.stmt):
            node.lineno = node.end_lineno = line
            node.col_offset = node.end_col_offset = column
    return call
