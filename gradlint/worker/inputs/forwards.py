"""What the signature and the text of `forward` tell about its arguments."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import cast

from torch import nn

from gradlint.worker.running.attempt import tried
from gradlint.worker.running.texts import text_of

_PARTS = 16
_SEVERAL = re.compile(r"\w+s|batch|data|sample|input")
"""Names of what holds several values, of which `x[0]` is the first and not the first sample."""
_TELLING = 8  # characters, because shorter texts stand in many messages


@dataclass(frozen=True, slots=True)
class Forward:
    """The signature and the text of a model's `forward`; `named` can only be given by keyword.

    `remarks` are its docstring and the comments above its first statement, which speak of its
    arguments as they come. `flags` are the optional arguments that are turned on or off by default.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    annotations: Mapping[str, str]
    tree: ast.AST | None
    main: str = ""
    named: tuple[str, ...] = ()
    remarks: str = ""
    flags: Mapping[str, bool] = field(default_factory=dict)

    @staticmethod
    def of(model: nn.Module) -> Forward:
        """Read `forward`; a `*args` counts as one required argument if there is no other."""
        outcome = tried(lambda: inspect.signature(model.forward))
        if outcome.error is not None:
            return Forward(("x",), (), {}, None)
        parameters = list(cast(inspect.Signature, outcome.value).parameters.values())
        usual = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        text = _text(model)
        tree = _tree(text)
        rest = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), "")
        handed = _handed_on(model, tree, rest) or (_entries(_remarks(text, tree)) if rest else {})
        own = [p.name for p in usual if p.default is p.empty]
        required = tuple(dict.fromkeys((*own, *handed)))
        if not usual and not handed:
            required = (rest,) if rest else ()
        optional = tuple(p.name for p in usual if p.default is not p.empty)
        named = tuple(p.name for p in usual if p.kind is p.KEYWORD_ONLY)
        main = _main(model, optional)
        commented = _commented(tree, [p.name for p in parameters])
        texts = {p.name: _annotation(p.annotation) or commented.get(p.name, "") for p in parameters}
        texts = {**handed, **texts}
        flags = {p.name: p.default for p in usual if isinstance(p.default, bool)}
        remarks = _remarks(text, tree)
        return Forward(required, optional, texts, tree, main, named, remarks, flags)

    def unpacked(self, name: str) -> tuple[str, ...]:
        """The names that `a, b = name` gives to the parts of an argument, or ()."""
        for node in self._nodes():
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=parts)], value=ast.Name(id=found)) if (
                    found == name
                ):
                    names = [part.id for part in parts if isinstance(part, ast.Name)]
                    return tuple(names) if len(names) == len(parts) else ()
        return self._indexed(name)

    def _indexed(self, name: str) -> tuple[str, ...]:
        """The names in `a, b = name[0], name[1]`, be it in one statement or in several."""
        found: dict[int, str] = {}
        for target, value in self._assigned():
            match target, value:
                case ast.Name(id=part), ast.Subscript(
                    value=ast.Name(id=base), slice=ast.Constant(value=int(index))
                ) if base == name and index >= 0:
                    found.setdefault(index, part)
        whole = sorted(found) == list(range(len(found)))
        alone = len(found) == 1 and bool(_SEVERAL.fullmatch(name)) and self._reads(name) == 1
        if whole and (len(found) > 1 or alone):
            return tuple(found[index] for index in sorted(found))
        return self._positions(name)

    def _positions(self, name: str) -> tuple[str, ...]:
        """`x[0]`, `x[1]`, … up to the last of them, if forward reads nothing but several of these.

        As in `self.words(x[0]) + self.pairs(x[2])`, by which no sample of a batch could be meant.
        """
        found = [
            place
            for node in self._nodes()
            if isinstance(node, ast.Subscript)
            and _is_read(node.value, name)
            and isinstance(node.slice, ast.Constant)
            and isinstance(place := node.slice.value, int)
        ]
        if (
            len(found) < self._reads(name)
            or len({*found}) < 2
            or not 0 <= min(found) <= max(found) < _PARTS
        ):
            return ()
        return tuple(f"{name}[{place}]" for place in range(max(found) + 1))

    def _reads(self, name: str) -> int:
        return sum(_is_read(node, name) for node in self._nodes())

    def _assigned(self) -> Iterator[tuple[ast.expr, ast.expr]]:
        for node in self._nodes():
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                    yield from zip(targets, values, strict=False)
                case ast.Assign(targets=[target], value=value):
                    yield target, value

    def assigned_from(self, name: str) -> tuple[str, ...]:
        """The variables that `forward` assigns to another as they are, as in `h = hidden`."""
        found = [
            value.id
            for target, value in self._assigned()
            if isinstance(target, ast.Name) and target.id == name and isinstance(value, ast.Name)
        ]
        return tuple(found)

    def assigned_given(self, name: str) -> tuple[str, ...]:
        """The variables that must not be None for `forward` to assign one itself.

        As `image` in `if image is not None: states = self.encoder(image)`.
        """
        found = [
            tested
            for node in self._nodes()
            if isinstance(node, ast.If)
            and any(_is_assigned(part, name) for line in node.body for part in ast.walk(line))
            for tested in _not_none(node.test)
        ]
        return tuple(dict.fromkeys(found))

    def keys(self, name: str) -> tuple[str, ...]:
        """The texts by which `forward` indexes an argument, as in `batch["image"]`."""
        found: dict[str, None] = {}
        for node in self._nodes():
            match node:
                case ast.Subscript(value=ast.Name(id=base), slice=ast.Constant(value=str(key))) if (
                    base == name
                ):
                    found[key] = None
        return tuple(found)

    def calls(self, name: str) -> bool:
        """Whether `forward` calls an argument, as in `fn(x)`."""
        return any(
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name
            for node in self._nodes()
        )

    def indexed_by(self, name: str) -> tuple[str, ...]:
        """What `forward` indexes by an argument alone, as it is written: `self.table` or `x`."""
        found: dict[str, None] = {}
        for node in self._nodes():
            match node:
                case ast.Subscript(value=ast.Name() | ast.Attribute() as base, slice=ast.Name(key)):
                    if key == name:
                        found[ast.unparse(base)] = None
        return tuple(found)

    def indices_of(self, name: str) -> tuple[str, ...]:
        """What `forward` indexes an argument by, as it is written."""
        return tuple(
            ast.unparse(node.slice)
            for node in self._nodes()
            if isinstance(node, ast.Subscript) and _is_read(node.value, name)
        )

    def lifts(self, name: str) -> bool:
        """Whether the first that `forward` does to an argument is to give it a last dimension."""
        uses = [node for node in self._nodes() if _is_read(node, name)]
        uses.sort(key=lambda node: (getattr(node, "lineno", 0), getattr(node, "col_offset", 0)))
        lifted = [node for node in map(_lifted, self._nodes()) if node is not None]
        return bool(uses) and uses[0] in lifted

    def selected_by(self, name: str) -> tuple[str, ...]:
        """The variables of which `forward` selects by an argument alone, as in `y[mask]`."""
        found: dict[str, None] = {}
        for node in self._nodes():
            match node:
                case ast.Subscript(value=ast.Name(id=base), slice=ast.Name(id=key)) if key == name:
                    found[base] = None
        return tuple(found)

    def multiplies(self, name: str) -> bool:
        """Whether `forward` multiplies something by an argument, as by a mask of what to keep."""
        return any(
            isinstance(node, ast.BinOp)
            and isinstance(node.op, ast.Mult)
            and (_is_view(node.left, name) or _is_view(node.right, name))
            for node in self._nodes()
        )

    def choices(self, name: str) -> tuple[str, ...]:
        """The texts that `forward` compares an argument with, as in `mode == "train"`."""
        found: dict[str, None] = {}
        for node in self._nodes():
            match node:
                case ast.Compare(
                    left=ast.Name(id=left), comparators=[ast.Constant(value=str(text))]
                ) if left == name:
                    found[text] = None
        return tuple(found)

    def missed_at(self, line: str) -> tuple[str, ...]:
        """The variables that are None wherever this line runs, as in `if x is None: return …`."""
        parsed = tried(ast.parse, line).value
        wanted = ast.unparse(parsed) if isinstance(parsed, ast.Module) else ""
        found: dict[str, None] = {}
        for node in self._nodes():
            match node:
                case ast.If(
                    test=ast.Compare(
                        left=ast.Name(id=name),
                        ops=[ast.Is()],
                        comparators=[ast.Constant(value=None)],
                    ),
                    body=[*body, ast.Return() as last],
                ) if wanted in map(ast.unparse, (*body, last)):
                    found[name] = None
        return tuple(found)

    def demanded(self, complaint: str) -> frozenset[str]:
        """The variables without which `forward` raises what `complaint` says."""
        return frozenset(
            part.id
            for test in self._tests(complaint)
            for part in ast.walk(test)
            if isinstance(part, ast.Name)
        )

    def demanded_together(self, complaint: str) -> tuple[str, ...]:
        """The variables none of which may be None, or `forward` raises what `complaint` says."""
        tests = list(self._tests(complaint))
        names = {part.id for test in tests for part in ast.walk(test) if isinstance(part, ast.Name)}
        named = (v for t, v in self._assigned() if isinstance(t, ast.Name) and t.id in names)
        return tuple(dict.fromkeys(name for test in (*tests, *named) for name in _each(test)))

    def _tests(self, complaint: str) -> Iterator[ast.expr]:
        """The conditions under which `forward` raises what `complaint` says."""
        for test, texts in _refusals(self.tree) if self.tree is not None else ():
            if any(text in complaint for text in texts):
                yield test

    def consumers(self, name: str) -> tuple[str, ...]:
        """The submodules that `forward` calls on an argument or on a view of it, in order."""
        calls = [node for node in self._nodes() if isinstance(node, ast.Call)]
        calls.sort(key=lambda call: (call.lineno, call.col_offset))
        found = [
            _submodule(call.func) for call in calls if any(_is_view(a, name) for a in call.args)
        ]
        return tuple(path for path in found if path)

    def looped(self, name: str) -> tuple[str, ...]:
        """The first of each list of submodules that `forward` calls one by one on an argument.

        As in `for pool in self.pools: pool(x)`.
        """
        found: dict[str, None] = {}
        for loop in (node for node in self._nodes() if isinstance(node, ast.For)):
            targets = loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
            zipped = isinstance(loop.iter, ast.Call) and ast.unparse(loop.iter.func) == "zip"
            lists = loop.iter.args if zipped and isinstance(loop.iter, ast.Call) else [loop.iter]
            for target, modules in zip(targets, lists, strict=False):
                path = _submodule(modules)
                for call in ast.walk(loop) if path and isinstance(target, ast.Name) else ():
                    match call:
                        case ast.Call(func=ast.Name(id=called), args=[value, *_]) if (
                            isinstance(target, ast.Name) and called == target.id
                        ):
                            found |= {f"{path}[0]": None} if _is_view(value, name) else {}
        return tuple(found)

    def shape_names(self, name: str) -> tuple[str, ...]:
        """The names that `b, c, h, w = x.shape` gives to the sizes of an argument, or ()."""
        for node in self._nodes():
            match node:
                case ast.Assign(targets=[ast.Tuple(elts=parts)], value=value) if ast.unparse(
                    value
                ) in (f"{name}.shape", f"{name}.size()"):
                    return tuple(part.id if isinstance(part, ast.Name) else "_" for part in parts)
        return ()

    def said_shape(self, name: str) -> tuple[str, ...]:
        """The sizes in a remark such as `x: (batch, 3, 32, 32)` or `src = [src len, d]`, or ()."""
        said = re.search(rf"\b{name}\b[^\n()\[\]#]{{0,40}}[(\[]([\w\s,.+-]+)[)\]]", self.remarks)
        return _sizes(said[1]) if said else ()

    def ranks(self, name: str) -> tuple[int, ...]:
        """The numbers of dimensions of an argument that the text tells apart, the largest first."""
        whole = {f"len({name}.shape)", f"len({name}.size())", f"{name}.dim()", f"{name}.ndim"}
        found = set[int]()
        for node in self._nodes():
            match node:
                case ast.Assign(targets=[ast.Name(id=alias)], value=value) if ast.unparse(
                    value
                ) in (f"{name}.shape", f"{name}.size()"):
                    whole.add(f"len({alias})")
                case ast.Compare(
                    left=left, ops=[ast.Eq()], comparators=[ast.Constant(value=int(rank))]
                ) if ast.unparse(left) in whole:
                    found.add(rank)
        return tuple(sorted(found, reverse=True))

    def spelled_shape(self, name: str) -> tuple[str, ...]:
        """The sizes in an entry of the docstring, as in `x: complex numbers (B,C,H,W,2)`, or ()."""
        said = re.search(r"\(([BN1](?:, ?(?:[A-Z]|\d+)){2,})\)", self._entry(name))
        return _sizes(said[1]) if said else ()

    def said_alike(self, name: str) -> str:
        """The required argument of whose shape an entry of the docstring says that it is, or ""."""
        said = re.search(r"\bsame (?:\w+ )?as [`*\"']*(\w+)", self._entry(name))
        return said[1] if said and said[1] in self.required and said[1] != name else ""

    def _entry(self, name: str) -> str:
        """What the docstring says of an argument."""
        pattern = rf"^([ \t]*){name} ?:.*(?:\n\1[ \t]+.*)*"
        entry = re.search(pattern, self.remarks, re.MULTILINE)
        return entry[0] if entry else ""

    def _nodes(self) -> tuple[ast.AST, ...]:
        return _walked(self.tree) if self.tree is not None else ()


