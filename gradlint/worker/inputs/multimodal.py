"""Texts with images or sounds beside them: which arguments these are, and the places they take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import nn

from gradlint.worker.inputs.case import Case, Repair
from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.guesses import Guess, argument_for
from gradlint.worker.inputs.specs import Kinds, Prompt, Whole
from gradlint.worker.running.attempt import sources_of, tried

_FEW = 2  # samples while places are counted
_MOST = 4096  # places in one text, because attention over more is not tried


@dataclass(frozen=True, slots=True)
class Modality:
    """What stands beside a text: the size that counts its places, and the usual names.

    `token` are the names of the placeholder in configurations, `counts` those of how many of them
    an image takes.
    """

    size: str
    argument: re.Pattern[str]
    grid: re.Pattern[str]
    token: re.Pattern[str]
    counts: tuple[str, ...] = ()

    def beside(self, guess: Guess, facts: Facts, forward: Forward) -> Guess | None:
        """The guess with this modality added, and a place for it in its text where one is told."""
        names = [name for name in forward.optional if guess.spec(name) is None]
        name = next((name for name in names if self.argument.fullmatch(name)), None)
        text = next((item for item in guess.arguments if _is_text(item.spec)), None)
        if name is None or text is None:
            return None
        guess = guess.settled().sized(batch=min(_FEW, guess.size["batch"]))
        for needed in (name, *(name for name in names if self.grid.fullmatch(name))):
            argument = argument_for(facts, forward, needed, len(guess.arguments))
            guess = guess.adding(replace(argument, keyword=True))
        token = facts.token(self.token)
        if token is None:
            return guess
        count = facts.number(*self.counts) or 1
        guess = guess.sized(**{self.size: count, "time": guess.size["time"] + count + 1})
        return guess.having(text.name, _with_run(text.spec, token, self.size))


MODALITIES = (
    Modality(
        "images",
        re.compile(r"pixel_values|images?"),
        re.compile(
            r"image_(grid_(thw|hws?)|merge_sizes|position_ids)|(mm_)?token_type_ids"
            r"|spatial_shapes|pixel_attention_mask"
        ),
        re.compile(r"image_token_(id|index)"),
        ("mm_tokens_per_image", "vision_soft_tokens_per_image", "image_seq_length"),
    ),
    Modality(
        "sounds",
        re.compile(r"input_(features|values)"),
        re.compile(r"feature_attention_mask|input_features_mask"),
        re.compile(r"audio_token_(id|index)"),
    ),
)
"""What may stand beside a text, the usual first."""


def _is_text(spec: object) -> bool:
    return isinstance(spec, (Whole, Prompt)) and spec.shape == ("batch", "time")


def _with_run(spec: object, token: int, size: str) -> Prompt:
    assert isinstance(spec, (Whole, Prompt))
    runs = spec.runs if isinstance(spec, Prompt) else ()
    return Prompt(spec.shape, spec.high, (*runs, (token, size)))


_UNMATCHED = re.compile(r"tokens?.*features|features.*tokens?")
_COUNTED = re.compile(r"tokens\D*?\d+\D+?features\D*?(\d+)")


def _places(case: Case) -> Iterator[Guess]:
    """There are more, or fewer, features of images than tokens that stand for them."""
    text = case.failure.text
    prompts = (item.spec for item in case.guess.arguments if isinstance(item.spec, Prompt))
    prompt = next(prompts, None)
    if not _UNMATCHED.search(text) or prompt is None:
        return
    counted = map(int, _COUNTED.findall(text))
    size, batch = case.guess.size, case.guess.size["batch"]
    _, name = prompt.runs[-1]
    for total in dict.fromkeys((*_features(case), *counted)):
        if total and total % batch == 0 and total // batch <= _MOST:
            count = total // batch
            time = size["time"] - size[name] + count
            yield case.guess.sized(**{name: count, "time": time})


def _features(case: Case) -> Iterator[int]:
    """How many vectors of the text's width the failing lines hold of what stands beside it."""
    own = getattr(case.facts.model, "get_input_embeddings", None)
    table = tried(own).value if callable(own) else None
    width = table.embedding_dim if isinstance(table, nn.Embedding) else 0
    texts = {item.name for item in case.guess.arguments if isinstance(item.spec, Prompt)}
    for frame in reversed(case.failure.frames):
        for value in frame.variables.values():
            if isinstance(value, torch.Tensor) and value.dim() > 1 and value.shape[-1] == width:
                known = sources_of(value)
                if known and not known & texts:
                    yield value.numel() // width


_MASKED = re.compile(r"value tensor of shape \[(\d+)(?:, \d+)*\].*indexing result of shape \[(\d+)")


def _masked(case: Case) -> Iterator[Guess]:
    """There are more features of images than places that a mask of the text has for them."""
    found, size = _MASKED.search(case.failure.text), case.guess.size
    if not found or not any(isinstance(item.spec, Kinds) for item in case.guess.arguments):
        return
    count, rest = divmod(int(found[1]), size["batch"])
    if not rest and count <= _MOST:
        yield case.guess.sized(images=count, time=size["time"] - size["images"] + count)


PLACES: tuple[Repair, ...] = (_places, _masked)
"""The repairs of texts that hold places."""
