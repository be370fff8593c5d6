"""Training loops: their steps, optimizer, loss and model, written out or run by a framework."""

from __future__ import annotations

import pytest

from gradlint.program import StepKind, TrainingLoop
from gradlint.protocol.training import OptimizerFamily, Training
from tests.discovery.conftest import Read

_HEAD = """\
import torch
import torch.nn.functional as F
from torch import nn, optim
class Net(nn.Module):
    def __init__(self, n=4):
        super().__init__()
        self.layer = nn.Linear(n, 2)
    def forward(self, x):
        return self.layer(x)
"""


def _loop(read: Read, source: str) -> TrainingLoop:
    (loop,) = read(_HEAD + source).loops
    return loop


def _kinds(loop: TrainingLoop) -> list[str]:
    return [step.kind.value for step in loop.steps]


_PLAIN = """\
def train(model, loader, optimizer):
    criterion = nn.CrossEntropyLoss()
    for epoch in range(3):
        for x, y in loader:
            optimizer.zero_grad()
            out = model(x)
            loss = criterion(out, y)
            loss.backward()
            optimizer.step()
        scheduler.step()
net = Net()
train(net, loader, optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True))
"""


def test_a_plain_loop_has_its_steps_settings_and_model(read: Read) -> None:
    loop = _loop(read, _PLAIN)
    assert _kinds(loop) == ["zero_grad", "forward", "loss", "backward", "step"]
    assert [step.call for step in loop.steps] == [
        "optimizer.zero_grad",
        "model",
        "criterion",
        "loss.backward",
        "optimizer.step",
    ]
    assert loop.training == Training(
        OptimizerFamily.SGD, "SGD", 0.1, (("momentum", 0.9), ("nesterov", True)), "CrossEntropyLoss"
    )
    assert (loop.model, loop.framework, loop.clips) == ("Net", "", False)
    assert (loop.span.line, loop.last_line) == (13, 18)
    assert loop.optimizer_span is not None
    assert loop.optimizer_span.line == 21


def test_steps_are_located(read: Read) -> None:
    step = _loop(read, _PLAIN).step(StepKind.BACKWARD)
    assert step is not None
    assert (step.span.line, step.span.column, step.span.end_column) == (17, 13, 28)


@pytest.mark.parametrize(
    ("steps", "kinds"),
    [
        ("F.cross_entropy(model(x), y).backward()", "forward loss backward"),
        (
            "loss = F.mse_loss(model(x), y); loss.backward(); opt.step()",
            "forward loss backward step",
        ),
        (
            "loss.backward()\n    torch.nn.utils.clip_grad_norm_(params, 1)\n    opt.step()",
            "backward clip step",
        ),
        ("loss.backward()\n    nn.utils.clip_grad_value_(model.parameters(), 1)", "backward clip"),
        ("loss.backward()\n    nn.utils.clip_grad_norm(model.parameters(), 1)", "backward clip"),
        (
            "loss.backward()\n    for p in model.parameters():\n        p.grad.data.clamp_(-1, 1)",
            "backward clip",
        ),
        ("loss.backward()\n    dispatch_clip_grad(model.parameters(), 1)", "backward clip"),
        (
            (
                "scaler.scale(loss).backward()\n    scaler.unscale_(opt)\n    scaler.step(opt)\n"
                "    scaler.update()"
            ),
            "backward unscale step",
        ),
        (
            "loss.backward()\n    opt.step()\n    lr_scheduler.step()\n    env.step(3)",
            "backward step",
        ),
        (
            (
                "model.zero_grad()\n    loss.backward(retain_graph=True, create_graph=True)\n"
                "    optim_g.step()"
            ),
            "zero_grad backward step",
        ),
        (
            (
                "def closure():\n        opt.zero_grad()\n        loss = F.mse_loss(model(x), y)\n"
                "        loss.backward()\n        return loss\n    opt.step(closure)"
            ),
            "zero_grad forward loss backward step",
        ),
        (
            (
                "loss.backward()\n    clip(model)\n    opt.step()\n"
                "def clip(m): nn.utils.clip_grad_norm_(m.parameters(), 1)"
            ),
            "backward clip step",
        ),
    ],
    ids=[
        "one line",
        "semicolons",
        "norm",
        "value",
        "old name",
        "by hand",
        "timm",
        "scaler",
        "schedulers",
        "gan",
        "closure",
        "helper",
    ],
)
def test_steps_are_recognised_in_the_order_in_which_they_run(
    read: Read, steps: str, kinds: str
) -> None:
    source = (
        f"model = Net()\nopt = optim.Adam(model.parameters())\nfor x, y in data:\n    {steps}\n"
    )
    loop = _loop(read, source)
    assert _kinds(loop) == kinds.split()
    assert loop.clips == ("clip" in kinds)