@lru_cache(maxsize=32)
def _walked(tree: ast.AST) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(tree))


@lru_cache(maxsize=32)
def _refusals(tree: ast.AST) -> tuple[tuple[ast.expr, frozenset[str]], ...]:
    """The conditions under which something is raised, and the texts that are told then."""
    return tuple(
        (node.test, frozenset(text for part in ast.walk(node) for text in _told(part)))
        for node in _walked(tree)
        if isinstance(node, ast.If)
    )


def _handed_on(model: nn.Module, tree: ast.AST | None, rest: str) -> Mapping[str, str]:
    """What `rest`, as in `*args`, holds by what it is handed on to: a part's own arguments.

    Their annotations by name; those that the call gives before them are left out.
    """
    parts = dict(model.named_modules())
    for node in ast.walk(tree) if tree is not None and rest else ():
        match node:
            case ast.Call(func=function, args=[*before, ast.Starred(value=ast.Name(id=name))]) if (
                name == rest
            ):
                part = parts.get(_submodule(function) or _looped(tree, ast.unparse(function)))
                if part is not None and part is not model:
                    inner = Forward.of(part)
                    names = inner.required[len(before) :]
                    return {name: inner.annotations.get(name, "") for name in names}
    return {}


_ENTRY = re.compile(r"^[ \t]*(\w+) ?\((.+)\):", re.MULTILINE)


