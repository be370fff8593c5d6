"""Objects of the configuration classes that models are constructed with."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from gradlint.discovery.construction.annotations import by_type, last_resort, plain
from gradlint.discovery.construction.parameters import Parameter, without_defaults
from gradlint.discovery.knowledge.frameworks import Base, base_kind
from gradlint.discovery.knowledge.names import conventional
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.outline import Scope

CONFIGURATION = re.compile(
    r"(\w*_)?(config|cfg|conf|configs|configuration|args|opt|opts|hparams|hps|params)"
)
"""What a parameter that takes a configuration is called."""
_ALIKE = 3
"""Letters that a model and its configuration begin with in common: `GPT`, `Bert`."""


@dataclass(frozen=True, slots=True)
class Configurations:
    """Those that the class `name` takes; `visible` if its constructor stands in this file.

    Only there are the annotations of the constructor in scope.
    """

    reading: Reading
    name: str
    visible: bool

    def of(self, parameter: Parameter) -> str | None:
        """An object of the annotated configuration class, or of the only one in the file."""
        annotation = plain(parameter.annotation)
        if annotation is not None and self.visible:
            written = ast.unparse(annotation)
            if re.search(r"(Config|Cfg|Args|Params|HParams|Settings|Options)\w*$", written):
                return self._instance(written)
            return self._instance(written) if self._is_plain_class(written) else None
        if annotation is None and CONFIGURATION.fullmatch(parameter.name):
            return self._unannotated_configuration()
        return None

    def _unannotated_configuration(self) -> str | None:
        """An object of the only configuration class here, or of the imported one named alike."""
        classes = [name for name in self.reading.module.classes if self._is_plain_class(name)]
        named = [name for name in classes if re.search(r"(Config|Cfg|Args|Params)$", name)]
        if len(named) == 1:
            return self._instance(named[0])
        imported = [name for name in self.reading.imports.names if name.endswith("Config")]
        alike = [(_in_common(name, self.name), name) for name in imported]
        length, best = max(alike, default=(0, ""))
        return f"{best}()" if length >= _ALIKE else None

    def _is_plain_class(self, written: str) -> bool:
        if written not in self.reading.module.classes or written in self.reading.model_classes:
            return False
        lineage = self.reading.lineages[written]
        return all(base_kind(opaque) is Base.OTHER for opaque in lineage.opaque)

    def _instance(self, written: str) -> str | None:
        """A construction of a configuration class; its required fields get usual values."""
        scope = next((s for s in self.reading.outline.classes if s.name == written), None)
        if scope is None:
            return f"{written}()"
        words = []
        for field in _required_fields(scope, self.reading.lineages[written].constructor is None):
            value = by_type(plain(field.annotation)) or conventional(field.name)
            value = value or last_resort(plain(field.annotation))
            if value is None:
                return None
            words.append(f"{field.name}={value}")
        return f"{written}({', '.join(words)})"


def _in_common(first: str, second: str) -> int:
    """How many letters two names begin with in common."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((at for at, (one, other) in pairs if one != other), min(len(first), len(second)))


def _required_fields(scope: Scope, is_data: bool) -> list[Parameter]:
    """The constructor's required parameters, or a dataclass's annotated fields without a value."""
    init = scope.method("__init__")
    if init is not None and init.function is not None:
        return without_defaults(init.function.args)
    if not is_data or not isinstance(scope.node, ast.ClassDef):
        return []
    fields = [item for item in scope.node.body if isinstance(item, ast.AnnAssign)]
    return [
        Parameter(item.target.id, item.annotation)
        for item in fields
        if item.value is None and isinstance(item.target, ast.Name)
    ]