@pytest.mark.parametrize(
    ("construction", "family", "rate"),
    [
        ("optim.SGD(net.parameters(), 0.1)", OptimizerFamily.SGD, 0.1),
        ("optim.SGD(net.parameters(), lr=1e-2 * 4)", OptimizerFamily.SGD, 0.04),
        ("optim.Adam(net.parameters())", OptimizerFamily.ADAM, 1e-3),
        ("torch.optim.AdamW(net.parameters(), lr=RATE)", OptimizerFamily.ADAM, 0.3),
        ("AdamW(net.parameters(), lr=unknown())", OptimizerFamily.ADAM, None),
        ("optim.RMSprop(net.parameters(), lr=args.lr)", OptimizerFamily.ADAM, 0.7),
        ("optim.Adagrad(net.parameters(), lr=config['lr'])", OptimizerFamily.ADAM, 0.9),
        ("optim.SGD(net.parameters(), lr=Config.lr)", OptimizerFamily.SGD, 0.6),
        ("optim.SGD(net.parameters(), lr=Config().lr)", OptimizerFamily.SGD, 0.6),
        ("optim.SGD(net.parameters(), lr=float('5e-1'))", OptimizerFamily.SGD, 0.5),
        ("optim.Adam(net.parameters(), **settings)", OptimizerFamily.ADAM, None),
        ("Lion(net.parameters(), lr=1e-4)", OptimizerFamily.ADAM, 1e-4),
        ("optim.LBFGS(net.parameters())", OptimizerFamily.UNKNOWN, 1.0),
        ("make(net)", OptimizerFamily.SGD, 0.2),
        ("somewhere.Make(net)", OptimizerFamily.UNKNOWN, None),
    ],
)
def test_the_optimizer_gives_family_and_learning_rate(
    read: Read, construction: str, family: OptimizerFamily, rate: float | None
) -> None:
    loop = _loop(
        read,
        f"""
from torch.optim import AdamW
from lion_pytorch import Lion
import argparse, somewhere
parser = argparse.ArgumentParser()
parser.add_argument('--lr', type=float, default=0.7)
args = parser.parse_args()
RATE = 0.3
config = {{'lr': 0.9}}
class Config:
    lr: float = 0.6
def make(model):
    return optim.SGD(model.parameters(), lr=0.2)
net = Net()
opt = {construction}
for x, y in data:
    F.mse_loss(net(x), y).backward()
    opt.step()
""",
    )
    assert loop.training.family is family
    assert loop.training.learning_rate == pytest.approx(rate)
    assert loop.model == "Net"


