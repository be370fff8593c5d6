"""Which top-level statements of a script are safe to run for the sake of its definitions."""

from __future__ import annotations

import ast
import builtins
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import decode_source
from types import CodeType
from typing import TypeVar

from gradlint.protocol.span import Span
from gradlint.worker.loading.branches import constants_of_branches
from gradlint.worker.loading.lost import with_usual_sizes
from gradlint.worker.loading.mainblock import bound_names, is_main_guard, settings_of_main
from gradlint.worker.loading.standin import StandIn
from gradlint.worker.loading.usual import usual_size
from gradlint.worker.running.budget import Budget, OutOfTimeError
from gradlint.worker.running.failure import brief

STATEMENT_SECONDS = 2.0
"""How long one top-level statement of a script that does work may take before it is given up."""

late: list[Span] = []
"""The statements of this process, which serves one file, that were given up for their time."""

GUARD = "__gradlint_guard__"

_TRAINING = re.compile(
    r"(backward|step|fit|fit_one_cycle|train|train_(?!test_split).+|training_loop|evaluate|test|"
    r"validate|main|run|run_.+|launch|cli|app)"
)
_EFFECT = re.compile(
    r"(print|pprint|input|save|save_pretrained|savefig|show|plot|imshow|figure|scatter|hist|"
    r"download.*|urlretrieve|urlopen|snapshot_download|load_dataset|system|Popen|check_call|"
    r"check_output|sleep|mkdir|makedirs|rmtree|unlink|rename|replace_file|to_csv|dump|export|write|"
    r"spawn|start|serve|login|exit|_exit|quit|abort|kill|init_process_group|SummaryWriter|summary)"
)
_RISK = re.compile(
    r"(open|load|loadtxt|genfromtxt|read.*|imread|parse_args|parse_known_args|"
    r"parse_args_into_dataclasses|from_pretrained|load_state_dict_from_url)"
)
_HARMLESS = re.compile(
    r"(append|insert|extend|add|add_.+|update|setdefault|pop|clear|filterwarnings|simplefilter|"
    r"catch_warnings|seed|seed_.+|seed_everything|manual_seed|manual_seed_all|basicConfig|setLevel|"
    r"addHandler|debug|info|warning|warn|use|set|set_.+|setattr|setrecursionlimit|register|"
    r"register_.+|use_deterministic_algorithms|install.*|patch_.+|load_dotenv|init_printing)"
)
_SIZE = re.compile(
    r"(n|num|nb|in|out|input|output)_(?!layers|blocks|epochs)[a-z_]+|vocab|"
    r"[a-z_]*(dim|size|features|hidden|width|units|channels|classes|actions|labels|length|len)s?",
    re.IGNORECASE,
)
_DEPTH = re.compile(r".*(depth|layers?|blocks?|epochs?)", re.IGNORECASE)
"""What is never assumed, because it decides the gradients."""
_FETCHING = ("download", "pretrained")

_MOST_SIZES = 64
"""Sizes in a list of sizes: what has more of them is data."""

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_IMPORTS = (ast.Import, ast.ImportFrom)
_ASSIGNMENTS = (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Delete)
_OTHER_SCOPES = (*_DEFINITIONS, ast.Lambda)


@dataclass(frozen=True, slots=True)
class NotRun:
    """A top-level statement that did not run, or not to its end, and why."""

    span: Span
    reason: str


