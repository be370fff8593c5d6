"""Expressions that may be evaluated elsewhere: without device moves, without effects."""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Callable, Mapping

from gradlint.discovery.text.imports import Imports
from gradlint.discovery.text.trees import walk

_MOVES = frozenset("cuda cpu eval train half bfloat16 requires_grad_ to_empty".split())
_WRAPPERS = re.compile(
    r"(^|\.)(DataParallel|DistributedDataParallel|FullyShardedDataParallel|DDP|FSDP|Variable)$"
    r"|^torch\.(compile|jit\.script|autograd\.Variable)$|\.(prepare_model|to_device|to_local)$"
)
_MACHINERY = frozenset("device num_workers pin_memory persistent_workers prefetch_factor".split())
_DTYPE = re.compile(r"^torch\.(b?float|double|half|u?int|long|short|bool|complex)\w*$")
_DEVICE = re.compile(r"(cuda|mps|xpu|hpu)(:\d+)?")


def cleaned(expression: ast.expr, imports: Imports) -> ast.expr:
    """A copy without what moves a model or tensor to a device, wraps it or loads weights.

    `net.to(device)`, `.cuda()`, `.eval()` and `DataParallel(net)` become `net`; `device="cuda"` is
    left out or becomes "cpu"; `pretrained=True` becomes False.
    """
    expression = unwrapped(expression, imports)
    if isinstance(expression, ast.Constant):
        value = expression.value
        is_device = isinstance(value, str) and _DEVICE.fullmatch(value)
        return ast.Constant("cpu" if is_device else value)
    copy = _rebuilt(expression, lambda item: cleaned(item, imports))
    if isinstance(copy, ast.Call):
        of_torch = imports.qualified(copy.func).startswith("torch.")
        dropped = _MACHINERY if of_torch else frozenset()
        copy.keywords = [_offline(word) for word in copy.keywords if word.arg not in dropped]
    return copy


def unwrapped(expression: ast.expr, imports: Imports) -> ast.expr:
    """The model or tensor itself inside device moves and wrappers."""
    while True:
        inner = _inside(expression, imports)
        if inner is None:
            return expression
        expression = inner


def substituted(expression: ast.expr, names: Mapping[str, str]) -> ast.expr:
    """A copy with variables renamed; `self.name` stands under that key."""
    match expression:
        case ast.Name(id=name) if name in names:
            return ast.Name(names[name], ast.Load())
        case ast.Attribute(value=ast.Name(id="self"), attr=attr) if f"self.{attr}" in names:
            return ast.Name(names[f"self.{attr}"], ast.Load())
        case _:
            return _rebuilt(expression, lambda item: substituted(item, names))


def free_names(tree: ast.AST, *, of_self: bool = False) -> tuple[str, ...]:
    """The variables that code reads, in order, without those that it binds itself.

    With `of_self`, attributes of `self` count as variables named `self.attribute`.
    """
    found: dict[str, None] = {}
    bound: set[str] = set()
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=attr) if of_self:
                found[f"self.{attr}"] = None
                continue
            case ast.Name(id=name, ctx=ast.Load()):
                found[name] = None
            case ast.Name(id=name) | ast.arg(arg=name) | ast.FunctionDef(name=name):
                bound.add(name)
        stack.extend(reversed(list(ast.iter_child_nodes(node))))
    return tuple(name for name in found if name not in bound)


_PURE_BUILTINS = frozenset(
    "abs all any bool bytes complex dict divmod enumerate filter float frozenset getattr"
    " hasattr int isinstance iter len list map max min next pow range repr reversed round set"
    " slice sorted str sum tuple type zip __import__".split()
)
_UNSAFE_NAMES = re.compile(
    r"_*(open|input|print|exec|eval|system|popen|load|read|write|save|download|fetch|fit|main|run"
    r"|train|parse_args|parse_known_args|sleep|remove|unlink|connect|login|imread|urlopen|getenv"
    r"|from_file|push_to_hub|init_process_group|manual_seed|backward|step|exit"
    r"|mkdir|quit|kill)(_\w+)?|makedirs|(?!TensorDataset)\w*(Dataset|DataModule)"
    r"|\w+_(load|download|from_checkpoint|from_url|to_disk)"
)
_UNSAFE_MODULES = frozenset(
    "os sys subprocess shutil socket requests urllib http pickle json csv glob io wandb"
    " datasets cv2 PIL pandas librosa soundfile matplotlib logging time threading"
    " multiprocessing tempfile signal ctypes yaml huggingface_hub gym gymnasium sqlite3"
    " webbrowser builtins importlib".split()
)
_UNSAFE_TORCH = (
    "torch.hub",
    "torch.distributed",
    "torch.multiprocessing",
    "torch.utils.cpp_extension",
)
_FORBIDDEN = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr, ast.JoinedStr)


