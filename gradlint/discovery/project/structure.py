"""Which classes of a file build which, and which of them are models in their own right."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from gradlint.discovery.knowledge.frameworks import Base
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.outline import Called, Scope

Builds = Mapping[str, frozenset[str]]

_BLOCK = re.compile(
    r"\w*(block|layer|cell|unit|norm|act|conv|attn|attention|mlp|stem|head|embed|down|up|pool|net"
    r"|linear|backbone|encoder|decoder|model|module)\w*"
)
_LOSS = re.compile(r"\w*(Loss|Criterion|LossFn|Losses|Metric|Penalty|Regularizer)(\d*D?|Module)?$")
_WITHOUT_PARAMETERS = re.compile(
    r"torch\.nn\.(\w*(Loss|Pool[123]d|Pad[123]d|Dropout\w*|Softm\w+|LU|Sigmoid|[Tt]anh|[Ss]hrink"
    r"|Flatten|Shuffle|Unshuffle|Similarity|Distance|[Ff]old|Upsample\w*|Upsampling\w+|SiLU|Mish"
    r"|LogSoftmax)|Identity|ModuleList|ModuleDict|Sequential|Module|ParameterList|ParameterDict"
    r"|Softsign|Threshold|Hard\w+|ReLU6?|C?ELU|SELU|GELU|GLU|LeakyReLU|RReLU)"
)
_COMPUTING = frozenset(
    "math numpy functools itertools collections copy typing warnings einops random".split()
)


def direct_builds(reading: Reading) -> Builds:
    """For each model class, the model classes of the file that it constructs or hands on.

    A class builds what its own methods and those of its bases in the file name, directly or through
    functions of the file, and what a caller puts into it: `ResNet(Block, …)`, `Seq2Seq(Encoder(),
    …)`.
    """
    own = {name: set(_named(reading, scope)) for name, scope in reading.model_classes.items()}
    for called in reading.outline.calls:
        owner = reading.called_class(called.node, called.scope)
        if owner:
            own[owner].update(_put_in(reading, called))
    return {name: frozenset(_inherited(reading, name, own)) for name in own}


def _inherited(reading: Reading, name: str, own: Mapping[str, set[str]]) -> Iterator[str]:
    ancestors = {outlined.name for outlined, _ in reading.lineages[name].classes}
    for ancestor in ancestors:
        # Because naming a base (`Base.forward(self, x)`) does not construct it.
        yield from own.get(ancestor, set()) - ancestors


def _named(reading: Reading, scope: Scope) -> Iterator[str]:
    """The model classes that are named in a scope, or in functions of the file that it names."""
    waiting, seen = [scope], {scope.name}
    while waiting:
        for inner in waiting.pop().inward:
            for reference in inner.references:
                found = reading.local_class(reference, inner)
                if found:
                    yield found
                elif reference in reading.functions and reference not in seen:
                    seen.add(reference)
                    waiting.append(reading.functions[reference])


def _put_in(reading: Reading, called: Called) -> Iterator[str]:
    """The model classes that a construction is given, as classes or as instances."""
    for value in (*called.node.args, *(word.value for word in called.node.keywords)):
        if not isinstance(value, (ast.Name, ast.Call, ast.Attribute)):
            continue
        for origin in reading.tracer.origins(Placed(value, called.scope, called.node.lineno)):
            expression = origin.expression
            if isinstance(expression, ast.Name):
                found = reading.local_class(expression.id, origin.scope)
            else:
                found = reading.called_class(expression, origin.scope)
            if found:
                yield found


def roots(reading: Reading, builds: Builds, by_expressions: frozenset[str]) -> frozenset[str]:
    """The model classes that are models in their own right.

    Those that can run (a forward or another pass, nothing abstract), hold parameters, are no loss,
    and are not built by another class or expression of the file. Of classes that only build each
    other, the first is one.
    """
    holding = _holding(reading)
    able = [
        name
        for name in reading.model_classes
        if _is_able(reading, name) and (name in holding or builds[name] & holding)
    ]
    passed = by_expressions | frozenset(_passed(reading))
    builders: dict[str, set[str]] = {name: set() for name in builds}
    for name, parts in builds.items():
        for part in parts - {name}:
            builders[part].add(name)
    found = [name for name in able if not builders[name] and name not in passed]
    covered = _reachable(found, builds)
    for name in able:
        if name in covered or name in passed:
            continue
        circle = _reachable([name], builds)
        if builders[name] <= circle:
            found.append(name)
            covered |= circle
    return frozenset(found)


def _reachable(names: list[str], builds: Builds) -> set[str]:
    waiting, seen = list(names), set(names)
    while waiting:
        for part in builds[waiting.pop()] - seen:
            seen.add(part)
            waiting.append(part)
    return seen


def _is_able(reading: Reading, name: str) -> bool:
    lineage = reading.lineages[name]
    last = name.rpartition(".")[2]
    if Base.LOSS in lineage.kinds or _LOSS.fullmatch(last) or lineage.abstract:
        return False
    if Base.LIGHTNING in lineage.kinds and lineage.defines("training_step"):
        return True
    return lineage.has_forward or _has_passes(reading, name)


def _has_passes(reading: Reading, name: str) -> bool:
    """Whether a class that is no base of others here has methods beside `forward` to run it by."""
    lineages = (lineage for other, lineage in reading.lineages.items() if other != name)
    if any(name == base.name for lineage in lineages for base, _ in lineage.classes):
        return False
    hollow = {method for base, _ in reading.lineages[name].classes for method in base.hollow}
    functions = (scope.function for scope in reading.model_classes[name].children)
    passes = (item for item in functions if item is not None and item.name not in hollow)
    return any(item.name[0] != "_" and len(item.args.args) > 1 for item in passes)


def _passed(reading: Reading) -> Iterator[str]:
    """Model classes handed to a function as a part, by the parameter: `block=Bottleneck`."""
    for called in reading.outline.calls:
        if called.scope.class_around is not None:
            continue
        for parameter, value in _arguments(reading, called):
            if not isinstance(value, ast.Name) or not _BLOCK.fullmatch(parameter):
                continue
            if found := reading.local_class(value.id, called.scope):
                yield found


def _arguments(reading: Reading, called: Called) -> Iterator[tuple[str, ast.expr]]:
    for word in called.node.keywords:
        yield word.arg or "", word.value
    callee = called.node.func
    function = reading.functions.get(callee.id) if isinstance(callee, ast.Name) else None
    if function is not None and function.function is not None:
        names = [item.arg for item in function.function.args.args]
        yield from zip(names, called.node.args, strict=False)


def _holding(reading: Reading) -> frozenset[str]:
    """The classes and functions that may make parameters: what only wraps or computes does not.

    One may where that cannot be seen, such as a class with a base in another file.
    """
    makers: set[str] = set()
    users: dict[str, set[str]] = {}
    for name in (*reading.model_classes, *reading.functions):
        for item in _inside(reading, name):
            if isinstance(item, str):
                users.setdefault(item, set()).add(name)
            elif item:
                makers.add(name)
    waiting = list(makers)
    while waiting:
        found = users.get(waiting.pop(), set()) - makers
        makers |= found
        waiting += found
    return frozenset(makers)


def _inside(reading: Reading, name: str) -> Iterator[bool | str]:
    """Whether a class or function makes parameters, and the names of others it leaves that to."""
    if name in reading.functions:
        for called in reading.functions[name].calls:
            yield _makes(reading, called)
        return
    lineage = reading.lineages[name]
    yield bool(lineage.kinds & {Base.LAYER, Base.UNKNOWN})
    for outlined, module in lineage.classes:
        if module is not reading.module:
            yield outlined.init is not None
        elif scope := reading.model_classes.get(outlined.name):
            for called in _constructing(scope):
                yield _makes(reading, called)


def _constructing(scope: Scope) -> Iterator[Called]:
    """The calls of a class in which it may make parameters."""
    running = ("forward", "extra_repr", "__repr__", "__call__")
    for inner in scope.inward:
        if not inner.function or inner.function.name not in running:
            yield from inner.calls


def _makes(reading: Reading, called: Called) -> bool | str:
    """Whether a call makes parameters, or the class or function of the file that it runs."""
    callee = called.node.func
    built = reading.called_class(called.node, called.scope)
    qualified = reading.imports.qualified(callee)
    if built or qualified.startswith("torch."):
        return built or _torch_parameters(qualified)
    match callee:
        case ast.Name(id=name) if name in reading.functions:
            return name
        case ast.Name(id=name) if name not in reading.imports.names:
            return name in _parameters_of(called.scope) and not hasattr(builtins, name)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            makes = name[0].isupper() or _BLOCK.fullmatch(name) or name == "register_parameter"
            return bool(makes) and (_is_foreign(reading, qualified) or name == "register_parameter")
        case _:
            return True


def _parameters_of(scope: Scope) -> frozenset[str]:
    arguments = scope.function.args if scope.function else None
    items = (*arguments.args, *arguments.kwonlyargs) if arguments else ()
    return frozenset(item.arg for item in items)


def _is_foreign(reading: Reading, name: str) -> bool:
    """Whether a dotted name comes from an import that may make modules."""
    head = name.split(".", maxsplit=1)[0]
    meanings = {meaning.split(".")[0] for meaning in reading.imports.names.values()}
    return head in meanings and head not in _COMPUTING


@lru_cache(maxsize=512)
def _torch_parameters(name: str) -> bool:
    if name.startswith(("torch.nn.functional", "torch.nn.init", "torch.nn.utils.clip")):
        return False
    return name.startswith("torch.nn.") and not _WITHOUT_PARAMETERS.fullmatch(name)
