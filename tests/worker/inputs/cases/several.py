"""Several inputs, lists and mappings of them, masks, and arguments that may be left out."""

from __future__ import annotations

from tests.worker.inputs.search import net

CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "the only one of several inputs that is read": (
        net(
            "self.e = nn.Embedding(20, 6); self.r = nn.LSTM(6, 5, batch_first=True)",
            "text = inputs[0];"
            "lengths = (text >= 0).sum(-1);"
            "pack = nn.utils.rnn.pack_padded_sequence;"
            "return self.r(pack(self.e(text), lengths, batch_first=True))[1][0][0]",
            "inputs",
        ),
        ("(int64[8,32],)",),
    ),
    "features of which each pair is multiplied": (
        net(
            "self.l = nn.Linear(28, 4)",
            "i, j = torch.triu_indices(x.shape[1], x.shape[1], 1);"
            "return self.l((x[:, i] * x[:, j]).sum(2))",
        ),
        ("float32[8,8,28]",),
    ),
    "a measurement that is masked and no mask": (
        net("self.c = nn.Conv2d(2, 5, 3)", "return self.c(masked_image * 1.0)", "masked_image"),
        ("float32[8,2,32,32]",),
    ),
    "a mask that selects": (
        net(
            "self.l = nn.Linear(4, 4)",
            "y = self.l(x); return y.masked_select(mask.unsqueeze(-1).expand_as(y))",
            "x, mask",
        ),
        ("float32[8,32,4]", "bool[8,32]"),
    ),
    "what is missing is called otherwise further inside": (
        net(
            "self.l = nn.Linear(4, 4); self.inner = lambda t: self.deep(t); "
            "self.deep = lambda s: self.deeper(s); self.deeper = lambda steps: steps.float()",
            "return self.l(x) * self.inner(timestep)[:, None]",
            "x, timestep=None",
        ),
        ("float32[8,4]", "timestep: int64[8]"),
    ),
    "an entry of a mapping has more dimensions than another": (
        net(
            "self.e = nn.Embedding(9, 4)",
            "v = self.e(features['kinds'][:, :, 1].long().clamp(0, 8)); "
            "return v * (features['mask'] == 1)[..., None]",
            "features: dict[str, object]",
        ),
        ("{mask: int64[8,32], kinds: int64[8,32,16]}",),
    ),
    "what training cannot do without is given together": (
        net(
            "self.e = nn.Embedding(50, 8); self.l = nn.Linear(8, 1)",
            "r'''; "
            "pitch (`torch.Tensor` of shape `(batch_size, sequence_length + 1, 1)`, *optional*):; "
            "    The pitch.; "
            "'''; "
            "missing = pitch is None or durations is None; "
            "if self.training and missing: raise ValueError('all labels are wanted in training'); "
            "frames = [h.repeat_interleave(d, 0) for h, d in zip(self.e(input_ids), durations)]; "
            "return self.l(torch.stack(frames)) - pitch",
            "input_ids, pitch=None, durations=None",
        ),
        ("int64[8,32]", "pitch: float32[8,32,1]", "durations: int64[8,32]"),
    ),
    "an argument that can only be named is named": (
        net("self.l = nn.Linear(20, 3)", "return self.l(x) * self.l(condition)", "x, *, condition"),
        ("float32[8,20]", "condition: float32[8,20]"),
    ),
    "a list has as many tensors as are read from it": (
        net(
            "self.l = nn.Linear(6, 4)",
            "return self.l(maps[0] + maps[3])",
            "maps: list[torch.Tensor]",
        ),
        ("[float32[8,6], float32[8,6], float32[8,6], float32[8,6]]",),
    ),
    "a batch that may be a tensor is one": (
        net(
            "self.l = nn.Linear(5, 3)",
            "return self.l(x['patches'] if isinstance(x, dict) else x)",
            "x: torch.Tensor | dict[str, torch.Tensor]",
        ),
        ("float32[8,5]",),
    ),
    "a mask that is inverted is one of flags": (
        net(
            "self.e = nn.Embedding(50, 8)",
            "return self.e(x).masked_fill(~attention_mask[..., None], 0.0)",
            "x, attention_mask",
        ),
        ("int64[8,32]", "bool[8,32]"),
    ),
    "a list of tensors is a list": (
        net(
            "self.l = nn.Linear(6, 3)",
            "return self.l(features[0]) + self.l(features[1])",
            "features: list[torch.Tensor]",
        ),
        ("[float32[8,6], float32[8,6]]",),
    ),
    "an optional argument is given without which forward raises": (
        net(
            "self.l = nn.Linear(6, 3)",
            "if weight_of is None and self.training: raise ValueError('Something is missing'); "
            "return self.l(x) * weight_of.mean()",
            "x, weight_of=None",
        ),
        ("float32[8,6]", "weight_of: float32[8,6]"),
    ),
    "an optional argument is given that a part asks for by half of its name": (
        "class Part(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__(); self.e = nn.Embedding(50, 3)\n"
        "    def forward(self, seen, input_ids=None):\n"
        "        if input_ids is None: raise ValueError('You must specify input_ids')\n"
        "        return self.e(input_ids).sum(1) + seen\n"
        + net(
            "self.l = nn.Linear(6, 3); self.p = Part()",
            "more = {'input_ids': decoder_input_ids}; return self.p(self.l(x), **more)",
            "x, decoder_input_ids=None",
        ),
        ("float32[8,6]", "decoder_input_ids: int64[8,32]"),
    ),
    "what is given a last dimension has not one of the size of a parameter": (
        net(
            "self.f = nn.Parameter(torch.arange(1.0, 6.0))",
            "d = d.unsqueeze(-1) / 5.0; return (self.f * d).sin()",
            "d",
        ),
        ("float32[8]",),
    ),
    "a mapping has the keys by which the model knows its parts": (
        net(
            "self.lines = nn.ModuleDict({'man': nn.Linear(4, 2), 'dog': nn.Linear(4, 2)})",
            "return [self.lines[key](x) for key, x in parts.items()]",
            "parts: 'dict[str, torch.Tensor]'",
        ),
        ("{man: float32[8,4], dog: float32[8,4]}",),
    ),
    "what is handed on unnamed is what the part takes": (
        """
class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(6, 3)
    def forward(self, x, edge_index):
        row, col = edge_index
        return self.l(x)[row] - self.l(x)[col]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Part()
    def forward(self, *args, **kwargs):
        return self.part(*args, **kwargs)
""",
        ("float32[32,6]", "int64[2,96]"),
    ),
    "rows that are added up by sets belong to several of them": (
        net(
            "self.l = nn.Linear(6, 4); self.n = nn.BatchNorm1d(4)",
            "rows = self.l(x);"
            "sets = rows.new_zeros(int(index.max()) + 1, 4) if index is not None else rows[:1];"
            "return self.n(sets if index is None else sets.index_add(0, index, rows))",
            "x, index=None, ptr=None",
        ),
        ("float32[32,6]", "index: int64[32]"),
    ),
    "what is handed on unnamed is what the first of several parts takes": (
        """
class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(6, 3)
    def forward(self, x, edge_index):
        row, col = edge_index
        return self.l(x)[row] - self.l(x)[col]

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleList([Part(), Part()])
        self.scales = nn.Embedding(4, 1)
        self.num_relations = 4
    def forward(self, edge_type, *args):
        out = 0
        for part in self.parts:
            out = out + part(*args) * self.scales(edge_type)
        return out
""",
        ("int64[96]", "float32[32,6]", "int64[2,96]"),
    ),
    "what comes first is a tensor, though it may be None": (
        net(
            "self.l = nn.Linear(6, 6); self.e = nn.Embedding(9, 6)",
            "return self.e(y) if x is None else self.e(y) + self.l(x)",
            "x: 'torch.Tensor | None', y",
        ),
        ("float32[8,6]", "int64[8]"),
    ),
    "a mask that selects rows has one flag for each": (
        net(
            "self.e = nn.Embedding(10, 6); self.l = nn.Linear(6, 6)",
            "h = self.l(x); h[mask] = h[mask] + self.e(y[mask]); return h",
            "x, y, mask",
        ),
        ("float32[8,6]", "int64[8]", "bool[8]"),
    ),
    "a mask masks nothing": (
        net(
            "self.l = nn.Linear(6, 6)",
            "b, t, c = x.shape; s = self.l(x) @ x.transpose(1, 2); "
            "return s.masked_fill(mask == 0, -1e9)",
            "x, mask",
        ),
        ("float32[8,32,6]", "bool[32,32]"),
    ),
    "a batch is a dictionary of what it is asked for": (
        net(
            "self.c = nn.Conv2d(3, 4, 1); self.e = nn.Embedding(9, 4)",
            'return self.c(batch["image"]).mean((2, 3)) + self.e(batch["tokens"]).mean(1)',
            "batch",
        ),
        ("{image: float32[8,3,32,32], tokens: int64[8,32]}",),
    ),
    "a tuple is unpacked": (
        net("self.a = nn.Linear(3, 4)", "a, b = pair; return self.a(a) + self.a(b)", "pair"),
        ("(float32[8,3], float32[8,3])",),
    ),
    "a batch size of the model's own is kept": (
        net(
            "self.batch_size = 20; self.r = nn.GRU(3, 4); self.h = torch.zeros(1, 20, 4)",
            "return self.r(x, self.h)[0]",
        ),
        ("float32[32,20,3]",),
    ),
    "an optional argument is given where the error names it": (
        net(
            "self.l = nn.Linear(3, 4)",
            "if y is None: raise ValueError('y is required'); return self.l(x) + self.l(y)",
            "x, y=None",
        ),
        ("float32[8,3]", "y: float32[8,3]"),
    ),
    "the main argument is given where all are optional": (
        net(
            "self.e = nn.Embedding(9, 4)",
            "return self.e(input_ids)",
            "attention_mask=None, input_ids=None",
        ),
        ("input_ids: int64[8,32]",),
    ),
    "a model that folds its batch takes one sample at a time": (
        net(
            "self.e = nn.Embedding(9, 8); self.r = nn.GRU(8, 8)",
            "return self.r(self.e(x).view(1, 1, -1))[0]",
        ),
        ("int64[1,1]",),
    ),
    "indexed inputs are several": (
        net(
            "self.l = nn.Linear(6, 2); self.k = nn.Linear(5, 2)",
            "a, b = inputs[0], inputs[1]; return self.l(a) + self.k(b)",
            "inputs",
        ),
        ("(float32[8,6], float32[8,5])",),
    ),
    "two inputs are joined, and one of them to what was made of both": (
        net(
            "self.e = nn.Linear(7 + 4, 6); self.d = nn.Linear(7 + 6, 4)",
            "z = self.e(torch.cat([state, action], 1)); return self.d(torch.cat([state, z], 1))",
            "state, action",
        ),
        ("float32[8,7]", "float32[8,4]"),
    ),
    "a part meets the None of an optional argument under another name": (
        """
class Pool(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(6, 3)
    def forward(self, x):
        return self.l(x.permute(0, 2, 1).mean(2))

class Styles(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = Pool()
        self.table = nn.Embedding(5, 3)
    def forward(self, hidden, kind):
        return self.pool(hidden)[:, None] + self.table(kind)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 3)
        self.styles = Styles()
    def forward(self, x, other=None, prompt=None, theme=None):
        return self.l(x) + self.styles(prompt, kind=theme)
""",
        ("float32[8,32,4]", "prompt: float32[8,32,6]", "theme: int64[8,32]"),
    ),
    "a local name stands for the None of an optional argument": (
        net(
            "self.c = nn.Conv2d(3, 3, 1); self.d = nn.Conv2d(6, 2, 1)",
            "h = hint; return self.d(torch.cat([h, self.c(x)], 1))",
            "x, hint=None",
        ),
        ("float32[8,3,32,32]", "hint: float32[8,3,32,32]"),
    ),
    "what is repeated for each sample is given once": (
        net(
            "self.c = nn.Conv2d(5, 4, 3)",
            "m = nn.functional.interpolate(pad_mask.float(), x.shape[-2:]); "
            "return self.c(torch.cat([x, m.repeat(x.shape[0], 1, 1, 1)], 1))",
            "x, pad_mask",
        ),
        ("float32[8,4,32,32]", "bool[1,1,1,32]"),
    ),
    "keywords for another function are left out": (
        net(
            "self.l = nn.Linear(6, 2)",
            "more = kwargs_of.copy() if kwargs_of is not None else {}; return self.l(x, **more)",
            "x, kwargs_of",
        ).replace("kwargs_of", "attention_kwargs"),
        ("float32[8,6]", "None"),
    ),
    "only with an optional argument has a parameter a part in the output": (
        net(
            "self.l = nn.Linear(6, 2)",
            "parts = [] if x is None else [x.mean(0)]; "
            "parts += [] if end is None else [self.l(end).mean(0)]; return torch.cat(parts)",
            "x=None, end=None",
        ),
        ("x: float32[8,6]", "end: float32[8,6]"),
    ),
    "what is read where one optional argument is made of another, not what is made": (
        net(
            "self.e = nn.Embedding(50, 6); self.l = nn.Linear(3, 6)",
            "if hidden is None: hidden = self.e(words);return self.l(x) + hidden.mean(1)",
            "x, hidden=None, words=None",
        ).replace("if hidden is None: ", "if hidden is None:\n            "),
        ("float32[8,3]", "words: int64[8,32]"),
    ),
    "what an optional argument is made of, where it is none that could be drawn": (
        "class Kept:\n"
        "    def __init__(self, states):\n"
        "        self.states = states\n"
        "    def last(self):\n"
        "        return self.states\n"
        + net(
            "self.c = nn.Conv2d(3, 4, 3); self.l = nn.Linear(6, 4)",
            "if image is not None:;"
            "kept = Kept(self.c(image).mean((2, 3)));"
            "return self.l(x) + kept.last()",
            "x, image=None, kept=None",
        ).replace("kept = Kept", "    kept = Kept"),
        ("float32[8,6]", "image: float32[8,3,32,32]"),
    ),
    "what was compared, because nothing equals None": (
        net(
            "self.l = nn.Linear(6, 4); self.e = nn.Embedding(50, 4)",
            "known = words == 3; return self.l(x) + self.e(words * known.long()).mean(1)",
            "x, words=None",
        ),
        ("float32[8,6]", "words: int64[8,32]"),
    ),
    "a mask with a column for each of several images": (
        net(
            "self.c = nn.Conv2d(3, 4, 3); self.seat = nn.Parameter(torch.randn(1, 5, 3, 32, 32))",
            "several, count = image_mask.shape;"
            "images = images + self.seat.expand(several, -1, -1, -1, -1);"
            "h = self.c(images.flatten(0, 1)).mean((2, 3)).reshape(several, count, 4);"
            "return h * image_mask[..., None]",
            "images, image_mask",
        ),
        ("float32[8,5,3,32,32]", "int64[8,5]"),
    ),
    "how many rows each sample has, by which they are taken apart": (
        net(
            "self.e = nn.Embedding(5000, 6); self.l = nn.Linear(6, 2)",
            "rows = self.e(words).mean(1); parts = []; start = 0;"
            "for count in structure:;"
            "    part = rows[start:start + count]; start += count;"
            "    parts.append(nn.functional.pad(part, (0, 0, 0, structure.max() - count)));"
            "return self.l(torch.stack(parts))",
            "words, structure",
        )
        .replace("part = rows", "    part = rows")
        .replace("start += count", "    start += count")
        .replace("parts.append", "    parts.append"),
        ("int64[8,32]", "int64[8]"),
    ),
}