def is_harmless(expression: ast.expr, imports: Imports) -> bool:
    """Whether evaluating the expression reads no files, trains nothing and prints nothing.

    A call counts as harmless unless its name or its module says otherwise; what a function or class
    of the user's own does inside is for the worker's isolation.
    """
    return not any(_is_harmful(node, imports) for node in walk(expression))


def is_literal(value: ast.expr | str) -> bool:
    """Whether an expression, or what a text holds, is a value that needs no names."""
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        return False
    return True


def _is_harmful(node: ast.AST, imports: Imports) -> bool:
    if isinstance(node, _FORBIDDEN):
        return True
    if isinstance(node, ast.Attribute):
        return imports.qualified(node) in ("os.environ", "sys.argv")
    if not isinstance(node, ast.Call):
        return False
    match node.func:
        case ast.Name(id=name) if name not in imports.names and hasattr(builtins, name):
            return name not in _PURE_BUILTINS
        case ast.Name(id=name) | ast.Attribute(attr=name):
            qualified = imports.qualified(node.func)
            return bool(_UNSAFE_NAMES.fullmatch(name)) or _is_unsafe(qualified)
        case _:
            return False


def _is_unsafe(name: str) -> bool:
    if name.startswith("torch.cuda."):
        return name not in ("torch.cuda.is_available", "torch.cuda.device_count")
    if name.startswith((*_UNSAFE_TORCH, "torchvision.datasets", "torchvision.io")):
        return True
    return name.split(".", 1)[0] in _UNSAFE_MODULES


def _inside(expression: ast.expr, imports: Imports) -> ast.expr | None:
    """What a device move or a wrapper is applied to, None where there is none."""
    match expression:
        case ast.Call(func=ast.Attribute(value=inner, attr="to"), args=args, keywords=words):
            return (
                inner if _moves_device([*args, *(word.value for word in words)], imports) else None
            )
        case ast.Call(func=ast.Attribute(value=inner, attr=attr)) if attr in _MOVES:
            return inner
        case ast.Call(func=ast.Attribute(attr="type"), args=[target]) if (
            "cuda" in imports.qualified(target)
        ):
            assert isinstance(expression.func, ast.Attribute)
            return expression.func.value
        case ast.Call(func=callee, args=[first, *_]) if not isinstance(first, ast.Starred):
            return first if _WRAPPERS.search(imports.qualified(callee)) else None
        case _:
            return None


def _moves_device(arguments: list[ast.expr], imports: Imports) -> bool:
    """Whether none of the arguments of `.to` is a dtype: converting, unlike moving, is kept."""
    return not any(_DTYPE.match(imports.qualified(argument)) for argument in arguments)


def _offline(word: ast.keyword) -> ast.keyword:
    return ast.keyword("pretrained", ast.Constant(False)) if word.arg == "pretrained" else word


def _rebuilt(node: ast.expr, transform: Callable[[ast.expr], ast.expr]) -> ast.expr:
    """A copy of a node whose direct subexpressions are transformed."""
    built: ast.expr = _copied(node, transform)  # type: ignore[assignment]
    return built


def _copied(node: ast.AST, transform: Callable[[ast.expr], ast.expr]) -> ast.AST:
    def item(value: object) -> object:
        if isinstance(value, ast.expr):
            return transform(value)
        if isinstance(value, list):
            return [item(each) for each in value]
        return _copied(value, transform) if isinstance(value, ast.AST) else value

    return type(node)(**{name: item(getattr(node, name, None)) for name in node._fields})
