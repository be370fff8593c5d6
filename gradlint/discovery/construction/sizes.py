"""Sizes by their names: how wide and how deep, of which images, for how many stages."""

from __future__ import annotations

import ast
import re
from functools import lru_cache

from gradlint.discovery.construction.annotations import (
    USUAL_LENGTH,
    is_sequence,
    of_flags,
    shaped,
)
from gradlint.discovery.construction.parameters import Parameter, all_parameters
from gradlint.discovery.construction.usage import Usage
from gradlint.discovery.knowledge.names import DIMENSIONS, conventional
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.docstrings import said_of
from gradlint.discovery.text.outline import Scope

_COLOURS = "3"
_FEW = "2"
"""How many layers or blocks there usually are."""
_IMAGE = "(3, 32, 32)"
_SIDE = 32
_CHANNELS = re.compile(r"(in|input|img|image)_?(channels?|chans?|chns?|nc)")
_PLACES = re.compile(r"(\w+_)?(levels|indices|indexes|idxs|idx)")
"""What is called like the numbers of some of several stages, each of which is another."""
_KERNEL = re.compile(r"kernel|k_?size|filter")
_INNER = re.compile(
    "Norm|Block|Bottleneck|Layer|Attention|Attn|Unit|Cell|Residual|Head|Decoder|Fusion|Neck"
    "|Transition|(Up|Down)_?[Ss]ampl"
)
"""Classes of this name take what other layers made, whose channels are no colours."""
_WHOLE = re.compile(r"(?!.*(Head|Decoder|Fusion|Neck|Sub)).*[Nn]et\d*|\w*Patch\w*Embed\w*")
"""Classes of this name take images, even if they are called after what is special about them."""
_OF_FEATURES = frozenset(
    "in_features hidden_features input_size hidden_size embedding_dim embed_dim d_model".split()
)
"""What layers that see no images call their sizes, none of which is a number of colours."""
_SIDES = re.compile(
    r"(\w+_)?(image|img|window|patch|crop|roi|spatial|shift|grid|decode)_?(size|shape|resolution)"
    r"|(input_)?resolution"
)
"""What is called like the sides of an image or of a part of it."""
_DEPTH = re.compile(r"depths?|(n|num)?_?(\w+_)?(layers?|blocks?|stages?|cells?|stacks?)")
_REMARKS = re.compile(r"\"\"\".*?\"\"\"|'''.*?'''|#[^\n]*", re.DOTALL)
_OF_VOLUMES = re.compile(r"3[dD](?![a-z])|[Tt]rilinear")
_OF_IMAGES = re.compile(r"2[dD](?![a-z])|[Bb]ilinear")