@pytest.mark.parametrize(
    ("choice", "family"),
    [
        (
            "if a:\n    opt = optim.SGD(p, 1)\nelse:\n    opt = optim.Adam(p, 1)",
            OptimizerFamily.UNKNOWN,
        ),
        (
            "if a:\n    opt = optim.AdamW(p, 1)\nelse:\n    opt = optim.Adam(p, 1)",
            OptimizerFamily.ADAM,
        ),
        ("opt = optim.Adam(p, 1)\nopt = optim.SGD(p, 1)", OptimizerFamily.SGD),
    ],
    ids=["two families", "one family", "replaced"],
)
def test_a_choice_between_families_is_unknown(
    read: Read, choice: str, family: OptimizerFamily
) -> None:
    rest = "for x in d:\n    net(x).backward()\n    opt.step()\n"
    source = f"net = Net()\np = net.parameters()\n{choice}\n{rest}"
    assert _loop(read, source).training.family is family


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        ("loss = nn.MSELoss()(net(x), y)", "MSELoss"),
        ("loss = criterion(net(x), y)", "BCEWithLogitsLoss"),
        ("loss = F.nll_loss(net(x), y) + 0.1 * penalty", "nll_loss"),
        ("loss = torch.nn.functional.l1_loss(net(x), y)\n    loss = loss / 4", "l1_loss"),
        ("a = F.kl_div(net(x), y)\n    loss = a + 1", "kl_div"),
        ("loss = compute(net, x, y)", "cross_entropy"),
        ("loss = net(x).mean()", ""),
    ],
    ids=["inline", "variable", "sum", "scaled", "two steps", "function", "none"],
)
def test_the_loss_is_named(read: Read, loss: str, name: str) -> None:
    loop = _loop(
        read,
        f"""
criterion = nn.BCEWithLogitsLoss().cuda()
def compute(net, x, y):
    return F.cross_entropy(net(x), y)
net = Net()
for x, y in data:
    {loss}
    loss.backward()
""",
    )
    assert loop.training.loss == name


@pytest.mark.parametrize(
    ("source", "model"),
    [
        ("net = Net()\nopt = optim.SGD(net.parameters(), 1)\n{loop}", "Net"),
        (
            "net = Net().to(device)\nopt = optim.SGD([{'params': net.parameters()}], 1)\n{loop}",
            "Net",
        ),
        (
            "net = nn.DataParallel(Net())\nopt = optim.SGD(filter(f, net.parameters()), 1)\n{loop}",
            "Net",
        ),
        ("net = Net()\nparams = list(net.parameters())\nopt = optim.SGD(params, 1)\n{loop}", "Net"),
        (
            "net = nn.Sequential(nn.Linear(1, 1))\nopt = optim.SGD(net.parameters(), 1)\n{loop}",
            "net",
        ),
        (
            "def make(): return Net()\nnet = make()\nopt = optim.SGD(net.parameters(), 1)\n{loop}",
            "Net",
        ),
        (
            (
                "def make(): return nn.Sequential(nn.Linear(1, 1))\nnet = make()\n"
                "opt = optim.SGD(net.parameters(), 1)\n{loop}"
            ),
            "make",
        ),
        ("from other import Far\nnet = Far()\nopt = optim.SGD(net.parameters(), 1)\n{loop}", ""),
        ("net = Net()\nopt = far()\n{loop}", "Net"),
    ],
    ids=[
        "class",
        "groups",
        "filtered",
        "list",
        "expression",
        "factory",
        "function",
        "elsewhere",
        "by its call",
    ],
)
def test_the_trained_model_is_named(read: Read, source: str, model: str) -> None:
    loop = "for x in data:\n    loss = net(x).sum()\n    loss.backward()\n    opt.step()\n"
    assert _loop(read, source.replace("{loop}", loop)).model == model


def test_a_trainer_class_is_followed_through_its_attributes(read: Read) -> None:
    loop = _loop(
        read,
        """
class Trainer:
    def __init__(self, lr=0.5):
        self.model = Net().cuda()
        self.optimizer = optim.SGD(self.model.parameters(), lr=lr)
        self.loss_fn = nn.MSELoss()
    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.model(x), y)
        loss.backward()
        self.clip()
        self.optimizer.step()
    def clip(self):
        nn.utils.clip_grad_norm_(self.model.parameters(), 1)
""",
    )
    assert (loop.model, loop.clips) == ("Net", True)
    assert loop.training == Training(OptimizerFamily.SGD, "SGD", 0.5, (), "MSELoss")
    assert _kinds(loop) == ["zero_grad", "forward", "loss", "backward", "clip", "step"]


