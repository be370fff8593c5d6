"""What discovery reads from one source file, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gradlint.protocol.span import Span
from gradlint.protocol.training import Objective, Training
from gradlint.protocol.wire import Candidate, Whole


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """A model that can be built: a class, or an expression such as `nn.Sequential(...)`.

    `span` is the header of the class (decorators left out) or the expression; `last_line` its end.
    `builds` names the classes of the same file that it constructs. `candidates` are the ways to
    build it, best first. `root` is true where no other model of the file constructs it. `wholes`
    are models that may hold it, as far as they were looked for.
    """

    name: str
    span: Span
    last_line: int
    root: bool
    builds: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    wholes: tuple[Whole, ...] = ()


class StepKind(str, Enum):
    """The steps of a training loop that decide what happens to gradients."""

    ZERO_GRAD = "zero_grad"
    FORWARD = "forward"
    LOSS = "loss"
    BACKWARD = "backward"
    CLIP = "clip"
    UNSCALE = "unscale"
    STEP = "step"


@dataclass(frozen=True, slots=True)
class LoopStep:
    """One step, in source order; `call` is the callee as written, such as `loss.backward`."""

    kind: StepKind
    call: str
    span: Span


@dataclass(frozen=True, slots=True)
class TrainingLoop:
    """A place that trains: an explicit loop, or a method that a framework calls in one.

    `model` is the name of the ModelDefinition it trains, "" where that is not in sight. `framework`
    is "" for an explicit loop, else `lightning`, `accelerate`, `transformers`, … `clips` is true
    where the gradient is clipped in sight, by call, by configuration or by the framework's default.
    `batch_size` counts the samples that its loader puts into a batch, 0 where that is not in sight.
    `half` is true where it computes in float16; `scales` where a scaler keeps its gradients large.
    `warms_up` is true where the file shows a learning rate that may start low.
    """

    span: Span
    last_line: int
    model: str
    training: Training
    optimizer_span: Span | None
    steps: tuple[LoopStep, ...]
    framework: str
    clips: bool
    half: bool = False
    scales: bool = False
    batch_size: int = 0
    warms_up: bool = False

    def step(self, kind: StepKind) -> LoopStep | None:
        """The first step of this kind, if there is one."""
        return next((step for step in self.steps if step.kind is kind), None)


@dataclass(frozen=True, slots=True)
class LossCall:
    """A call of one of torch's losses on the output of a model.

    `model` is the name of the ModelDefinition, "" where that is not in sight; `applied` are the
    places of the objective's operations; `target` is the interval that the target's elements lie
    in, where the source shows how they are made.
    """

    objective: Objective
    span: Span
    model: str
    applied: tuple[Span, ...] = ()
    target: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Suppression:
    """A comment `# gradlint: ignore[rule, …] reason`; it covers the lines first to last.

    No rules means every rule.
    """

    span: Span
    rules: tuple[str, ...]
    reason: str
    first_line: int
    last_line: int

    def covers(self, rule: str, line: int) -> bool:
        """Whether a finding of `rule` at `line` is suppressed."""
        return self.first_line <= line <= self.last_line and (not self.rules or rule in self.rules)


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that is missing, not text, or not Python: a located reason."""

    span: Span
    reason: str


@dataclass(frozen=True, slots=True)
class Program:
    """One source file as read: models, training loops, suppressions, and its text by lines.

    `code` is what to run instead of what the file holds, None where that is the same. `cells` are
    the indices of the lines at which the cells of a notebook begin, None for any other file. `read`
    are other files of the project that decided what was read here, `absent` those looked for in
    vain.
    """

    path: str
    lines: tuple[str, ...]
    models: tuple[ModelDefinition, ...] = ()
    loops: tuple[TrainingLoop, ...] = ()
    suppressions: tuple[Suppression, ...] = ()
    code: str | None = None
    cells: tuple[int, ...] | None = None
    read: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    losses: tuple[LossCall, ...] = ()