class Sizes:
    """The sizes that one class is given, where their names and its own say what they are."""

    def __init__(self, reading: Reading, name: str, scope: Scope | None) -> None:
        """For the class `name`, whose constructor stands in `scope`, None for another file."""
        self.reading = reading
        self.name = name
        self.scope = scope

    def depth(self, parameter: Parameter, usage: Usage) -> str | None:
        """How many layers the model has, where the project or the constructor's arithmetic says so.

        Because that decides its gradients, whereas a width may be any.
        """
        if not (usage.counted or _DEPTH.fullmatch(parameter.name.lower())):
            return None
        told = self.reading.project.value(parameter.name) or ""
        lists = not usage.counted and (conventional(parameter.name) or "").startswith("[")
        if re.fullmatch(r"\[[\d, ]+\]" if lists else r"[1-9]\d*", told):
            return told
        return str(usage.parted) if usage.parted else None

    def by_name(
        self, parameter: Parameter, usage: Usage, annotation: ast.expr | None
    ) -> str | None:
        """The value that is usual for a name, or for the layers that take what is called so."""
        by_role = next((value for role in usage.roles if (value := conventional(role))), None)
        # Because a single letter says less than where it goes: `H` is a height or a hidden size.
        usual = by_role if len(parameter.name) == 1 and by_role else conventional(parameter.name)
        if usual is None and usage.counted:
            usual = "2"
        if usual == _FEW and by_role and not usage.counted:
            usual = by_role  # because a `depth` may be one of features, too
        usual = usual or by_role
        if usual is None and usage.divides:
            usual = conventional("reduction")  # because of what it leaves, one unit is too few
        if usual and usual.startswith("'") and by_role:
            usual = by_role
        channels = usual == _COLOURS and not _KERNEL.search(parameter.name)
        # because the channels of several layers are no colours
        features = is_sequence(annotation) or not _OF_FEATURES.isdisjoint(usage.roles)
        if channels and (features or self._is_inner() or self._takes_graph()):
            usual = "64"
        usual = self._in_particular(parameter, annotation, usual) or usual
        return shaped(usual, usage, annotation, self._length(parameter)) if usual else None

    def _in_particular(
        self, parameter: Parameter, annotation: ast.expr | None, usual: str | None
    ) -> str | None:
        """What is usual for a shape without channels, or for lists of what the name means one."""
        if DIMENSIONS.fullmatch(parameter.name.lower()):
            return str(self._dimensions())
        if usual == _IMAGE and self._is_of_sides(parameter):
            return str((_SIDE,) * self._dimensions())
        if not is_sequence(annotation):
            return None
        if of_flags(annotation):
            return "False"
        if _PLACES.fullmatch(parameter.name):
            return str(list(range(self._length(parameter))))
        # because its sides are of a part of an image
        return conventional("window") if parameter.name == "window_size" else None

    def _length(self, parameter: Parameter) -> int:
        """How many values a list has: one for each side of an image, or for each stage.

        There are as many stages as the other lists of numbers have values by default.
        """
        if _SIDES.fullmatch(parameter.name):
            return self._dimensions()
        for item in all_parameters(self.reading, self.name):
            each = _SIDES.fullmatch(item.name) or _KERNEL.search(item.name)
            match item.default:
                case ast.Tuple(elts=values) | ast.List(elts=values) if not each:
                    if len(values) > 1 and all(map(_is_whole, values)):
                        return len(values)
        return USUAL_LENGTH

    def _is_of_sides(self, parameter: Parameter) -> bool:
        """Whether the shape of an image is that of its sides, because its channels stand apart."""
        others = (item.name for item in all_parameters(self.reading, self.name))
        said = said_of(self.scope, parameter.name) if self.scope is not None else ""
        return "spatial" in said or any(map(_CHANNELS.fullmatch, others))

    def _dimensions(self) -> int:
        """How many dimensions the images have, by the parameter that says it or by the file."""
        for item in all_parameters(self.reading, self.name):
            match item.default:
                case ast.Constant(value=int(count)) if DIMENSIONS.fullmatch(item.name):
                    return count
        return 3 if _is_of_volumes(self.reading.source.text) else 2

    def _is_inner(self) -> bool:
        """Whether the class, by its name, takes what other layers made."""
        return bool(_INNER.search(self.name)) and not _WHOLE.fullmatch(self.name)

    def _takes_graph(self) -> bool:
        """Whether the class runs on the edges of a graph, whose nodes have features, no colours."""
        forward = self.scope.method("forward") if self.scope else None
        arguments = forward.function.args.args if forward and forward.function else []
        names = [item.arg for item in arguments]
        # because what adds up the nodes of each graph is told where these begin
        return "ptr" in names or any("edge" in name or "adj" in name for name in names)


@lru_cache(maxsize=64)
def _is_of_volumes(text: str) -> bool:
    """Whether the code of a file speaks of three dimensions, and never of two."""
    code = _REMARKS.sub("", text)
    return bool(_OF_VOLUMES.search(code)) and not _OF_IMAGES.search(code)


def _is_whole(value: ast.expr) -> bool:
    """Whether an expression is a whole number or a flag."""
    return isinstance(value, ast.Constant) and isinstance(value.value, int)