def test_accumulated_gradients_are_one_loop_with_the_step_around_them(read: Read) -> None:
    loop = _loop(
        read,
        """
net = Net()
opt = optim.SGD(net.parameters(), 1)
while True:
    for x in micro_batches:
        loss = net(x).sum() / 4
        loss.backward()
    opt.step()
    opt.zero_grad()
""",
    )
    assert _kinds(loop) == ["forward", "backward", "step", "zero_grad"]
    assert loop.span.line == 13


def test_each_training_phase_is_a_loop_of_its_own(read: Read) -> None:
    phase = "for x in data:\n    net(x).backward()\n    opt.step()\n"
    program = read(
        f"{_HEAD}net = Net()\nopt = optim.SGD(net.parameters(), 1)\n{phase}"
        f"opt = optim.Adam(net.parameters())\n{phase}"
    )
    assert [loop.training.optimizer for loop in program.loops] == ["SGD", "Adam"]


def test_a_backward_pass_without_an_optimizer_is_a_loop_with_an_unknown_one(read: Read) -> None:
    loop = _loop(read, "def check(net, x):\n    net(x).sum().backward()\n")
    assert loop.training == Training()
    assert loop.optimizer_span is None


def test_a_file_without_the_word_torch_may_train(read: Read) -> None:
    (loop,) = read(
        "from mine import net, opt\nfor x in d:\n    net(x).backward()\n    opt.step()\n"
    ).loops
    assert _kinds(loop) == ["forward", "backward", "step"]


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        ("model_ddp(x)", "forward"),
        ("netG(x)", "forward"),
        ("self.policy(x)", "forward"),
        ("loss_fn(x)", "loss"),
        ("compute_loss(x)", "loss"),
        ("self.criterion(x)", "loss"),
        ("count_net_weights(x)", None),
        ("model_summary(x)", None),
        ("amp.scale_loss(x)", None),
        ("print_losses_of(x)", None),
        ("model.train()", None),
        ("torch.nn.functional.relu(x)", None),
    ],
)
def test_steps_are_known_by_usual_names_where_their_origin_is_not_in_sight(
    read: Read, call: str, kind: str | None
) -> None:
    loop = _loop(read, f"def step(self, x):\n    {call}\n    x.backward()\n")
    assert _kinds(loop) == [*([kind] if kind else []), "backward"]


@pytest.mark.parametrize(
    "source",
    [
        (
            "class F2(torch.autograd.Function):\n    @staticmethod\n    def backward(ctx, g):\n"
            "        return ctx.inner.backward(g)\n"
        ),
        "class Opt:\n    def backward(self, loss):\n        super().backward(loss)\n",
        "def validate(net):\n    for x in data:\n        net(x)\n",
    ],
    ids=["autograd function", "override", "evaluation"],
)
def test_what_does_not_train_is_no_loop(read: Read, source: str) -> None:
    assert read(_HEAD + source).loops == ()


_LIT = """
import pytorch_lightning as pl
class Lit(pl.LightningModule):
    def __init__(self, lr=0.25):
        super().__init__()
        self.save_hyperparameters()
        self.net = Net()
    def forward(self, x): return self.net(x)
    def training_step(self, batch, index):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        return loss
    def configure_optimizers(self):
        opt = torch.optim.Adam(self.parameters(), lr=self.hparams.lr)
        return [opt], [torch.optim.lr_scheduler.StepLR(opt, 1)]
"""


