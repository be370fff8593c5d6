"""Which calls are steps of a training loop."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property

from gradlint.discovery.knowledge.frameworks import Base, base_kind, is_known
from gradlint.discovery.knowledge.optimizers import is_optimizer
from gradlint.discovery.project.reading import Reading
from gradlint.discovery.text.bindings import Placed
from gradlint.discovery.text.outline import Called, Scope
from gradlint.program import LoopStep, StepKind

_CLIP = re.compile(
    r"_*(clip_?(grad|gradient|norm|value|master)\w*|\w*grad(ient)?s?_?clip\w*|dispatch_clip_grad"
    r"|adaptive_clip\w*)_*"
)
_NOT_AN_OPTIMIZER = re.compile(
    r"sched|lr_|env|prof|ema|progress|pbar|bar|logger|writer|world|game|tracker|timer|annealer"
    r"|warmup"
)
_OPTIMIZER = re.compile(r"opt|adam|sgd|closure|scaler|engine|solver")
_LOSS = re.compile(
    r"criteri\w+|crit|(?!scale_)\w*loss(es)?(_?(fn|func|function|f|module|layer))?\d*|\w*cross_entropy\w*|\w*objective\w*|bce|mse|nll|elbo"
)
_MODEL = re.compile(
    r"(\w*_)?(model|net|network|generator|discriminator|encoder|decoder|policy|actor|critic|gen"
    r"|disc|unet|transformer|rnn|lstm|gru|gpt|vae|autoencoder|classifier|backbone|ddp|mlp|cnn)"
    r"(\w?|\d+|_(\w|\d+|ddp|engine|parallel|module|teacher|student|ema|real|fake|online))"
    r"|net[GD]|[GD]|module",
    re.IGNORECASE,
)
_LOSS_SCALER = re.compile(r"(\w*_)?loss_scaler|\w*NativeScaler")


@dataclass(frozen=True, eq=False)
class Steps:
    """Recognises the steps of training loops in one file."""

    reading: Reading

    def kind(self, called: Called) -> StepKind | None:
        """What a call does in a training loop, None for anything else."""
        callee = called.node.func
        last = callee.attr if isinstance(callee, ast.Attribute) else _name(callee)
        by_name = _BY_NAME.get(last)
        if by_name is not None and isinstance(callee, ast.Attribute):
            return by_name
        if is_backward(called):
            return StepKind.BACKWARD
        if _CLIP.fullmatch(last) or _clamps_gradient(callee) or self._is_clipping_helper(called):
            return StepKind.CLIP
        if last == "step" and isinstance(callee, ast.Attribute):
            return StepKind.STEP if self._is_optimizer_step(called, callee.value) else None
        if self._is_loss(called, last):
            return StepKind.LOSS
        return StepKind.FORWARD if self._is_forward(called, last) else None

    def step(self, called: Called) -> LoopStep | None:
        """The call as a step, None where it is none."""
        kind = self.kind(called)
        if kind is None:
            return None
        written = ast.unparse(called.node.func)
        return LoopStep(kind, written, self.reading.source.span(called.node))

    def _is_optimizer_step(self, called: Called, holder: ast.expr) -> bool:
        placed = Placed(holder, called.scope, called.node.lineno)
        for origin in self.reading.tracer.origins(placed):
            if isinstance(origin.expression, ast.Call):
                made = self.reading.imports.qualified(origin.expression.func)
                if is_optimizer(made):
                    return True
                if "lr_scheduler" in made or made.endswith(("LR", "Scheduler")):
                    return False
        words = ast.unparse(holder).lower()
        if _NOT_AN_OPTIMIZER.search(words):
            return False
        if _OPTIMIZER.search(words) or not called.node.args:
            return True
        return any(
            _OPTIMIZER.search(ast.unparse(argument).lower()) for argument in called.node.args
        )

    def _is_loss(self, called: Called, last: str) -> bool:
        callee = called.node.func
        qualified = self.reading.imports.qualified(callee)
        if qualified.startswith("torch.nn."):
            return ".functional." in qualified and bool(_LOSS.fullmatch(last))
        if qualified.startswith("torch.") or last[:1].isupper():
            return False
        if isinstance(callee, (ast.Name, ast.Attribute)) and _LOSS.fullmatch(last):
            return True
        return is_loss_instance(self.reading, Placed(callee, called.scope, called.node.lineno))

    def _is_forward(self, called: Called, last: str) -> bool:
        callee = called.node.func
        if called.node in self._called_instances:
            return True
        match callee:
            case ast.Name(id="self"):
                return True
            case ast.Attribute(value=ast.Name(id="self"), attr="forward"):
                return True
            case ast.Name() | ast.Attribute(value=ast.Name(id="self")):
                named = _MODEL.fullmatch(last) is not None and not self._is_function(last)
                return named and bool(called.node.args)
            case _:
                return False

    def _is_function(self, name: str) -> bool:
        """Whether a name is a function of the file or comes from a library."""
        imported = self.reading.imports.names.get(name, "").split(".", maxsplit=1)[0]
        return name in self.reading.functions or (imported != "" and is_known(imported))

    @cached_property
    def _called_instances(self) -> frozenset[ast.Call]:
        """The calls of instances of the file's own model classes and of torch's."""
        found: set[ast.Call] = set()
        for construction, calls in self.reading.instance_calls.items():
            name = self.reading.imports.qualified(construction.func)
            kind = base_kind(name) if name else Base.UNKNOWN
            own = self.reading.called_class(construction, calls[0].scope)
            if own or (kind.is_module and kind is not Base.LOSS):
                found.update(called.node for called in calls)
        return frozenset(found)

    def _is_clipping_helper(self, called: Called) -> bool:
        """Whether the call runs a function or method of the file that clips."""
        match called.node.func:
            case ast.Name(id=name):
                function = self.reading.functions.get(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name):
                owner = called.scope.class_around
                function = owner.method(name) if owner else None
            case _:
                return False
        return function is not None and function.name in self._clipping

    @cached_property
    def _clipping(self) -> frozenset[str]:
        found = set()
        for called in self.reading.outline.calls:
            callee = called.node.func
            last = callee.attr if isinstance(callee, ast.Attribute) else _name(callee)
            if _CLIP.fullmatch(last) and not any(map(is_backward, called.scope.calls)):
                found.add(called.scope.name)
        return frozenset(found)


_BY_NAME = {
    "zero_grad": StepKind.ZERO_GRAD,
    "unscale_": StepKind.UNSCALE,
    "unscale_gradients": StepKind.UNSCALE,
}


def is_backward(called: Called) -> bool:
    """Whether a call starts a backward pass; in a function named `backward` none does."""
    if any(_is_named_backward(scope) for scope in called.scope.outward):
        return False
    match called.node.func:
        case ast.Attribute(value=ast.Call(func=ast.Name(id="super")), attr="backward"):
            return False
        case ast.Attribute(attr="backward" | "manual_backward"):
            return True
        case ast.Name(id=name) | ast.Attribute(value=ast.Name(id="self"), attr=name):
            return bool(_LOSS_SCALER.fullmatch(name)) and len(called.node.args) >= 2
        case _:
            return False


def is_loss_instance(reading: Reading, callee: Placed) -> bool:
    """Whether a callee is an instance of a loss class."""
    return loss_class(reading, callee) != ""


def loss_class(reading: Reading, callee: Placed) -> str:
    """The class in `torch.nn` of a loss instance, "" if the callee is none."""
    for origin in reading.tracer.origins(callee):
        if isinstance(origin.expression, ast.Call):
            made = reading.imports.qualified(origin.expression.func)
            if made.startswith("torch.nn.") and made.endswith("Loss"):
                return made.rpartition(".")[2]
    return ""


def _is_named_backward(scope: Scope) -> bool:
    return scope.function is not None and scope.function.name == "backward"


def _clamps_gradient(callee: ast.expr) -> bool:
    """`p.grad.data.clamp_(…)` and the like."""
    if not isinstance(callee, ast.Attribute) or callee.attr not in ("clamp_", "clip_", "clamp"):
        return False
    value: ast.expr = callee.value
    while isinstance(value, ast.Attribute):
        if value.attr == "grad":
            return True
        value = value.value
    return False


def _name(callee: ast.expr) -> str:
    return callee.id if isinstance(callee, ast.Name) else ""
