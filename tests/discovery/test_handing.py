"""Settings that a model hands on to its parts, and classes that hold settings."""

from __future__ import annotations

import pytest

from tests.discovery.conftest import Read

_NETWORK = """
import torch.nn as nn
from encoder import Encoder

class Tagger(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.encoder = Encoder({handed})
        self.out = nn.Linear(config.hidden_size, 5)

    def forward(self, x):
        return self.out(self.encoder(x))
"""
_ENCODER = """
import torch.nn as nn

class Encoder(nn.Module):
    def __init__(self, settings):
        super().__init__()
        self.rnn = nn.GRU(settings.embed_dim, settings.hidden_size, settings.num_layers)

    def forward(self, x):
        return self.rnn(x)[0]
"""


@pytest.mark.parametrize(
    ("handed", "wanted"),
    [
        ("config", "Namespace(hidden_size=64, embed_dim=64, num_layers=2)"),
        ("settings=config", "Namespace(hidden_size=64, embed_dim=64, num_layers=2)"),
        ("config.rnn", "rnn=__import__('types').SimpleNamespace(embed_dim=64, hidden_size=64"),
    ],
    ids=["whole", "by keyword", "part"],
)
def test_settings_hold_what_a_class_of_another_file_reads_of_them(
    read: Read, handed: str, wanted: str
) -> None:
    program = read(_NETWORK.format(handed=handed), others={"encoder.py": _ENCODER})
    assert wanted in program.models[0].candidates[0].constructor


def test_settings_hold_what_the_inherited_constructor_reads_of_them(read: Read) -> None:
    source = """
    from encoder import Encoder

    class Deep(Encoder):
        def __init__(self, config):
            super().__init__(config)
            self.scale = config.scale
    """
    program = read(source, others={"encoder.py": _ENCODER})
    wanted = "Namespace(scale=2, embed_dim=64, hidden_size=64, num_layers=2)"
    assert wanted in program.models[0].candidates[0].constructor


_MODES = """
import torch.nn as nn

class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.mode = config.mode
        self.fc = nn.Linear(config.hidden_size, 5)

    def forward(self, x):
        if self.mode == "plain":
            return self.fc(x)
        elif self.mode == "residual":
            return self.fc(x) + x
        exit()
"""


@pytest.mark.parametrize(
    ("option", "mode"),
    [("residual", "residual"), ("train", "plain")],
    ids=["one that it knows", "that of another program"],
)
def test_a_setting_that_is_compared_with_texts_is_one_of_them(
    read: Read, option: str, mode: str
) -> None:
    parser = f"""
    import argparse
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", default="{option}")
    """
    program = read(_MODES, others={"train.py": parser})
    assert f"mode='{mode}'" in program.models[0].candidates[0].constructor


_TAGGER = """
import torch
import torch.nn as nn

class Tagger(nn.Module):
    def __init__(self, data):
        super().__init__()
        self.extractor = data.extractor
        self.words = nn.Embedding(data.word_alphabet.size(), data.word_emb_dim)
        if data.word_vectors is not None:
            self.words.weight.data.copy_(torch.from_numpy(data.word_vectors))
        self.feature_count = data.feature_count
        for index in range(self.feature_count):
            nn.Embedding(data.feature_sizes[index], 8)
        self.rnn = nn.LSTM(data.word_emb_dim, data.hidden_width, bidirectional=data.both_ways)
        self.out = nn.Linear(data.hidden_width, data.tag_count)

    def forward(self, x):
        return self.out(self.rnn(self.words(x))[0])
"""
_DATA = """
class Data:
    def __init__(self):
        self.extractor = "LSTM"
        self.word_alphabet = Alphabet("word")
        self.word_emb_dim = 50
        self.word_vectors = None
        self.feature_sizes = []
        self.feature_count = len(self.feature_sizes)
        self.hidden_width = 200
        self.both_ways = True
        self.tag_count = 0

    def read(self, path):
        self.hidden_width = int(open(path).read())
"""


