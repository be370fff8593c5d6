"""What the annotation of a parameter says about its value."""

from __future__ import annotations

import ast
from types import EllipsisType

from gradlint.discovery.construction.usage import Usage

_SEQUENCES = frozenset("list sequence tuple iterable collection".split())
USUAL_LENGTH = 4
"""How many values a list has of which nothing tells: one for each of four stages."""


def plain(annotation: ast.expr | None) -> ast.expr | None:
    """The annotation with quotes taken off."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value, mode="eval").body
        except (SyntaxError, ValueError):
            return None
    return annotation


def by_type(annotation: ast.expr | None) -> str | None:
    """The value of a parameter whose type alone says which to take."""
    match annotation:
        case ast.Name(id="bool"):
            return "False"
        case ast.Subscript(value=outer, slice=inner):
            return _by_generic(_last(outer), inner)
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return "None" if _is_none(left) or _is_none(right) else None
        case _:
            return None


def _by_generic(outer: str, inner: ast.expr) -> str | None:
    items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    match outer:
        case "Optional":
            return "None"
        case "Union" if any(_is_none(item) for item in items):
            return "None"
        case "Literal":
            return ast.unparse(items[0])
        case _ if outer.lower() in _SEQUENCES and _last(items[0]) == "Module":
            return "[PassThrough(), PassThrough()]"
        case _:
            return None


def last_resort(annotation: ast.expr | None) -> str | None:
    """A value of the type of a parameter with a name that says nothing."""
    match annotation:
        case ast.Name(id="int"):
            return "8"
        case ast.Name(id="float"):
            return "0.1"
        case ast.Name(id="str"):
            return "''"  # which the error of the constructor may replace by what it lists
        case ast.Subscript(value=outer, slice=ast.Tuple(elts=items)) if _last(outer) == "Union":
            return next(filter(None, map(last_resort, items)), None)
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return last_resort(left) or last_resort(right)
        case ast.Subscript(value=outer, slice=inner) if _last(outer).lower() in _SEQUENCES:
            items = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            return "[64, 64]" if _last(items[0]) == "int" else None
        case _:
            return None


def is_sequence(annotation: ast.expr | None) -> bool:
    """Whether a parameter of this type is a list or a tuple."""
    match annotation:
        case ast.Subscript(value=outer):
            return _last(outer).lower() in _SEQUENCES
        case _:
            return False


def _may_be_sequence(annotation: ast.expr) -> bool:
    """Whether a parameter of this type is a list or something else."""
    match annotation:
        case ast.BinOp(op=ast.BitOr(), left=left, right=right):
            return _may_be_sequence(left) or _may_be_sequence(right)
        case ast.Subscript(value=outer, slice=ast.Tuple(elts=items)) if _last(outer) == "Union":
            return any(map(_may_be_sequence, items))
        case _:
            return is_sequence(annotation)


def shaped(
    value: str, usage: Usage, annotation: ast.expr | None, length: int = USUAL_LENGTH
) -> str:
    """The value as a sequence where one is wanted, as a number where one is wanted.

    A sequence has `length` values where neither its type nor its use tells how many.
    """
    is_listed = value.startswith(("[", "("))
    if isinstance(annotation, ast.Subscript) and is_sequence(annotation) and not is_listed:
        return _repeated(value, _told_length(annotation) or length)
    open_ = annotation is None or (_may_be_sequence(annotation) and not usage.evened)
    if open_ and usage.listed and not usage.counted and value[0].isdigit():
        values = _repeated(value, usage.longest or _first_length(annotation) or length)
        return f"({values[1:-1]})" if usage.as_tuple else values
    if is_listed and (usage.counted or _last(annotation) == "int"):
        return "2" if value == "[2, 2, 2, 2]" else "64"
    return value


def _first_length(annotation: ast.expr | None) -> int:
    """How many values the first tuple has of those that a parameter may be, 0 where none tells."""
    nodes = ast.walk(annotation) if annotation is not None else ()
    lengths = (_told_length(node) for node in nodes if isinstance(node, ast.Subscript))
    return next(filter(None, lengths), 0)


def _told_length(annotation: ast.Subscript) -> int:
    """How many values a tuple of this type has, 0 for what may have any number of them."""
    match annotation.slice:
        case ast.Tuple(elts=[_, ast.Constant(value=EllipsisType())]):
            return 0
        case ast.Tuple(elts=items) if _last(annotation.value).lower() == "tuple":
            return len(items) if len(items) > 1 else 0
        case _:
            return 0


def _repeated(value: str, count: int) -> str:
    return f"[{', '.join([value] * count)}]"


def of_flags(annotation: ast.expr | None) -> bool:
    """Whether a parameter of this type is a list of flags."""
    match annotation:
        case ast.Subscript(slice=ast.Name(id="bool") | ast.Tuple(elts=[ast.Name(id="bool"), *_])):
            return is_sequence(annotation)
        case _:
            return False


def takes_class(annotation: ast.expr | None) -> bool:
    """Whether a parameter of this type may be given a class or a function."""
    return annotation is None or any(
        _last(node) in ("Type", "type", "Callable", "Union")
        for node in ast.walk(annotation)
        if isinstance(node, ast.expr)
    )


def is_text(annotation: ast.expr | None) -> bool:
    """Whether a parameter of this type is a text, such as the name of a class."""
    return _last(annotation) == "str"


def _last(expression: ast.expr | None) -> str:
    match expression:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_none(expression: ast.expr) -> bool:
    return isinstance(expression, ast.Constant) and expression.value is None