def _entries(remarks: str) -> Mapping[str, str]:
    """The arguments that a docstring tells of, but for optional ones: their types by name."""
    found = ((name, kind) for name, kind in _ENTRY.findall(remarks) if "optional" not in kind)
    return dict(found)


def _looped(tree: ast.AST | None, name: str) -> str:
    """The first of the submodules that `name` is one of, as in `for name in self.layers`."""
    for node in ast.walk(tree) if tree is not None else ():
        match node:
            case ast.For(target=ast.Name(id=found), iter=modules) if found == name:
                path = _submodule(modules)
                return f"{path}.0" if path else ""
    return ""


def _sizes(listed: str) -> tuple[str, ...]:
    """The sizes of a list of them, each as one word."""
    return tuple("_".join(size.split()) for size in listed.split(",") if size.strip())


def _told(node: ast.AST) -> Iterator[str]:
    """The texts of a `raise` that are long enough to tell it from others."""
    for part in ast.walk(node) if isinstance(node, ast.Raise) else ():
        match part:
            case ast.Constant(value=str(text)) if len(text) > _TELLING:
                yield text


def _each(test: ast.expr) -> Iterator[str]:
    """The names in `a is None or b is None`."""
    for node in ast.walk(test):
        match node:
            case ast.BoolOp(op=ast.Or(), values=values):
                for value in values:
                    match value:
                        case ast.Compare(
                            left=ast.Name(id=name),
                            ops=[ast.Is()],
                            comparators=[ast.Constant(value=None)],
                        ):
                            yield name