class Journal:
    """What of a file's top level did not run; `guard` runs one statement that may fail.

    `scope` are the variables of the module. `assumed` are sizes that depend on what is not there,
    such as a table of data or a package, with the usual values that they have instead, and what is
    computed from them.
    """

    def __init__(self, shown: str) -> None:
        self.shown = shown
        self.lines: list[str] = []
        self.scope: dict[str, object] = {}
        self.assumed: dict[str, object] = {}
        self._not_run: list[NotRun] = []
        self._unbound: dict[str, NotRun] = {}
        self._guarded: list[ast.stmt] = []

    def skipped(self) -> tuple[Span, ...]:
        """The spans of the statements that did not run, in the order of the source."""
        return tuple(sorted({entry.span for entry in self._not_run}))

    def unbound(self, name: str) -> NotRun | None:
        """The statement that would have given `name` its value, if it did not run."""
        return self._unbound.get(name)

    def leave_out(self, statement: ast.stmt) -> None:
        """Note that `statement` is not run because it does work."""
        self._note(statement, "it does work that linting must not do")

    def expect(self, statement: ast.stmt) -> int:
        """The number under which the compiled code will ask `guard` to run `statement`."""
        self._guarded.append(statement)
        return len(self._guarded) - 1

    @contextmanager
    def guard(self, number: int) -> Iterator[None]:
        """Run a statement that may fail: what it raises is noted, and the next one runs.

        So it is with a model that is too large for this machine, which is built on other terms
        later.
        """
        # Everything is caught, SystemExit too, because one statement of a script that nobody meant
        # to be imported must not hide the models that are defined below it.
        try:
            with Budget(STATEMENT_SECONDS).enforced(), affordable():
                yield
        except OutOfTimeError:
            late.append(self._span(self._guarded[number]))
            self._note(self._guarded[number], f"it took more than {STATEMENT_SECONDS:g} s")
        except BaseException as error:  # noqa: BLE001
            self._note(self._guarded[number], brief(error))
        self._assume(self._guarded[number])

    def _assume(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value):
                if self._is_lost(name):
                    size = usual_size(name) if _SIZE.fullmatch(name) else None
                    counted = None if _DEPTH.fullmatch(name) else self._counted(value, size)
                    found = size if counted is None else counted
                    if found is not None:
                        self.assumed[name] = self.scope[name] = found
                elif _read(value) & self.assumed.keys() and _is_of_numbers(self.scope[name]):
                    self.assumed[name] = self.scope[name]

    def _is_lost(self, name: str) -> bool:
        return name not in self.scope or isinstance(self.scope[name], StandIn)

    def _counted(self, value: ast.expr, size: int | None) -> object:
        """Sizes of what is lost, in the form that an expression gives them, None where it fails."""
        lost = {name for name in _read(value) if self._is_lost(name) and name not in vars(builtins)}
        sized = with_usual_sizes(value, lost, size or 64)
        if not lost or ast.dump(sized) == ast.dump(value):
            return None
        found: object = None
        with suppress(Exception, OutOfTimeError), Budget(STATEMENT_SECONDS).enforced():
            found = eval(ast.unparse(sized), self.scope)
        return found if _is_of_numbers(found) else None

    def _note(self, statement: ast.stmt, reason: str) -> None:
        entry = NotRun(self._span(statement), reason)
        self._not_run.append(entry)
        for name in bound_names(statement):
            self._unbound.setdefault(name, entry)

    def _span(self, node: ast.stmt) -> Span:
        last = node.end_lineno or node.lineno
        start = self._column(node.lineno, node.col_offset)
        return Span(self.shown, node.lineno, start, last, self._column(last, node.end_col_offset))

    def _column(self, line: int, offset: int | None) -> int:
        """The column, from 1, of a byte offset: the interpreter counts bytes of UTF-8."""
        text = self.lines[line - 1].encode("utf-8", "replace")
        return len(text[: offset or 0].decode("utf-8", "ignore")) + 1


def _read(expression: ast.expr) -> set[str]:
    """The variables that an expression reads, without those that it binds itself."""
    names = [node for node in ast.walk(expression) if isinstance(node, ast.Name)]
    bound = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return {node.id for node in names} - bound


