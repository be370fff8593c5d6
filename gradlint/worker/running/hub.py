"""Models of Hugging Face whose weights are not on this machine: built from their configuration."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator

from torch import nn

_AUTO = ("transformers.models.auto.auto_factory", "_BaseAutoModelClass")
_AUTO_CONFIGURATION = ("transformers.models.auto.configuration_auto", "AutoConfig")
_MODEL = ("transformers.modeling_utils", "PreTrainedModel")
_CONFIGURATION = ("transformers.configuration_utils", "PretrainedConfig")

_UNTOLD = "Unrecognized model in"
"""What is said where a configuration that was not fetched says nothing of its architecture."""

Loader = Callable[..., object]


@contextlib.contextmanager
def from_configurations(mark: Callable[[nn.Module], None]) -> Iterator[None]:
    """Within it `from_pretrained` builds what it cannot find with weights of its own, and marks it.

    The configuration is the one that is given, or the default of the architecture that the class or
    the name of the weights says, with the options of the call.
    """

    def model(kind: type, name: object, *args: object, **options: object) -> object:
        made = kind(_given(options) or _options(kind.config_class(), options), *args)  # type: ignore[attr-defined]
        mark(made)
        return made

    def automatic(kind: type, name: object, *args: object, **options: object) -> object:
        made = kind.from_config(_given(options) or _options(_named(name), options))  # type: ignore[attr-defined]
        mark(made)
        return made

    def configuration(kind: type, name: object, **options: object) -> object:
        return _options(kind(), options)

    def automatic_configuration(kind: type, name: object, **options: object) -> object:
        return _options(_named(name), options)

    under_way: list[type] = []
    with contextlib.ExitStack() as stack:
        for place, loader in (
            (_AUTO, automatic),
            (_AUTO_CONFIGURATION, automatic_configuration),
            (_MODEL, model),
            (_CONFIGURATION, configuration),
        ):
            for owner in _owners(*place):
                stack.enter_context(_failing_over(owner, loader, under_way))
        yield


def _owners(module: str, name: str) -> Iterator[type]:
    """The class if it was imported, and the classes below it that overwrite `from_pretrained`."""
    waiting = [getattr(sys.modules.get(module), name, None)]
    while waiting:
        owner = waiting.pop()
        if isinstance(owner, type):
            waiting += owner.__subclasses__()
            if isinstance(vars(owner).get("from_pretrained"), classmethod):
                yield owner


@contextlib.contextmanager
def _failing_over(owner: type, loader: Loader, under_way: list[type]) -> Iterator[None]:
    """`from_pretrained` of `owner`, with `loader` for what it does not find.

    One that another calls fails as it would: the outermost knows what is to be made.
    """
    before: classmethod[object, ..., object] = vars(owner)["from_pretrained"]

    def from_pretrained(kind: type, /, *args: object, **options: object) -> object:
        under_way.append(kind)
        try:
            return before.__get__(None, kind)(*args, **options)
        except (OSError, ValueError) as error:
            absent = isinstance(error, OSError) or _UNTOLD in str(error)
            if len(under_way) > 1 or not absent:
                raise
            return loader(kind, *args, **options)
        finally:
            under_way.pop()

    setattr(owner, "from_pretrained", classmethod(from_pretrained))  # noqa: B010
    try:
        yield
    finally:
        setattr(owner, "from_pretrained", before)  # noqa: B010


def _named(name: object) -> object:
    """The default configuration of the architecture in a name such as `bert-base-uncased`.

    Raises:
        OSError: none of the architectures that transformers knows is in it.
    """
    kinds = sys.modules[_AUTO_CONFIGURATION[0]].CONFIG_MAPPING
    words = _plain(str(name))
    found = [kind for kind in kinds if _plain(kind) in words]
    if not found:
        raise OSError(f"{name!r} is not on this machine, and its name tells no architecture")
    return kinds[max(found, key=len)]()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _given(options: dict[str, object]) -> object:
    """The configuration among the options of a call, which then has it no more, or None."""
    configuration = options.pop("config", None)
    return configuration if hasattr(configuration, "model_type") else None


def _options(configuration: object, options: dict[str, object]) -> object:
    for name, value in options.items():
        if hasattr(configuration, name):
            setattr(configuration, name, value)
    return configuration
