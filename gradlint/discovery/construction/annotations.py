"""What the annotation of a parameter says about its value."""

from __future__ import annotations

import ast

from gradlint.discovery.construction.usage import Usage

_SEQUENCES = frozenset("list sequence tuple iterable collection".split())


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


def shaped(value: str, usage: Usage, annotation: ast.expr | None) -> str:
    """The value as a sequence where one is wanted, as a number where one is wanted."""
    generic = _last(annotation.value).lower() if isinstance(annotation, ast.Subscript) else ""
    is_sequence = value.startswith(("[", "("))
    if generic in _SEQUENCES and not is_sequence:
        assert isinstance(annotation, ast.Subscript)
        items = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else []
        return _repeated(value, len(items) if generic == "tuple" and len(items) > 1 else 4)
    if annotation is None and usage.listed and not usage.counted and value[0].isdigit():
        values = _repeated(value, usage.longest or 4)
        return f"({values[1:-1]})" if usage.as_tuple else values
    if is_sequence and (usage.counted or _last(annotation) == "int"):
        return "2" if value == "[2, 2, 2, 2]" else "64"
    return value


def _repeated(value: str, count: int) -> str:
    return f"[{', '.join([value] * count)}]"


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