def _is_of_numbers(value: object) -> bool:
    """Whether a value is a number or a short sequence of such, however deep."""
    if isinstance(value, (list, tuple)):
        return 0 < len(value) <= _MOST_SIZES and all(map(_is_of_numbers, value))
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def compile_file(
    source: bytes | str, path: str, journal: Journal, tolerant: bool = False
) -> CodeType:
    """Code that defines what `source` defines, without doing the work of a script.

    A file whose top level holds definitions and plain statements only is compiled as it is. In any
    other file, statements that train, draw, write or exit are left out, and the others are guarded.
    `tolerant` guards every statement of any file, imports included. What the main block of a script
    sets for its classes and functions is set at the end, and so are constants of branches that are
    not taken. Line numbers are kept.

    Raises:
        SyntaxError: the source is not Python.
    """
    tree = ast.parse(source, path)
    text = source if isinstance(source, str) else decode_source(source)
    journal.lines = text.split("\n")
    working = _working_functions(tree)
    settings = [s for s in settings_of_main(tree, text, working) if not _works(s, working)]
    branches: list[ast.stmt] = []
    if tolerant or not all(_is_plain(statement, working) for statement in tree.body):
        branches = list(constants_of_branches(tree))
        kept = _pruned(tree.body, working, journal)
        tree.body = [_guarded(statement, journal, tolerant) for statement in kept]
    tree.body += [_guarded(statement, journal, tolerant=True) for statement in settings]
    tree.body += branches
    return compile(tree, path, "exec", dont_inherit=True)


def _is_plain(statement: ast.stmt, working: frozenset[str]) -> bool:
    match statement:
        case ast.If() if is_main_guard(statement):
            return True
        case ast.If():
            return _is_quiet(statement.test, working) and all(
                _is_plain(inner, working) for inner in statement.body + statement.orelse
            )
        case ast.Try():
            handlers = [inner for handler in statement.handlers for inner in handler.body]
            inside = statement.body + handlers + statement.orelse + statement.finalbody
            return all(_is_plain(inner, working) for inner in inside)
        case ast.Expr(value=ast.Call() as call):
            return _HARMLESS.fullmatch(_callee(call)) is not None and _is_quiet(call, working)
        case ast.Expr():
            return _is_quiet(statement, working)
        case ast.For() | ast.AsyncFor() | ast.While() | ast.With() | ast.AsyncWith() | ast.Match():
            return False
        case _ if isinstance(statement, _ASSIGNMENTS):
            return _is_quiet(statement, working)
    return True


def _is_quiet(node: ast.AST, working: frozenset[str]) -> bool:
    """Whether evaluating `node` neither works nor depends on files, network or arguments."""
    return not _works(node, working) and not any(
        _RISK.fullmatch(_callee(call)) or _fetches(call) for call in _calls(node)
    )


def _works(node: ast.AST, working: frozenset[str]) -> bool:
    return any(_call_works(call, working) for call in _calls(node))


def _call_works(call: ast.Call, working: frozenset[str]) -> bool:
    name = _callee(call)
    if name == "open":
        return _opens_for_writing(call)
    if isinstance(call.func, ast.Name) and name in working:
        return True
    return _trains(call) or _EFFECT.fullmatch(name) is not None or _downloads(call)


def _trains(call: ast.Call) -> bool:
    """Whether the callee's name says training; `model.train()` only sets a mode."""
    match call:
        case ast.Call(func=ast.Attribute(attr="train", value=owner), args=[] | [_], keywords=[]):
            return "train" in ast.unparse(owner).lower()
    return _TRAINING.fullmatch(_callee(call)) is not None


def _downloads(call: ast.Call) -> bool:
    return any(word.arg == "download" and _is_true(word.value) for word in call.keywords)


def _fetches(call: ast.Call) -> bool:
    return any(word.arg in _FETCHING and _is_true(word.value) for word in call.keywords)