@pytest.mark.parametrize(
    ("trainer", "clips"),
    [
        ("", False),
        ("pl.Trainer(max_epochs=1)", False),
        ("pl.Trainer(gradient_clip_val=0.5)", True),
        ("pl.Trainer(gradient_clip_val=0)", False),
        ("pl.Trainer(gradient_clip_val=None)", False),
        ("clip = 0.0\npl.Trainer(gradient_clip_val=clip)", False),
    ],
    ids=["not in sight", "default", "set", "zero", "none", "zero by name"],
)
def test_lightning_trains_in_training_step_and_clips_by_its_trainer(
    read: Read, trainer: str, clips: bool
) -> None:
    loop = _loop(read, f"{_LIT}\n{trainer}\n")
    assert (loop.model, loop.framework, loop.clips) == ("Lit", "lightning", clips)
    assert loop.training == Training(OptimizerFamily.ADAM, "Adam", 0.25, (), "cross_entropy")
    assert _kinds(loop) == ["forward", "loss"] + ["step"] * bool(trainer)
    assert (loop.span.line, loop.last_line) == (18, 21)


def test_lightning_with_manual_optimization_is_an_explicit_loop(read: Read) -> None:
    loop = _loop(
        read,
        _LIT.replace(
            "        return loss\n", "        self.manual_backward(loss)\n        self.opt.step()\n"
        ),
    )
    assert (loop.model, loop.framework) == ("Lit", "lightning")
    assert _kinds(loop) == ["forward", "loss", "backward", "step"]


@pytest.mark.parametrize(
    ("arguments", "training", "clips"),
    [
        ("", Training(OptimizerFamily.ADAM, "AdamW", 5e-5), True),
        (
            ", learning_rate=3e-4, max_grad_norm=0",
            Training(OptimizerFamily.ADAM, "AdamW", 3e-4),
            False,
        ),
        (
            ", optim='sgd', weight_decay=0.1, max_grad_norm=2.0",
            Training(OptimizerFamily.SGD, "SGD", 5e-5, (("weight_decay", 0.1),)),
            True,
        ),
        (", optim='adafactor'", Training(OptimizerFamily.ADAM, "Adafactor", 5e-5), True),
    ],
    ids=["defaults", "no clipping", "sgd", "adafactor"],
)
def test_hugging_faces_trainer_clips_by_default(
    read: Read, arguments: str, training: Training, clips: bool
) -> None:
    loop = _loop(
        read,
        f"""
from transformers import Trainer, TrainingArguments
class MyTrainer(Trainer):
    pass
args = TrainingArguments('out'{arguments})
model = Net()
trainer = MyTrainer(model=model, args=args)
""",
    )
    assert (loop.model, loop.framework, loop.clips) == ("Net", "transformers", clips)
    assert loop.training == training


@pytest.mark.parametrize(
    ("imports", "backward", "framework", "clips"),
    [
        (
            (
                "from accelerate import Accelerator\naccelerator = Accelerator()\n"
                "net, opt = accelerator.prepare(net, opt)"
            ),
            "accelerator.backward(loss)\n    accelerator.clip_grad_norm_(net.parameters(), 1)",
            "accelerate",
            True,
        ),
        (
            "from accelerate import Accelerator\naccelerator = Accelerator()",
            "accelerator.backward(loss)",
            "accelerate",
            False,
        ),
        (
            (
                "from lightning.fabric import Fabric\nfabric = Fabric()\n"
                "net, opt = fabric.setup(net, opt)"
            ),
            "fabric.backward(loss)\n    fabric.clip_gradients(net, opt, clip_val=1)",
            "fabric",
            True,
        ),
        (
            (
                "import deepspeed\nconfig = {'gradient_clipping': 1.0}\n"
                "engine, opt, _, _ = deepspeed.initialize(model=net, optimizer=opt, config=config)"
            ),
            "engine.backward(loss)",
            "deepspeed",
            True,
        ),
        ("import deepspeed\nengine = net", "engine.backward(loss)", "deepspeed", False),
        (
            "from timm.utils import NativeScaler\nloss_scaler = NativeScaler()",
            "loss_scaler(loss, opt, clip_grad=1.0, parameters=net.parameters())",
            "timm",
            True,
        ),
        ("from fairseq import tasks", "opt.backward(loss)", "fairseq", False),
    ],
    ids=[
        "accelerate",
        "accelerate plain",
        "fabric",
        "deepspeed",
        "deepspeed plain",
        "timm",
        "fairseq",
    ],
)
def test_frameworks_are_recognised_by_their_backward(
    read: Read, imports: str, backward: str, framework: str, clips: bool
) -> None:
    loop = _loop(
        read,
        f"""
net = Net()
opt = optim.SGD(net.parameters(), lr=0.5)
{imports}
for x, y in data:
    loss = F.mse_loss(net(x), y)
    {backward}
    opt.step()
""",
    )
    assert (loop.framework, loop.clips, loop.model) == (framework, clips, "Net")
    assert loop.training == Training(OptimizerFamily.SGD, "SGD", 0.5, (), "mse_loss")