def test_settings_are_those_that_the_class_of_the_project_begins_with_which_holds_them(
    read: Read,
) -> None:
    constructor = read(_TAGGER, others={"utils/data.py": _DATA}).models[0].candidates[0].constructor
    for setting in ("extractor='LSTM'", "word_emb_dim=50", "hidden_width=200", "both_ways=True"):
        assert setting in constructor


def test_what_a_holder_of_settings_has_none_of_yet_is_none_only_where_the_model_bears_that(
    read: Read,
) -> None:
    constructor = read(_TAGGER, others={"utils/data.py": _DATA}).models[0].candidates[0].constructor
    for setting in ("word_vectors=None", "feature_count=0", "feature_sizes=[]"):
        assert setting in constructor
    assert "tag_count=0" not in constructor


def test_a_vocabulary_that_is_asked_for_its_size_has_one(read: Read) -> None:
    constructor = read(_TAGGER).models[0].candidates[0].constructor
    assert "word_alphabet=__import__('types').SimpleNamespace(size=lambda: 64)" in constructor


def test_a_class_with_few_of_the_names_holds_no_settings(read: Read) -> None:
    other = """
    class Window:
        def __init__(self):
            self.hidden_width = 640
            self.both_ways = True
    """
    constructor = read(_TAGGER, others={"window.py": other}).models[0].candidates[0].constructor
    assert "640" not in constructor


@pytest.mark.parametrize(
    ("parameters", "read_as", "wanted"),
    [
        ("word_dim, vectors", "vectors", "Net(64, __import__('torch').randn(1000, 64))"),
        (
            "args, vectors",
            "vectors",
            "SimpleNamespace(word_dim=300, hidden=64), __import__('torch').randn(1000, 300))",
        ),
        ("args", "args.field.vectors", "vectors=__import__('torch').randn(1000, 300)"),
    ],
    ids=["arguments", "beside settings", "inside of settings"],
)
def test_word_vectors_are_a_table_as_wide_as_the_words_of_the_model(
    read: Read, parameters: str, read_as: str, wanted: str
) -> None:
    width = "word_dim" if "word_dim" in parameters else "args.word_dim"
    hidden = "7" if "word_dim" in parameters else "args.hidden"
    source = f"""
    import torch.nn as nn

    class Net(nn.Module):
        def __init__(self, {parameters}):
            super().__init__()
            self.words = nn.Embedding.from_pretrained({read_as}, freeze=True)
            self.rnn = nn.GRU({width}, {hidden})

        def forward(self, x):
            return self.rnn(self.words(x))[0]
    """
    settings = "" if "word_dim" in parameters else "word_dim: 300\n"
    program = read(source, others={"config.yaml": settings})
    assert wanted in program.models[0].candidates[0].constructor


def test_what_a_method_compares_with_none_may_be_none(read: Read) -> None:
    source = """
    import torch.nn as nn

    class Net(nn.Module):
        def __init__(self, in_features, device_id):
            super().__init__()
            self.device_id = device_id
            self.fc = nn.Linear(in_features, 5)

        def forward(self, x):
            return self.fc(x) if self.device_id == None else self.fc(x.cuda(self.device_id[0]))
    """
    assert read(source).models[0].candidates[0].constructor == "Net(64, None)"


def test_an_argument_of_no_usual_name_that_may_be_none_is_none(read: Read) -> None:
    source = """
    import torch
    import torch.nn as nn

    class Net(nn.Module):
        def __init__(self, vocab_size, pretrain_words, embedding_dim):
            super().__init__()
            self.words = nn.Embedding(vocab_size, embedding_dim)
            if pretrain_words is not None:
                self.words.weight.data.copy_(torch.from_numpy(pretrain_words))

        def forward(self, x):
            return self.words(x)
    """
    assert read(source).models[0].candidates[0].constructor == "Net(1000, None, 64)"


_FAMILY = """
import torch.nn as nn

class Plain(nn.Module):
    def __init__(self, width, stride):
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride)

    def forward(self, x):
        return self.conv(x)

class Wide(Plain):
    pass

class Net(nn.Module):
    def __init__(self, {first}block, layers, classes=10):
        super().__init__()
        self.stages = nn.Sequential(*(block(64, 1) for _ in range(sum(layers))))

    def forward(self, x):
        return self.stages(x)

def net20({first}*args, **kwargs):
    return Net({first}Wide, [3, 3], *args, **kwargs)
"""


