"""How a page is read, for those who have never seen one."""

from __future__ import annotations

from gradlint.reporters.html.markup import Markup, element, joined
from gradlint.reporters.html.scale import STEPS

_TERMS = (
    (
        "decade",
        "A power of ten. At -4 decades a gradient is 10,000 times weaker than at the output.",
    ),
    ("trunk", "The layers that every path from the deepest weights to the loss passes through."),
    ("seed", "Weights are random at the start, so everything is measured for several seeds."),
    ("predicted", "What the theory of signal propagation says without running the model."),
    ("confirmed", "Measured, repeatable, and out of bounds for every seed."),
    ("after: …", "The same measurement on a copy of the model with a remedy applied."),
    ("activation", "The root mean square of what a layer puts out."),
)
_KEYS = (
    ("n, p", "next, previous finding"),
    ("t", "light or dark"),
    ("/", "find a layer"),
    ("?", "this"),
)


def guide() -> Markup:
    """The dialog that explains words, colours and keys."""
    marks = ("below", *(f"{step:g}" for step in STEPS))
    shades = ["dz", *(f"d{n}" for n in range(-4, 5)), "dn"]
    labels = ["no gradient", *(f"from {mark}" for mark in marks), "not measured"]
    labels[1] = f"below {STEPS[0]:g}"
    return element(
        "dialog",
        element("h2", "How to read this", tabindex="-1"),
        element("dl", *(joined(element("dt", term), element("dd", text)) for term, text in _TERMS)),
        element("h3", "Colours, in decades"),
        element(
            "ul",
            *(
                element("li", element("i", class_=f"key {name}"), f" {label}")
                for name, label in zip(shades, labels, strict=True)
            ),
            class_="colours",
        ),
        element("h3", "Keys"),
        element("dl", *(joined(element("dt", key), element("dd", text)) for key, text in _KEYS)),
        element("button", "Close", type="button", id="help-close"),
        id="help",
    )