_LOADERS = """\
from torch.utils.data import DataLoader
BATCH = 2
net = Net()
opt = optim.SGD(net.parameters(), lr=0.5)
{loaders}
for x, y in train_loader:
    loss = F.mse_loss(net(x), y)
    loss.backward()
    opt.step()
"""


@pytest.mark.parametrize(
    ("loaders", "size"),
    [
        pytest.param("train_loader = DataLoader(data, batch_size=BATCH)", 2, id="by keyword"),
        pytest.param("train_loader = DataLoader(data, 2 * BATCH)", 4, id="by position"),
        pytest.param(
            "train_loader = DataLoader(data, batch_size=BATCH, shuffle=True)\n"
            "test_loader = DataLoader(test, batch_size=64)",
            2,
            id="the one that shuffles",
        ),
        pytest.param(
            "train_loader = DataLoader(data, batch_size=BATCH)\n"
            "test_loader = DataLoader(test, batch_size=64)",
            0,
            id="two that disagree",
        ),
        pytest.param("train_loader = DataLoader(data, batch_size=args.n)", 0, id="not in sight"),
        pytest.param("train_loader = DataLoader(data, **options)", 0, id="options"),
        pytest.param("train_loader = make_loader()", 0, id="no loader"),
    ],
)
def test_the_size_of_a_batch_is_that_of_the_training_loader(
    read: Read, loaders: str, size: int
) -> None:
    assert _loop(read, _LOADERS.format(loaders=loaders)).batch_size == size


_SCHEDULED = """\
def train(model, loader, d_model):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    {before}
    for step, (x, y) in enumerate(loader):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        {within}
        optimizer.step()
"""


@pytest.mark.parametrize(
    ("before", "within", "warm"),
    [
        pytest.param("pass", "pass", False, id="no schedule"),
        pytest.param("s = optim.lr_scheduler.StepLR(optimizer, 10)", "s.step()", False, id="falls"),
        pytest.param(
            "s = optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 10)",
            "s.step()",
            False,
            id="warm restarts",
        ),
        pytest.param("s = optim.lr_scheduler.OneCycleLR(optimizer, 1)", "s.step()", True, id="one"),
        pytest.param("s = optim.lr_scheduler.LambdaLR(optimizer, f)", "s.step()", True, id="any"),
        pytest.param("s = get_scheduler('linear', optimizer)", "s.step()", True, id="elsewhere"),
        pytest.param("warmup_steps = 100", "pass", True, id="named"),
        pytest.param(
            "pass", "optimizer.param_groups[0]['lr'] = rate(step)", True, id="assigned by hand"
        ),
        pytest.param("pass", "print(optimizer.param_groups[0]['lr'])", False, id="only read"),
        pytest.param("f = lambda step: d_model**-0.5 * step**-0.5", "pass", True, id="by a power"),
    ],
)
def test_a_loop_warms_up_where_its_rate_may_rise(
    read: Read, before: str, within: str, warm: bool
) -> None:
    assert _loop(read, _SCHEDULED.format(before=before, within=within)).warms_up is warm