def _submodule(function: ast.expr) -> str:
    """`encoder.embed` for `self.encoder.embed`, "" for anything else."""
    text = ast.unparse(function)
    return text.removeprefix("self.") if re.fullmatch(r"self(\.\w+|\[\d+\])+", text) else ""


def _is_read(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)


def _is_assigned(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store)


def _not_none(test: ast.expr) -> Iterator[str]:
    """The names in `a is not None and b is not None`."""
    for node in ast.walk(test):
        match node:
            case ast.Compare(
                left=ast.Name(id=name), ops=[ast.IsNot()], comparators=[ast.Constant(value=None)]
            ):
                yield name


def _lifted(node: ast.AST) -> ast.expr | None:
    """What gets a last dimension of 1 by an expression, None where nothing does."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="unsqueeze"), args=[axis, *_]) if (
            ast.unparse(axis) == "-1"
        ):
            return value
        case ast.Call(func=ast.Attribute(value=value, attr="view" | "reshape"), args=[*sizes]) if [
            ast.unparse(size) for size in sizes
        ] == ["-1", "1"]:
            return value
        case ast.Subscript(value=value, slice=ast.Tuple(elts=[ast.Constant(x), *_, last])) if (
            x is ... and ast.unparse(last) == "None"
        ):
            return value
        case _:
            return None


_VIEWS = frozenset(
    "view reshape unsqueeze squeeze permute transpose float long contiguous flatten t T to".split()
)


def _is_view(value: ast.expr, name: str) -> bool:
    """Whether an expression is a variable itself, a slice of it, or a method that rearranges it."""
    match value:
        case ast.Name(id=found):
            return found == name
        case ast.Subscript() if ast.unparse(value) == name:
            return True
        case ast.Call(func=ast.Attribute(value=inner, attr=attr)) if attr in _VIEWS:
            return _is_view(inner, name)
        case ast.Subscript(slice=key) if "None" in ast.unparse(key):
            return False
        case ast.Subscript(value=inner) | ast.Attribute(value=inner, attr="T"):
            return _is_view(inner, name)
        case ast.Call(args=[inner, *_]) if _submodule(value.func) == "":
            return _is_view(inner, name)
        case _:
            return False


def _annotation(annotation: object) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    if isinstance(annotation, str):
        quoted = annotation[:1] in ("'", '"') and annotation[:1] == annotation[-1:]
        return annotation[1:-1] if quoted else annotation
    dims = getattr(annotation, "dim_str", None)
    if isinstance(dims, str):
        kinds = ",".join(str(kind) for kind in getattr(annotation, "dtypes", ()))
        return f'{"Int" if "int" in kinds and "float" not in kinds else "Float"}[Tensor, "{dims}"]'
    return inspect.formatannotation(annotation)


def _text(model: nn.Module) -> str:
    return text_of(tried(lambda: model.forward).value)


@lru_cache(maxsize=64)
def _tree(text: str) -> ast.AST | None:
    for commented in (True, False):  # because a comment may begin like that of a type without being
        parsed = tried(ast.parse, text, type_comments=commented)
        if text and isinstance(parsed.value, ast.AST):
            return parsed.value
    return None


def _commented(tree: ast.AST | None, names: Sequence[str]) -> dict[str, str]:
    """The annotations in a comment such as `# type: (List[Tensor], Optional[Tensor]) -> Tensor`."""
    match tree:
        case ast.Module(body=[ast.FunctionDef(type_comment=str(comment))]):
            parsed = tried(lambda: ast.parse(comment, mode="func_type")).value
            kinds = parsed.argtypes if isinstance(parsed, ast.FunctionType) else []
            return dict(zip(names, map(ast.unparse, kinds), strict=False))
        case _:
            return {}


def _remarks(text: str, tree: ast.AST | None) -> str:
    match tree:
        case ast.Module(body=[ast.FunctionDef(body=[first, *_]) as function]):
            above = text.splitlines()[: first.lineno - 1]
            comments = [line.partition("#")[2] for line in above]
            return "\n".join([*comments, ast.get_docstring(function) or ""])
        case _:
            return ""


_MAIN = re.compile(
    r"x|inputs?|input_ids|pixel_values(_videos)?|input_values|input_features|images?|img"
)


def _main(model: nn.Module, optional: tuple[str, ...]) -> str:
    """The argument that matters where all have defaults."""
    told = getattr(model, "main_input_name", None)
    if isinstance(told, str) and told in optional:
        return told
    return next(
        (name for name in optional if _MAIN.fullmatch(name)), optional[0] if optional else ""
    )