def _is_true(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _opens_for_writing(call: ast.Call) -> bool:
    modes = [
        *call.args[1:2],
        *(word.value for word in call.keywords if word.arg == "mode"),
    ]
    return any(
        isinstance(mode, ast.Constant) and bool(set("wax+") & set(str(mode.value)))
        for mode in modes
    )


def _working_functions(tree: ast.Module) -> frozenset[str]:
    """The functions of the file that train something, themselves or through another of them."""
    functions = {
        node.name: node
        for node in tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    inside = {
        name: [node for node in ast.walk(function) if isinstance(node, ast.Call)]
        for name, function in functions.items()
    }
    called = {name: {_callee(call) for call in calls} for name, calls in inside.items()}
    working = {name for name, calls in inside.items() if any(map(_trains, calls))}
    while more := {name for name, callees in called.items() if callees & working} - working:
        working |= more
    return frozenset(working)


def _pruned(
    statements: Sequence[ast.stmt], working: frozenset[str], journal: Journal
) -> list[ast.stmt]:
    """The statements without those that work; branches are searched, loops go as a whole."""
    kept = []
    for statement in statements:
        if _header_works(statement, working):
            journal.leave_out(statement)
            continue
        if not is_main_guard(statement):
            _prune_branches(statement, working, journal)
        kept.append(statement)
    return kept


def _header_works(statement: ast.stmt, working: frozenset[str]) -> bool:
    match statement:
        case ast.If():
            return not is_main_guard(statement) and _works(statement.test, working)
        case ast.With() | ast.AsyncWith():
            return any(_works(item.context_expr, working) for item in statement.items)
        case ast.Try():
            return False
        case ast.Raise() | ast.Assert():
            return False
        case _ if isinstance(statement, (*_DEFINITIONS, *_IMPORTS)):
            return False
    return _works(statement, working)


def _prune_branches(statement: ast.stmt, working: frozenset[str], journal: Journal) -> None:
    match statement:
        case ast.If():
            statement.body = _body(statement.body, working, journal)
            statement.orelse = _pruned(statement.orelse, working, journal)
        case ast.With() | ast.AsyncWith():
            statement.body = _body(statement.body, working, journal)
        case ast.Try():
            statement.body = _body(statement.body, working, journal)
            statement.orelse = _pruned(statement.orelse, working, journal)
            if statement.finalbody:
                statement.finalbody = _body(statement.finalbody, working, journal)
            for handler in statement.handlers:
                handler.body = _body(handler.body, working, journal)


def _body(
    statements: Sequence[ast.stmt], working: frozenset[str], journal: Journal
) -> list[ast.stmt]:
    first = statements[0]
    return _pruned(statements, working, journal) or [ast.copy_location(ast.Pass(), first)]


def _guarded(statement: ast.stmt, journal: Journal, tolerant: bool) -> ast.stmt:
    """`with __gradlint_guard__(n): statement`, at the statement's own position."""
    if is_main_guard(statement) or _is_future_import(statement):
        return statement
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return statement
    if not tolerant and isinstance(statement, (*_IMPORTS, ast.Raise)):
        return statement
    number = journal.expect(statement)
    call = ast.Call(ast.Name(GUARD, ast.Load()), [ast.Constant(number)], [])
    item = ast.withitem(_at(call, statement), None)
    return ast.copy_location(ast.With(items=[item], body=[statement]), statement)


_Node = TypeVar("_Node", bound=ast.AST)


def _at(node: _Node, place: ast.AST) -> _Node:
    for inner in ast.walk(node):
        if "lineno" in inner._attributes:
            ast.copy_location(inner, place)
    return node


def _is_future_import(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and statement.module == "__future__"


def _callee(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    """The calls that evaluating `node` makes: those inside lambdas and definitions come later."""
    waiting = [node]
    while waiting:
        current = waiting.pop()
        if isinstance(current, _OTHER_SCOPES):
            continue
        if isinstance(current, ast.Call):
            yield current
        waiting.extend(ast.iter_child_nodes(current))


class UnaffordableError(Exception):
    """A statement builds a model that is too large for this machine."""


@contextmanager
def affordable() -> Iterator[None]:
    """Within it no model becomes larger than this machine can hold, and none fetches its weights.

    Raises:
        UnaffordableError: one did, before most of its memory was touched.
    """
    if "torch" not in sys.modules:
        yield
        return
    from gradlint.worker.running.offline import (
        without_weights,  # here, because torch may be missing
    )
    from gradlint.worker.running.size import TooLargeError, limited

    try:
        with without_weights(), limited():
            yield
    except TooLargeError as error:
        raise UnaffordableError(str(error)) from None
