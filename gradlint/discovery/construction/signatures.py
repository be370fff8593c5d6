"""How a class can be constructed by its signature: defaults, annotations, usual names."""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass

from gradlint.discovery.construction.annotations import (
    by_type,
    is_text,
    last_resort,
    plain,
    shaped,
    takes_class,
)
from gradlint.discovery.construction.configurations import CONFIGURATION, Configurations
from gradlint.discovery.construction.holding import constant
from gradlint.discovery.construction.keeping import Keeping, Parts
from gradlint.discovery.construction.mapped import mapped
from gradlint.discovery.construction.namespaces import PLACE, Namespaces
from gradlint.discovery.construction.parameters import (
    Parameter,
    all_parameters,
    hands_on,
    required_parameters,
    without_defaults,
)
from gradlint.discovery.construction.sizes import Sizes
from gradlint.discovery.construction.usage import Usage, usages
from gradlint.discovery.knowledge.names import (
    REQUIRED,
    conventional,
    conventional_class,
)
from gradlint.discovery.project.neighbours import ClassOutline, ModuleOutline
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.docstrings import classes_named, said_of

_BLOCK = re.compile(r"block(s|_(type|class|cls|fn|func|layer))?\d*$")
_DEEPEST = 3
"""Models in models that a constructor is given: Seq2Seq(encoder, decoder) is 1."""


@dataclass(frozen=True, slots=True)
class Construction:
    """A way to construct a class; `guessed` is true where usual names gave values."""

    text: str
    guessed: bool


def constructions(reading: Reading, name: str, depth: int = 0) -> Iterator[Construction]:
    """The ways to construct a model class, best first; none where a parameter says nothing."""
    required = required_parameters(reading, name)
    if required is None:
        yield Construction(f"{name}()", guessed=False)
        return
    if not required:
        yield Construction(f"{name}()", guessed=False)
        return
    filling = Filling(reading, name, depth)
    only_configured = all(filling.is_configuration(parameter) for parameter in required)
    for told in (filling, Filling(reading, name, depth, by_docstring=False)):
        values = [told.value(parameter) for parameter in required]
        if all(value is not None for value in values):
            yield Construction(_written(name, required, values), guessed=not only_configured)
        if not told.named:
            break  # because it would be the same again
    namespaces = [filling.namespace(parameter) for parameter in required]
    if any(map(filling.is_configuration, required)) and any(namespaces):
        # Because a configuration class may need more than is at hand: files, a command line.
        mixed = [inner or value for inner, value in zip(namespaces, values, strict=True)]
        if all(value is not None for value in mixed):
            yield Construction(_written(name, required, mixed), guessed=True)


def _written(name: str, parameters: list[Parameter], values: list[str | None]) -> str:
    texts = [
        f"{parameter.name}={value}" if parameter.keyword_only else str(value)
        for parameter, value in zip(parameters, values, strict=True)
    ]
    return f"{name}({', '.join(texts)})"


def _count(name: str, texts: list[str]) -> int:
    """How often a class of this name is built in some sources."""
    pattern = re.compile(rf"(?<!class )\b{name}\(")
    return sum(len(pattern.findall(text)) for text in texts)


def torch_nn(reading: Reading) -> str:
    """How `torch.nn` is written in the namespace of the file."""
    imports = reading.imports
    if nn := imports.alias("torch.nn"):
        return nn
    torch = imports.alias("torch")
    return f"{torch}.nn" if torch else "__import__('torch').nn"


