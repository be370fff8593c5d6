"""How a report writes a construction whose arguments are variables."""

import pytest

from gradlint.protocol.wire import BuiltFrom, Candidate
from gradlint.worker.building.inlining import inlined

WRITTEN = {
    "a variable becomes its value": ("Net(width)", [("width", "48")], "Net(48)"),
    "a value may need another": (
        "Net(inner)",
        [("width", "48"), ("inner", "width // 2")],
        "Net(48 // 2)",
    ),
    "a text that is called like a variable stays": (
        "Net(TABLE['width'](width))",
        [("width", "48")],
        "Net(TABLE['width'](48))",
    ),
    "an argument that is called like a variable keeps its name": (
        "Net(width=width)",
        [("width", "48")],
        "Net(width=48)",
    ),
    "an option stands for the namespace that holds it": (
        "Net(args.depth)",
        [("args", "__import__('types').SimpleNamespace(depth=7, lr=0.1)")],
        "Net(7)",
    ),
    "an item stands for the table that it is taken from": (
        "Net(SIZES[kind]['depths'])",
        [("kind", "'small'"), ("SIZES", "{'small': {'depths': [2, 2]}}")],
        "Net([2, 2])",
    ),
    "a branch stands for the choice": (
        "Net(SIZES if kind is not None else 3)",
        [("kind", "'small'"), ("SIZES", "5")],
        "Net(5)",
    ),
    "what is not known stays as it is": ("Net(SIZES[kind])", [("kind", "0")], "Net(SIZES[0])"),
}


@pytest.mark.parametrize(("constructor", "bindings", "written"), WRITTEN.values(), ids=WRITTEN)
def test_a_construction_is_written_with_the_values_of_its_variables(
    constructor: str, bindings: list[tuple[str, str]], written: str
) -> None:
    form = Candidate(BuiltFrom.USE_IN_FILE, constructor, None, tuple(bindings))
    assert inlined(form) == written
