"""The messages between parent and worker, and their form as JSON."""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass
from enum import Enum

from gradlint.protocol.claim import Claim
from gradlint.protocol.nodes import Edge, Input, Layer, Loss, Parameter, Stop, Stray
from gradlint.protocol.plain import plain, typed
from gradlint.protocol.remedy import Remedy
from gradlint.protocol.span import Span
from gradlint.protocol.training import Training


class BuiltFrom(str, Enum):
    """Where the arguments that built a model came from, in the order in which sources are tried."""

    COMMAND_LINE = "command-line"
    CONFIGURATION = "configuration"
    GET_INPUTS = "get-inputs"
    EXAMPLE_INPUT = "example-input"
    USE_IN_FILE = "use-in-file"
    FACTORY = "factory"
    USE_IN_PROJECT = "use-in-project"
    DEFAULTS = "defaults"
    NAMES = "names"
    CALLER = "caller"


MADE = "_made"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to build a model: expressions evaluated in the namespace of the user's module.

    `bindings` are evaluated first, in order, each seeing those before it; one that fails is
    skipped. `inputs` is None where the worker is to search for inputs, otherwise one text for each
    argument of `forward`: `expression`, `name=expression` for a keyword, `*expression` to spread a
    sequence and `**expression` to spread a mapping, as in a call. Inside `inputs` the name `self`
    is the built model. `method` is the one that runs it where that is not `forward`. `then` are
    statements that are run on the finished model, which they call `MADE`: its initialisation.
    """

    built_from: BuiltFrom
    constructor: str
    inputs: tuple[str, ...] | None = None
    bindings: tuple[tuple[str, str], ...] = ()
    method: str = "forward"
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Whole:
    """A model of the project that may hold the wanted one as its part.

    `module` is the dotted name of its file, "" for the file that is linted.
    """

    module: str
    name: str
    candidates: tuple[Candidate, ...]


# Requests, parent to worker.


@dataclass(frozen=True, slots=True)
class OpenFile:
    """Begin a file: fork, import it as `module` (dotted name, or "" for a plain file).

    `text` is run in place of what stands in the file, None where that is meant.
    """

    path: str
    shown: str
    root: str
    module: str
    import_paths: tuple[str, ...]
    memory_mb: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class TraceModel:
    """Build the model `name` from the first candidate that works and trace one forward pass.

    Where there are `wholes`, it is built and fed as it is inside of the first that holds it.
    `seconds` are those that the answer may take, 0 for no limit.
    """

    name: str
    candidates: tuple[Candidate, ...]
    seed: int
    sequence_length: int = 0
    wholes: tuple[Whole, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ProbeModel:
    """Measure `claims` on the model traced last, for each seed, plain and under each remedy.

    `trunk` are the nodes whose gradient is wanted in any case. `training` is for training probes.
    `pictured` are the nodes that a picture of the model shows, plain and under each remedy.
    """

    claims: tuple[Claim, ...]
    remedies: tuple[Remedy, ...]
    trunk: tuple[str, ...]
    seeds: tuple[int, ...]
    training: Training
    pictured: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CloseFile:
    """End the file: the forked process exits."""


Request = OpenFile | TraceModel | ProbeModel | CloseFile

# Replies, worker to parent.


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker has imported torch; once for a run."""

    torch: str
    python: str


@dataclass(frozen=True, slots=True)
class Opened:
    """The forked process that serves the file has begun (`pid`), before any user code ran."""

    pid: int


@dataclass(frozen=True, slots=True)
class Imported:
    """The user's file was imported; `skipped` are the top-level statements that were not run.

    `missing` names the packages it imports that are not installed: what uses them will fail.
    """

    skipped: tuple[Span, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Traced:
    """A model was built and traced; `parameters` counts elements; inputs read `float32[8,3,32,32]`.

    `classes` are the classes of the linted file that the model is made of, by qualified name.
    `searched` says that the inputs were found by search, so that their sizes are not the user's.
    `measurable` is false for a model too large for this machine: it was traced on tensors without
    values, so that it can only be judged by prediction. `method` is the one that ran it. `assumed`
    are sizes of the file that depend on what is not there, as `n_features = 64`. `building` are the
    seconds, of all `seconds`, until a model with inputs was found.
    """

    built_from: BuiltFrom
    constructor: str
    inputs: tuple[str, ...]
    parameters: int
    nodes: tuple[Input | Parameter | Layer | Stop | Stray | Loss, ...]
    edges: tuple[Edge, ...]
    seconds: float
    classes: tuple[str, ...] = ()
    measurable: bool = True
    searched: bool = False
    method: str = "forward"
    assumed: tuple[str, ...] = ()
    building: float = 0.0


@dataclass(frozen=True, slots=True)
class Measurement:
    """The value of one claim for one seed; `remedy` is an index into the request, -1 for none.

    `reason` says why there is no value (which is then NaN).
    """

    claim: int
    remedy: int
    seed: int
    value: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TrunkGradient:
    """log10 of the gradient norm at a trunk node over that at the root, for each seed."""

    node: str
    decades: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """What the first seed shows at every pictured node, in their order; NaN where nothing does.

    `decades` are those of the gradient, `activations` log10 of the root mean square of the output.
    `remedy` is an index into the request, -1 for none.
    """

    remedy: int
    decades: tuple[float, ...]
    activations: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Probed:
    """What was measured; `repeatable` is false when a seed gave another number the second time."""

    measurements: tuple[Measurement, ...]
    trunk: tuple[TrunkGradient, ...]
    repeatable: bool
    seconds: float
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class UserFailure:
    """The user's code raised: at which stage, what, and where in the linted file.

    `stage` is import, build, inputs, forward, backward or training. `out_of_memory` says that it
    would have run with more memory. `constructor` and `inputs` are those that came furthest, as far
    as any were tried.
    """

    stage: str
    error: str
    message: str
    span: Span | None
    out_of_memory: bool = False
    constructor: str = ""
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Closed:
    """The file is done with: what decided the answers, beside the file and what is installed.

    `read` are the files of the project that were read, `absent` those that were looked for in vain.
    `settled` is false where a slower or faster machine may answer otherwise.
    """

    read: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Ended:
    """The process that served the file is gone; `status` is negative where a signal ended it."""

    status: int


Reply = Ready | Opened | Imported | Traced | Probed | UserFailure | Closed | Ended

_TYPES: dict[str, type] = {}


def encode(message: Request | Reply) -> bytes:
    """One line of JSON; numbers that are not finite travel as strings."""
    return json.dumps(plain(message), allow_nan=False, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Request | Reply:
    """The inverse of `encode`.

    Raises:
        ValueError: the line is no message.
    """
    try:
        data = json.loads(line)
        kind = _messages()[data["type"]]
        return typing.cast("Request | Reply", typed(kind, data))
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
        raise ValueError(f"not a message: {line[:80]!r} ({error})") from error


def _messages() -> dict[str, type]:
    if not _TYPES:
        _TYPES.update({kind.__name__: kind for kind in typing.get_args(Request | Reply)})
    return _TYPES
