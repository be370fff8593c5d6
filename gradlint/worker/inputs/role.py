"""One argument of a model's `forward`, and what the layers behind it take."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torch import nn

from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.layers import asks, main_spec, spec_of
from gradlint.worker.inputs.specs import Normal, Spec

_OF_SEQUENCES = re.compile(r"(attention|attn|(key_)?padding|pair|seq\w*)_mask|pairs|pair_repr\w*")
"""Arguments that only stand beside sequences, because they tell of their places."""


@dataclass(frozen=True, slots=True)
class Role:
    """One argument: the model, its `forward`, and the argument's name and position."""

    facts: Facts
    forward: Forward
    name: str
    index: int

    @property
    def lower(self) -> str:
        """The name in lower case, without underscores around it."""
        return self.name.lower().strip("_")

    def consumer(self) -> nn.Module | None:
        """The submodule that `forward` calls on this argument first, if its text shows one."""
        for path in self.forward.consumers(self.name):
            module = submodule(self.facts.model, path)
            if module is not None:
                return module
        return None

    def inward(self) -> Role:
        """The role of this argument where it is taken apart, if it is the only one handed on."""
        consumer = self.consumer()
        while isinstance(consumer, nn.Sequential) and len(consumer):
            consumer = consumer[0]
        if consumer is None or type(consumer).__module__.startswith("torch.nn."):
            return self
        forward = Forward.of(consumer)
        if len(forward.required) != 1:
            return self
        return Role(Facts(consumer), forward, forward.required[0], 0).inward()

    def main(self) -> Spec:
        """What the layer takes that this argument meets first, as far as that is known."""
        consumer = self.consumer()
        given = self.facts.given
        known = spec_of(Facts(consumer, given)) if consumer is not None else None
        unknown = known is None
        known = known or self._unconsumed()
        beside = any(map(_OF_SEQUENCES.fullmatch, self.forward.required))
        sequence = self.lower == "hidden_states" or beside or asks(self.facts, consumer)
        if isinstance(known, Normal) and len(known.shape) == 2 and sequence:
            return Normal(("batch", "time", known.shape[-1]))
        if unknown and isinstance(known, Normal) and self.forward.lifts(self.name):
            return Normal(("batch",))  # because what has a last dimension is given no other
        return known

    def _unconsumed(self) -> Spec:
        """What the first layer takes that no other argument meets."""
        others = [name for name in self.forward.required if name != self.name]
        taken = [Role(self.facts, self.forward, name, 1).consumer() for name in others]
        inside = {id(part) for module in taken if module is not None for part in module.modules()}
        return main_spec(self.facts, inside)


def submodule(model: nn.Module, path: str) -> nn.Module | None:
    """The submodule at `encoder.layers[0]`, or None."""
    current: object = model
    for part in re.findall(r"\w+", path):
        if part.isdigit() and isinstance(current, (nn.ModuleList, nn.Sequential)):
            current = current[int(part)] if int(part) < len(current) else None
        else:
            current = getattr(current, part, None)
    return current if isinstance(current, nn.Module) else None
