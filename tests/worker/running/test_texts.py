from __future__ import annotations

import inspect
import textwrap

import pytest

from gradlint.worker.running.texts import text_of


class Sample:
    @property
    def decorated(self) -> int:
        # a remark
        return 1

    def plain(self) -> int:
        return [
            2,
        ][0]


@pytest.mark.parametrize(
    "method", [Sample.plain, vars(Sample)["decorated"].fget], ids=["plain", "decorated"]
)
def test_a_function_and_its_code_have_the_text_that_stands_in_the_file(method: object) -> None:
    code = getattr(method, "__code__", None)
    written = textwrap.dedent(inspect.getsource(method))  # type: ignore[arg-type]
    assert text_of(method) == text_of(code) == written


def test_what_stands_in_no_file_has_no_text() -> None:
    assert text_of(eval("lambda: 0", {}).__code__) == ""
    assert text_of(len) == ""
