"""A task that any sound classifier learns: a fixed pattern for each class, under noise."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from gradlint.worker.probing.run import Run
from gradlint.worker.running.failure import UnmeasurableError

_CLASSES = 10
_WORDS = 128  # because each has to be seen some hundred times
_CELLS = 4  # a side: patches in which noise cancels, so that averages over places keep the class
_COMMON = 0.5  # of what all samples share; of handwritten digits, made normal as a whole, .48


class Lesson:
    """Fresh samples for a model that takes one tensor, and what its answers leave unlearnt.

    Numbers carry the pattern of their class under noise of the same size, beside a pattern that is
    common to all, as samples of real data have much in common; with the mean and the deviation of
    the model's own inputs. Where every token has an answer, the token tells the class, and
    neighbours are often of one; otherwise half of the tokens of a sample tell it. With `steps`,
    which is the length of a sequence, only its first step tells the class and the last answer
    counts.

    Raises:
        UnmeasurableError: the model takes several tensors, or does not answer with logits for each
            sample or for each of its places.
    """

    def __init__(self, run: Run, *, batch: int = 0, steps: int = 0) -> None:
        example = _single(run.forward.inputs.values(), "takes")
        answer = _single(run.forward.outputs, "gives")
        self._recall = bool(steps)
        self._time_first = self._recall and example.shape[1:2] != (steps,)
        if self._time_first:
            example = example.transpose(0, 1)
        self._places = 1 if self._recall else _places(example, answer)
        self._shape = (batch or example.shape[0], *example.shape[1:])
        self._random = torch.Generator().manual_seed(run.seed)
        self._words = _words(example)
        self._mean, self._deviation = _scale(example)
        self.classes = min(_CLASSES, answer.shape[-1], len(self._words) or _CLASSES)
        if self.classes < 2:
            raise UnmeasurableError("there is nothing to tell apart")
        self._patterns = self._drawn_patterns(self.classes)
        self._common = self._drawn_patterns(1)
        self._labels = torch.zeros(0)
        self.wrong = 1.0
        """The share of the last answers that were wrong."""

    def draw(self) -> torch.Tensor:
        """A fresh batch, shaped as the model's own inputs but for the number of samples."""
        lead = self._shape[: self._places]
        self._labels = self._lasting(torch.randint(self.classes, lead, generator=self._random))
        samples = self._tokens() if len(self._words) else self._numbers()
        return samples.transpose(0, 1) if self._time_first else samples

    def loss(self, output: torch.Tensor) -> torch.Tensor:
        """The cross entropy of the answers to the last batch.

        Raises:
            UnmeasurableError: there is not one answer for each label.
        """
        if self._recall and output.ndim == 3:
            output = output[-1] if self._time_first else output[:, -1]
        logits, labels = output.reshape(-1, output.shape[-1]), self._labels.reshape(-1)
        if len(logits) != len(labels):
            raise UnmeasurableError(f"{len(labels)} samples have {len(logits)} answers")
        self.wrong = float((logits.detach().argmax(1) != labels).float().mean())
        return nn.functional.cross_entropy(logits, labels)

    def _lasting(self, labels: torch.Tensor) -> torch.Tensor:
        """Labels of which every second one in a sequence is that of the place before."""
        if labels.ndim < 2:
            return labels
        new = torch.rand(labels.shape, generator=self._random) < 0.5
        since = torch.where(new, torch.arange(labels.shape[-1]), 0).cummax(-1).values
        return labels.gather(-1, since)

    def _numbers(self) -> torch.Tensor:
        samples = torch.randn(self._shape, generator=self._random)
        patterns = self._patterns[self._labels]
        if self._recall:
            samples[:, 0] = patterns[:, 0]
        else:
            samples = (samples + patterns) / math.sqrt(2)
            samples = math.sqrt(_COMMON) * self._common + math.sqrt(1 - _COMMON) * samples
        return self._mean + self._deviation * samples

    def _drawn_patterns(self, count: int) -> torch.Tensor:
        """Noise of the shape of one place's numbers, coarse where there are several axes."""
        sizes = self._shape[self._places :]
        cells = [min(size, _CELLS) if len(sizes) > 1 else size for size in sizes]
        patterns = torch.randn(count, *cells, generator=self._random)
        for axis, (size, parts) in enumerate(zip(sizes, cells, strict=True), 1):
            patterns = patterns.index_select(axis, torch.arange(size) * parts // size)
        return patterns

    def _tokens(self) -> torch.Tensor:
        """Tokens of which every so manieth belongs to one class."""
        count = len(self._words) - len(self._words) % self.classes
        drawn = torch.randint(count, self._shape, generator=self._random)
        lead = (*self._labels.shape, *[1] * (drawn.ndim - self._places))
        telling = drawn - drawn % self.classes + self._labels.reshape(lead)
        if self._recall:
            drawn[:, 0] = telling[:, 0]
        elif self._places < drawn.ndim:
            half = torch.rand(self._shape, generator=self._random) < 0.5
            drawn = torch.where(half, telling, drawn)
        else:
            drawn = telling
        return self._words[drawn]


def _single(tensors: Iterable[torch.Tensor], does: str) -> torch.Tensor:
    found = list(tensors)
    if len(found) != 1:
        raise UnmeasurableError(f"the model {does} {len(found)} tensors, only one can be taught")
    return found[0].detach()


def _places(example: torch.Tensor, answer: torch.Tensor) -> int:
    """How many of the first axes of the inputs have an answer for each of their places.

    Raises:
        UnmeasurableError: the answers are of another shape.
    """
    lead = answer.shape[:-1]
    if lead and lead == example.shape[: len(lead)]:
        return len(lead)
    if len(lead) == 1 and lead[0] == math.prod(example.shape[:2]):
        return 2
    raise UnmeasurableError(
        f"answers of shape {tuple(answer.shape)} belong to no places of {tuple(example.shape)}"
    )


def _words(example: torch.Tensor) -> torch.Tensor:
    """The tokens that inputs are made of, none where they are numbers."""
    if example.is_floating_point():
        return torch.zeros(0, dtype=torch.long)
    words: torch.Tensor = torch.unique(example)
    return words[:_WORDS]


def _scale(example: torch.Tensor) -> tuple[float, float]:
    if not example.is_floating_point():
        return 0.0, 1.0
    deviation = float(example.std())
    return float(example.mean()), deviation if deviation > 0 else 1.0
