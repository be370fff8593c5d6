"""Objects that hold settings: an expression with all that a class reads of one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradlint.discovery.construction.annotations import shaped
from gradlint.discovery.construction.handing import parts_handed
from gradlint.discovery.construction.holding import held, holders
from gradlint.discovery.construction.keeping import Keeping, Parts
from gradlint.discovery.construction.parameters import Parameter, all_parameters
from gradlint.discovery.construction.usage import Usage
from gradlint.discovery.knowledge.names import conventional
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.outline import Scope

_WORD_WIDTH = re.compile(r"(\w+_)?(words?|emb|embed|embedding|vectors?)_?(dim|size|width)s?")
_COUNTED = re.compile(r"vocab|alphabet|dict|token|word|label|tag|class|char|entit|relation|item")
_NAMESPACE = "__import__('types').SimpleNamespace"
_ATTRIBUTES = "type('Settings', (dict,), {'__getattr__': dict.get})"
"""A mapping whose items are attributes, too."""
PLACE = re.compile(r"(path|file|filename|dir|folder|url)$")
"""Files and folders, for which no number stands, because that opens any file."""


class Namespaces:
    """What one class reads of its parameters, and objects which have that."""

    def __init__(self, reading: Reading, name: str, scope: Scope | None) -> None:
        """For the class `name`, whose constructor stands in `scope`, None for another file."""
        self.reading = reading
        self.name = name
        self.scope = scope
        self._known: dict[str, Parts] = {}

    def filled(self, parts: Parts, within: str = "") -> str:
        """An expression for an object of these parts, each with the value the project gives it."""
        words = self.words(parts, within)
        if not parts.as_mapping:
            return f"{_NAMESPACE}({words})"
        return f"{_ATTRIBUTES}({words})" if parts.as_object else f"dict({words})"

    def words(self, parts: Parts, within: str = "") -> str:
        """The same as keywords: `width=64, depth=2`."""
        classes = holders(self.reading, parts.inner)
        values = {
            name: self.filled(inner, name)
            if inner.inner
            else self._setting(name, inner.usage, within, classes)
            for name, inner in parts.inner.items()
        }
        return ", ".join(f"{name}={value}" for name, value in values.items())

    def _setting(
        self, name: str, usage: Usage, within: str = "", classes: tuple[Scope, ...] = ()
    ) -> str:
        """The value of a setting: of the `classes` that hold it, the project's, or the usual one.

        `within` is the name of the part of the configuration in which it stands, "" at the top.
        """
        said = next((text for scope in classes if (text := held(scope, name, usage))), None)
        if said is None and usage.vectors:
            return self.vectors(usage)
        if name == "shape" and said is None:
            return "(3, 32, 32)" if usage.longest == 3 else f"({'64,' * max(usage.longest, 1)})"
        said = said or self.reading.project.value(name, within)
        if usage.options and said is not None and said.strip("'") not in usage.options:
            said = None  # because another program of the project has an option of this name
        usual = conventional(name) or ("2" if usage.counted else None)
        return said or _told(name, usage) or shaped(usual or "64", usage, None)

    def vectors(self, usage: Usage) -> str:
        """A table of word vectors as wide as the model says, or none where that is as well."""
        if usage.optional:
            return "None"
        table = f"__import__('torch').randn(1000, {self._width_of_words()})"
        return f"{table}.numpy()" if usage.vectors == "array" else table

    def _width_of_words(self) -> str:
        """The size of a word vector, by the name of an argument or of a setting."""
        for parameter in all_parameters(self.reading, self.name):
            if _WORD_WIDTH.fullmatch(parameter.name):
                return conventional(parameter.name) or "64"
            for name, inner in self.read_of(parameter).inner.items():
                if _WORD_WIDTH.fullmatch(name):
                    return self._setting(name, inner.usage)
        return "64"

    def read_of(self, parameter: Parameter) -> Parts:
        """What the class, and those that it hands the parameter on to, read of it."""
        if parameter.name not in self._known and self.scope is not None:
            read = parts_handed(self.reading, self.scope, parameter.name)
            self._known[parameter.name] = read
        return self._known.get(parameter.name, Parts())

    def handed_on(self, name: str) -> Iterator[Parts]:
        """What other model classes of the file read from a configuration of the same name."""
        for other, scope in self.reading.model_classes.items():
            init = scope.method("__init__")
            if other == self.name or init is None or init.function is None:
                continue
            if any(item.arg == name for item in init.function.args.args):
                yield Keeping.of(scope, name).parts()


def _told(name: str, usage: Usage) -> str | None:
    """A value by what is done with a setting: how it is compared, or asked for its size."""
    if usage.options:
        return repr(usage.options[0])
    if usage.sizes and _COUNTED.search(name):
        words = (f"{key}=lambda: {conventional(f'{name}_size') or 64}" for key in usage.sizes)
        return f"{_NAMESPACE}({', '.join(words)})"
    if conventional(name) is not None:
        return None
    return "None" if usage.optional else "''" if PLACE.search(name) else None