def test_a_function_hands_on_no_more_than_it_is_given(read: Read) -> None:
    program = read(
        _FAMILY.format(first="") + "\ndef net(depth, **more): return Net(Wide, [3], **more)"
    )
    candidates = next(model for model in program.models if model.name == "Net").candidates
    assert [(c.constructor, c.bindings) for c in candidates][:2] == [
        ("Net(Wide, [3, 3], *args, **kwargs)", (("args", "()"), ("kwargs", "{}"))),
        ("Net(Wide, [3], **more)", (("more", "{}"),)),
    ]


def test_what_else_a_function_hands_on_does_not_hide_the_arguments_in_sight(read: Read) -> None:
    program = read(_FAMILY.format(first="width, "))
    candidates = next(model for model in program.models if model.name == "Net").candidates
    assert candidates[0].constructor == "Net(width=64, block=Wide, layers=[3, 3])"


_PART = """
import torch.nn as nn

class Net(nn.Module):
    def __init__(self, plan, width):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for kind, times in plan)

    def forward(self, x):
        return self.layers[0](x)
"""
_TRAINER = """
from model import Net

{maker}
"""
_OF_CLASS = """
class Trainer:
    def __init__(self, args, plan):
        self.net = Net(plan, args.width)
"""
_OF_FUNCTION = """
def train(args, plan):
    net = Net(plan, args.width)
"""
_MAIN = """
import argparse
from trainer import {name}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", default=48)
    args = parser.parse_args()
    stages = [("conv", 2), ("pool", 1)]
    {name}(args, stages)
"""


@pytest.mark.parametrize(
    ("maker", "name"), [(_OF_CLASS, "Trainer"), (_OF_FUNCTION, "train")], ids=["class", "function"]
)
def test_what_a_script_hands_to_the_maker_of_a_model_reaches_the_model(
    read: Read, maker: str, name: str
) -> None:
    others = {"trainer.py": _TRAINER.format(maker=maker), "main.py": _MAIN.format(name=name)}
    candidate = read(_PART, others=others).models[0].candidates[0]
    assert candidate.constructor == "Net(plan=stages, width=args.width)"
    assert candidate.bindings == (
        ("stages", "[('conv', 2), ('pool', 1)]"),
        ("args", "__import__('types').SimpleNamespace(width=48)"),
    )


def test_names_of_two_files_are_kept_apart(read: Read) -> None:
    main = _MAIN.format(name="Trainer").replace("stages", "width")
    trainer = _TRAINER.format(maker=_OF_CLASS.replace("args.width", "width"))
    trainer = trainer.replace("self.net", "width = 24\n        self.net")
    candidates = read(_PART, others={"trainer.py": trainer, "main.py": main}).models[0].candidates
    assert candidates[0].constructor == "Net(plan=width, width=width_2)"


def test_a_depth_that_a_layer_has_for_its_features_is_as_large_as_they_are(read: Read) -> None:
    source = """
    import torch.nn as nn

    class Unit(nn.Module):
        def __init__(self, in_channel, depth, stride):
            super().__init__()
            self.conv = nn.Conv2d(in_channel, depth, 3, stride)

        def forward(self, x):
            return self.conv(x)
    """
    assert read(source).models[0].candidates[0].constructor == "Unit(64, 64, 1)"


def test_a_place_among_settings_is_no_number_by_which_a_file_could_be_opened(read: Read) -> None:
    source = """
    import os
    import torch.nn as nn

    class Net(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.lines = open(os.path.join(config["path"]["statistics_path"], "all.txt")).read()
            self.fc = nn.Linear(config["hidden_size"], len(self.lines))

        def forward(self, x):
            return self.fc(x)
    """
    constructor = read(source).models[0].candidates[0].constructor
    assert "path=dict(statistics_path='')" in constructor