class Filling:
    """Values for the parameters of one constructor.

    `named` are the parts of whose classes the docstring told, if it is asked at all.
    """

    def __init__(
        self, reading: Reading, name: str, depth: int, *, by_docstring: bool = True
    ) -> None:
        self.reading = reading
        self.by_docstring = by_docstring
        self.named: set[str] = set()
        self.name = name
        self.depth = depth
        outlined = reading.lineages[name].constructor
        scope = reading.model_classes.get(outlined.name) if outlined else None
        init = scope.method("__init__") if scope else None
        self.scope = scope
        self.configurations = Configurations(reading, name, visible=scope is not None)
        body = init.function.body if init and init.function else []
        self.usages = usages(body, reading.imports)
        self.namespaces = Namespaces(reading, name, scope)
        self.sizes = Sizes(reading, name, scope)
        for parameter in all_parameters(reading, name):
            usage = self.usages.setdefault(parameter.name, Usage())
            read = self.namespaces.read_of(parameter).usage
            length = Keeping.of(scope, parameter.name).length if scope is not None else 0
            usage.listed |= read.listed or length > 0
            usage.longest = max(usage.longest, read.longest, length)

    def is_configuration(self, parameter: Parameter) -> bool:
        """Whether the parameter takes an object of a configuration class that is in sight."""
        return self.configurations.of(parameter) is not None

    def lacking(self, known: Container[str]) -> dict[str, str] | None:
        """Values for the parameters that must be given and are not known; None if one has none."""
        values = {
            parameter.name: self.value(parameter)
            for parameter in all_parameters(self.reading, self.name)
            if not parameter.optional and parameter.name not in known
        }
        found = {name: value for name, value in values.items() if value is not None}
        return found if len(found) == len(values) else None

    def value(self, parameter: Parameter) -> str | None:
        """An expression for a parameter, None where nothing about it says enough."""
        usage = self.usages.get(parameter.name, Usage())
        annotation = plain(parameter.annotation)
        if any(self._is_open(part) for part in _parts(annotation)):
            return None  # because only who has all classes at hand can tell which to take
        read = self.namespaces.read_of(parameter)
        return (
            by_type(annotation)
            or self.configurations.of(parameter)
            or self._annotated_part(annotation)
            or self._documented_part(parameter, annotation)
            or self._option(parameter, usage)
            or self._key(parameter)
            or self._documented(parameter, annotation)
            or self._class(parameter, usage, annotation)
            or self._part(parameter)
            or self._namesake(parameter)
            or self._layer(parameter)
            or self._having_parts(parameter)
            or self._wrapped(parameter)
            or self._constant(parameter)
            or self.namespace(parameter, _SETTINGS)
            or self.sizes.depth(parameter, usage)
            or self.sizes.by_name(parameter, usage, annotation)
            or self.namespace(parameter)
            or ("None" if usage.optional or read.usage.optional else None)
            or self._word(parameter, annotation)
            or last_resort(annotation)
            or self._by_use(parameter, usage)
        )

    def _constant(self, parameter: Parameter) -> str | None:
        """The constant of the project that has everything which is read from the parameter."""
        parts = self.namespaces.read_of(parameter)
        read = frozenset(parts.inner)
        return None if len(read) < _SHARED or parts.as_mapping else constant(self.reading, read)

    def _option(self, parameter: Parameter, usage: Usage) -> str | None:
        if usage.options:
            return repr(usage.options[0])
        return self.namespaces.vectors(usage) if usage.vectors else None

    def _word(self, parameter: Parameter, annotation: ast.expr | None) -> str | None:
        """The word that the project gives a parameter of this name most often.

        Only of a name of several words, because a `mode` is another one in each class.
        """
        if last_resort(annotation) != "''" or "_" not in parameter.name:
            return None
        return self.reading.project.word(parameter.name, self.reading.source.text)

    def _key(self, parameter: Parameter) -> str | None:
        """The first key of a table of the file in which the constructor looks the parameter up."""
        init = self.scope.method("__init__") if self.scope else None
        for node in init.nodes(ast.Subscript) if init else ():
            match node:
                case ast.Subscript(ast.Name(id=table), ast.Name(id=key)) if key == parameter.name:
                    bound = self.reading.outline.module.bindings.get(table, [])
                    match bound[-1].value if bound else None:
                        case ast.Dict(keys=[ast.Constant(value=str() | int() as first), *_]):
                            return repr(first)
        return None

    def _documented(self, parameter: Parameter, annotation: ast.expr | None) -> str | None:
        """A layer between the sizes that the docstring says a network maps between."""
        if self.scope is None or not (takes_class(annotation) or self._is_run(parameter)):
            return None
        widths = mapped(self.scope, parameter.name, self._size)
        return f"{torch_nn(self.reading)}.Linear{widths}" if widths else None

    def _size(self, name: str) -> str | None:
        """The value that a size of this name has here: a parameter, or what others call so."""
        for parameter in all_parameters(self.reading, self.name):
            if parameter.name == name and not parameter.optional:
                return self.value(parameter)
        return self.sizes.by_name(Parameter(name, None), Usage(), None)

    def _class(self, parameter: Parameter, usage: Usage, annotation: ast.expr | None) -> str | None:
        """A class or module for a parameter that takes one."""
        nn = torch_nn(self.reading)
        counts = usage.roles or usage.counted
        takes = usage.called or (takes_class(annotation) and not counts)
        if takes and _BLOCK.search(parameter.name.lower()):
            return self._block()
        usual = None if counts else conventional_class(parameter.name)
        if usual and is_text(annotation):
            return repr(usual.lower()) if usual in ("GELU", "ReLU") else None
        if usual and (usage.called or re.search("_(layer|fn|func)$", parameter.name)):
            return f"{nn}.{usual}"
        if usual and annotation is None and not usage.options:
            return f"{nn}.{usual}()" if "norm" not in parameter.name else None
        named = self.reading.imports.qualified(annotation) if annotation is not None else ""
        return self._stand_in(parameter) if named == "torch.nn.Module" else None

    def _block(self) -> str | None:
        """The first class of the file that looks like a residual block."""
        for name in self.reading.model_classes:
            last = name.split(".")[-1]
            if name == self.name or not re.search("Block|Bottleneck|Layer|Unit|Cell", last):
                continue
            if len(required_parameters(self.reading, name) or ()) >= 2:
                return name
        return None

    def _part(self, parameter: Parameter) -> str | None:
        """An instance of the model class of this file that the parameter is named after."""
        if conventional(parameter.name) and not self._is_run(parameter):
            return (
                None  # because a `scale` that is not called is a number, be there a class `Scale`
            )
        wanted = parameter.name.replace("_", "").lower()
        for name in self.reading.model_classes:
            if name.lower() == wanted and name != self.name and self.depth < _DEEPEST:
                built = next(constructions(self.reading, name, self.depth + 1), None)
                return built.text if built else None
        return None

    def _layer(self, parameter: Parameter) -> str | None:
        """A layer of torch for a parameter whose weight or sizes the class reads."""
        if self.scope is None or CONFIGURATION.fullmatch(parameter.name):
            return None
        parts = Keeping.of(self.scope, parameter.name).parts()
        if parts.as_mapping or not takes_class(parameter.annotation):
            return None
        kinds = (kind for kind, read in _READ_OF_LAYERS.items() if read & parts.inner.keys())
        kind = next(kinds, None)
        sizes = ", ".join(str(conventional(name)) for name in REQUIRED[kind]) if kind else ""
        return f"{torch_nn(self.reading)}.{kind}({sizes})" if kind else None

    def _having_parts(self, parameter: Parameter) -> str | None:
        """An instance of the model class in reach that sets all the attributes the class reads.

        Because a model which is taken apart, as an encoder's embedding of patches is, must have
        them; that class stands in this file or beside what this file imports.
        """
        if self.scope is None or parameter.annotation is not None or self.depth >= _DEEPEST:
            return None
        parts = self.namespaces.read_of(parameter)
        read = frozenset(parts.inner)
        if parts.as_mapping or len(read) < _SHARED or CONFIGURATION.fullmatch(parameter.name):
            return None
        for home in self._in_reach():
            for kind in home.classes.values():
                if read <= kind.attributes and (home, kind.name) != (
                    self.reading.module,
                    self.name,
                ):
                    own = home is self.reading.module
                    return self._imported_part(kind.name, home, kind.name if own else "", 1)
        return None

    def _in_reach(self) -> Iterator[ModuleOutline]:
        """This file and those of the project from which it imports classes."""
        around, module = self.reading.neighbourhood, self.reading.module
        seen = {module.path}
        yield module
        for meaning in module.imports.names.values():
            found = around.find_class(meaning, module)
            if found is not None and found[1].path not in seen:
                seen.add(found[1].path)
                yield found[1]

    def _is_visible(self) -> bool:
        """Whether the constructor stands in this file, so that its annotations are in scope."""
        return self.scope is not None

    def _is_open(self, annotation: ast.Name) -> bool:
        """Whether it is a base class of another file that leaves its forward to subclasses."""
        known = self.reading.imports.names
        if annotation.id not in known or not self._is_visible():
            return False
        lineage = self.reading.neighbourhood.lineage(known[annotation.id], self.reading.module)
        defining = (kind for kind, _ in lineage.classes if "forward" in kind.methods)
        nearest = next(defining, None)
        if nearest is None or "forward" not in nearest.hollow:
            return False
        kind, home = lineage.classes[0]
        return self._heir(kind, home) is None

    def _annotated_part(self, annotation: ast.expr | None) -> str | None:
        """An instance of the model class of the project that the parameter is annotated with."""
        match annotation:
            case ast.BinOp(op=ast.BitOr(), left=left):
                return self._annotated_part(plain(left))
            case ast.Name(id=written) if self._is_visible() and self.depth < _DEEPEST:
                pass
            case _:
                return None
        if written in self.reading.model_classes:
            built = next(constructions(self.reading, written, self.depth + 1), None)
            return built.text if built and written != self.name else None
        if written not in self.reading.imports.names:
            return None
        reading = self.reading
        return self._imported_part(reading.imports.names[written], reading.module, written)

    def _documented_part(self, parameter: Parameter, annotation: ast.expr | None) -> str | None:
        """An instance of the first class of the project that the docstring names for a module."""
        kind = self.reading.imports.qualified(annotation) if annotation is not None else ""
        if kind not in ("", "torch.nn.Module") or self.scope is None or not self.by_docstring:
            return None
        if self.depth >= _DEEPEST:
            return None
        for name in classes_named(said_of(self.scope, parameter.name)):
            built: Construction | None = None
            if name in self.reading.model_classes and name != self.name:
                built = next(constructions(self.reading, name, self.depth + 1), None)
            part = built.text if built else None
            if "." in name:
                part = self._imported_part(name, self.reading.module)
            if part is not None:
                self.named.add(parameter.name)
                return part
        return None

    def _imported_part(
        self, name: str, origin: ModuleOutline, written: str = "", depth: int = 0
    ) -> str | None:
        """An instance of the class that `name` means in `origin`; `written` is its name here."""
        lineage = self.reading.neighbourhood.lineage(name, origin)
        outlined = lineage.constructor
        if not (lineage.classes and lineage.is_module and outlined and outlined.init):
            return None
        kind, home = lineage.classes[0]
        meant = self._heir(kind, home) or kind.name
        if meant != kind.name or not written:
            written = f"__import__('importlib').import_module('{home.dotted}').{meant}"
        needed = without_defaults(outlined.init)
        values = [self._value_of(item, home, depth) for item in needed]
        words = [f"{item.name}={value}" for item, value in zip(needed, values, strict=True)]
        return f"{written}({', '.join(words)})" if all(values) else None

    def _value_of(self, parameter: Parameter, origin: ModuleOutline, depth: int) -> str | None:
        """A value for a parameter of a constructor that stands in another file."""
        annotation = plain(parameter.annotation)
        known = by_type(annotation)
        if known is None and isinstance(annotation, ast.Name) and depth < _DEEPEST:
            name = origin.imports.names.get(annotation.id, annotation.id)
            known = self._imported_part(name, origin, depth=depth + 1)
        return known or conventional(parameter.name)

    def _heir(self, kind: ClassOutline, home: ModuleOutline) -> str | None:
        """The subclass that is built where its base never is: the one that is built most often.

        None for a base that the project builds itself, or without a subclass that takes the same.
        """
        heirs = [
            other.name
            for other in home.classes.values()
            if kind.name in other.bases and (other.init is None or hands_on(other.init))
        ]
        texts = [*self.reading.project.texts.values(), self.reading.source.text] if heirs else []
        counts = {name: _count(name, texts) for name in (*heirs, kind.name)}
        most = max(heirs, key=lambda name: counts[name], default="")
        return most if counts.get(most) and not counts[kind.name] else None

    def _is_run(self, parameter: Parameter) -> bool:
        """Whether the class, as far as it is in sight, calls what it is given."""
        return self.scope is None or Keeping.of(self.scope, parameter.name).is_run

    def _is_kept(self, parameter: Parameter) -> bool:
        """Whether the parameter is annotated as what can be called, and not called at once."""
        annotation = plain(parameter.annotation)
        written = ast.unparse(annotation) if annotation is not None else ""
        called = self.usages.get(parameter.name, Usage()).called
        return re.match(r"(\w+\.)*Callable\b", written) is not None and not called

    def _wrapped(self, parameter: Parameter) -> str | None:
        """What stands for a module that the model is given and calls: a part, or nothing at all."""
        if self.scope is None or not (self._is_run(parameter) or self._is_kept(parameter)):
            return None
        if (partner := _LEARNERS.get(parameter.name)) and self.depth < _DEEPEST:
            taught = (item for item in all_parameters(self.reading, self.name))
            student = next((item for item in taught if item.name == partner), None)
            return self.value(student) if student else None
        return self._stand_in(parameter)

    def _namesake(self, parameter: Parameter) -> str | None:
        """The class of this file that a module which the model is given is named after.

        As a `MaskedEncoder` for an `encoder_module`; it must have what the class reads of it.
        """
        if self.scope is None or self.depth >= _DEEPEST:
            return None
        if not (self._is_run(parameter) or self._is_kept(parameter)):
            return None
        read = self.namespaces.read_of(parameter).inner.keys()
        for wanted in (parameter.name, _MODULE.sub("", parameter.name)):
            stem = wanted.replace("_", "").lower()
            for name in self.reading.model_classes:
                if len(stem) >= _TELLING and stem in name.lower() and name != self.name:
                    kinds = self.reading.lineages[name].classes
                    has = frozenset[str]().union(*(kind.attributes for kind, _ in kinds))
                    built = next(constructions(self.reading, name, self.depth + 1), None)
                    if built is not None and read <= has:
                        return built.text
        return None

    def _stand_in(self, parameter: Parameter) -> str:
        """A module that hands on what it is given, with what the class reads of the parameter."""
        parts = Keeping.of(self.scope, parameter.name).parts() if self.scope else Parts()
        return f"PassThrough({self.namespaces.words(parts)})"

    def _by_use(self, parameter: Parameter, usage: Usage) -> str | None:
        """A value for a parameter whose name says nothing, by what the constructor does with it."""
        kind = plain(parameter.annotation)
        if isinstance(kind, ast.Name) and kind.id in ("dict", "Dict") and usage.spread:
            return "dict()"
        if kind is not None or self.scope is None or PLACE.search(parameter.name):
            return None
        if usage.called:
            return f"{torch_nn(self.reading)}.Identity"
        return "dict()" if usage.spread else shaped("64", usage, None)

    def namespace(self, parameter: Parameter, least: int = 1) -> str | None:
        """A namespace or mapping with everything that is read from the parameter in this class.

        None where that is less than `least` things.
        """
        if parameter.annotation is not None and not CONFIGURATION.fullmatch(parameter.name):
            return None
        if self.scope is None:
            return None
        parts = Parts()
        parts.add(self.namespaces.read_of(parameter))
        usage = self.usages.get(parameter.name, Usage())
        is_tensor = "shape" in parts.inner and not _SPACE.search(parameter.name)
        if usage.listed or is_tensor:
            return None
        if len(parts.inner) >= least or CONFIGURATION.fullmatch(parameter.name):
            for other in self.namespaces.handed_on(parameter.name):
                parts.add(other)
        if len(parts.inner) < least:
            return None
        return self.namespaces.filled(parts)


def _parts(annotation: ast.expr | None) -> Iterator[ast.Name]:
    """The classes that an annotation holds, but for one that allows to give none of them."""
    if annotation is not None and by_type(annotation) != "None":
        yield from (part for part in ast.walk(annotation) if isinstance(part, ast.Name))


_READ_OF_LAYERS = {
    "Embedding": {"num_embeddings", "embedding_dim"},
    "Conv2d": {"in_channels", "out_channels", "kernel_size"},
    "Linear": {"in_features", "out_features", "weight"},
}
"""What only these layers have, or the last of all."""
_SPACE = re.compile(r"space$|^envs?$")  # of actions or observations
_SETTINGS = 2
"""Things that are read from a parameter from which on it holds settings, whatever its name is."""
_SHARED = 2
"""Attributes of one part that a class reads from which on they tell the class of the part."""
_LEARNERS = {"teacher": "student", "teacher_model": "student_model"}
"""What is given a model that answers as another one should; without that, none stands for it."""
_MODULE = re.compile(r"_(module|model|net|network|fn|func|function)s?$")
"""Words at the end of a parameter's name that say that it is run, not what it is."""
_TELLING = 5
"""Letters of a parameter's name from which on it says which class it takes an instance of."""
