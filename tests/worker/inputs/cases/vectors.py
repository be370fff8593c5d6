"""Vectors, numbers and indices, one for each sample."""

from __future__ import annotations

from tests.worker.inputs.search import net

CASES: dict[str, tuple[str, tuple[str, ...]]] = {
    "features of which each is multiplied by each": (
        net(
            "self.c = nn.Conv1d(64, 4, 1)",
            "return self.c((x.unsqueeze(2) * x.unsqueeze(1)).flatten(1, 2))",
        ),
        ("float32[8,8,64]",),
    ),
    "indices that stay below the size of what they point into": (
        net(
            "self.e = nn.Embedding(9, 4)",
            "rows = self.e(words).mean(1); return rows[order]",
            "words, order",
        ),
        ("int64[8,32]", "int64[8,4]"),
    ),
    "a label for each sample": (
        net(
            "self.e = nn.Embedding(9, 4); self.l = nn.Linear(4, 2)",
            "y = self.l(self.e(x).mean(1));return F.cross_entropy(y, batch_label.view(x.size(0)))",
            "x, batch_label",
        ),
        ("int64[8,32]", "int64[8]"),
    ),
    "a linear layer takes vectors": (
        net("self.l = nn.Linear(20, 3)", "return self.l(x)"),
        ("float32[8,20]",),
    ),
    "a size called n in front of all others counts the samples": (
        net(
            "self.c = nn.Conv2d(3, 8, 4, 4); self.a = nn.MultiheadAttention(8, 2)",
            "n, c, h, w = x.shape; t = self.c(1.0 * x).flatten(2).permute(2, 0, 1); "
            "x = t + 1.0; return self.a(x, x, x)[0]",
        ),
        ("float32[8,3,32,32]",),
    ),
    "a size does not correspond to another": (
        net(
            "self.l = nn.Linear(7, 3); self.e = nn.Linear(5, 3)",
            'error = ValueError(f"{x.shape[-1]} doesn\'t correspond to the size of e: 5"); '
            "exec('if x.shape[-1] != 5: raise error'); return self.e(1.0 * x)",
        ),
        ("float32[8,5]",),
    ),
    "what is joined before a norm shares its width": (
        net(
            "self.n = nn.LayerNorm(12)",
            "return self.n(torch.cat([z_source, z_dest], -1))",
            "z_source, z_dest",
        ),
        ("float32[8,32,6]", "float32[8,32,6]"),
    ),
    "what is split into too few parts is longer": (
        net(
            "self.l = nn.Conv2d(4, 3, 1)",
            "parts = torch.split(x, 4, 1); return self.l(parts[0]) + self.l(parts[1])",
        ),
        ("float32[8,8,32,32]",),
    ),
    "what meets features in a sum has as many": (
        net(
            "self.e = nn.Embedding(32, 6)",
            "return seq + self.e(torch.arange(seq.shape[1]))",
            "seq",
        ),
        ("float32[8,32,6]",),
    ),
    "what is counted is a number": (
        net(
            "self.l = nn.Linear(1, 3)",
            "return self.l(torch.arange(i, i + j)[:, None] * 1.0)",
            "i, j",
        ),
        ("32", "32"),
    ),
    "an array of one dimension is one number for each sample": (
        net(
            "self.l = nn.Linear(1, 3)",
            "assert len(amounts.shape) == 1, 'amounts should be a 1d-array'; "
            "return self.l(amounts[:, None].float())",
            "amounts",
        ),
        ("float32[8]",),
    ),
    "what is concatenated with something of fewer dimensions has fewer": (
        net(
            "self.e = nn.Embedding(9, 8); self.g = nn.GRU(16, 8)",
            "return self.g(torch.cat([self.e(word).unsqueeze(0), state[-1:]], 2), state)[0]",
            "word, state",
        ),
        ("int64[8]", "float32[1,8,8]"),
    ),
    "a matrix of weights takes vectors, though its sizes are called channels": (
        net(
            "self.in_channels = 5; self.w = nn.Parameter(torch.ones(5, 4))",
            "return x @ self.w",
        ),
        ("float32[8,5]",),
    ),
    "layers are tried in the order in which they run": (
        net(
            "self.l = nn.Linear(6, 2); self.c = nn.Conv1d(5, 6, 1)",
            "return self.l(self.c(x).mean(-1))",
        ),
        ("float32[8,5,64]",),
    ),
    "labels are one for each sample": (
        net(
            "self.e = nn.Embedding(10, 4); self.l = nn.Linear(12, 3)",
            "return self.l(torch.cat([self.e(labels), noise], 1))",
            "noise, labels",
        ),
        ("float32[8,8]", "int64[8]"),
    ),
    "each row of an argument is taken apart": (
        net(
            "self.l = nn.Linear(6, 2)",
            "return self.l(x) + sum([u * v + w for u, v, w in spans])",
            "x, spans",
        ),
        ("float32[8,6]", "float32[8,3]"),
    ),
    "what picks rows of a table of the model stays below its length": (
        net(
            "self.register_buffer('memory', torch.randn(20, 6)); self.l = nn.Linear(6, 3)",
            "return self.l(self.memory[who])",
            "who",
        ),
        ("int64[8]",),
    ),
    "the kind of each row is below the number of kinds": (
        net(
            "self.w = nn.Parameter(torch.randn(3, 6)); self.num_types = 3",
            "return x * self.w[type_vec]",
            "x, type_vec",
        ),
        ("float32[8,6]", "int64[8]"),
    ),
    "a lazy layer that slides over nothing takes features": (
        """
class Lazy(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.UninitializedParameter()
        self.register_forward_pre_hook(Lazy.begin)
    def begin(self, inputs):
        if nn.parameter.is_lazy(self.weight):
            self.weight.materialize((3, inputs[0].shape[-1]))
            nn.init.normal_(self.weight)
    def forward(self, x):
        return x @ self.weight.t()

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = Lazy()
    def forward(self, x):
        return self.part(x)
""",
        ("float32[8,16]",),
    ),
    "a mode is one that the code knows": (
        net(
            "self.l = nn.Linear(3, 4)",
            "assert mode in ('a', 'b'); return self.l(x) if mode == 'b' else self.l(x)",
            "x, mode",
        ),
        ("float32[8,3]", "'b'"),
    ),
    "double precision is followed": (
        net("self.l = nn.Linear(3, 4).double()", "return self.l(x)"),
        ("float64[8,3]",),
    ),
    "a multiple is read behind the names of its factors": (
        net(
            "self.c = nn.Conv1d(3, 4, 3)",
            "if x.shape[-1] % 50: raise ValueError('must be a multiple of `n * 2` (50)'); "
            "return self.c(x)",
        ),
        ("float32[8,3,100]",),
    ),
    "the size that a published architecture was made for is tried": (
        net(
            "self.in_size = (96, 96); self.c = nn.Conv2d(3, 4, 3)",
            "if x.shape[-1] != 96: raise ValueError('no'); return self.c(x)",
        ),
        ("float32[8,3,96,96]",),
    ),
    "a function is passed for what is called": (
        net("self.n = nn.LayerNorm(6)", "return x + branch(self.n(x))", "x, branch"),
        ("float32[8,32,6]", "PassThrough()"),
    ),
    "the parts of a split sum to what is split": (
        net(
            "self.l = nn.Linear(4, 2)",
            "a, b = torch.split(x, [4, 3], -1); return self.l(a) * b.sum()",
        ),
        ("float32[8,7]",),
    ),
    "features are counted beside an encoding of where they are": (
        net(
            "self.n = nn.LayerNorm(3 + 4); self.l = nn.Linear(7, 2)",
            "at = torch.rand(*x.shape[:-1], 4); return self.l(self.n(torch.cat([x, at], -1)))",
        ),
        ("float32[8,32,3]",),
    ),
    "the columns of a date are looked up one by one": (
        net(
            "self.r = nn.LSTM(6, 4, batch_first=True); "
            "self.month = nn.Embedding(13, 4); self.day = nn.Embedding(7, 4)",
            "mark = mark.long(); assert mark.shape[1] == x.shape[1]; "
            "return self.r(x)[0] + self.month(mark[:, :, 0]) + self.day(mark[:, :, 1])",
            "x, mark",
        ),
        ("float32[8,32,6]", "int64[8,32,32]"),
    ),
    "a dimension that is asked for has one element": (
        net(
            "self.l = nn.Linear(6, 2)",
            "assert adj.shape[2] == 1 or adj.shape[2] == 4; return adj.sum(-1) @ self.l(h)",
            "h, adj",
        ),
        ("float32[32,6]", "float32[32,32,1]"),
    ),
    "what a failed pass shrank is as it was for the next": (
        net(
            "self.c = nn.Conv2d(3, 2, 8, 8); self.window = 7",
            "x = self.c(x); self.window = min(self.window, x.shape[-1]); "
            "return x[..., :self.window, :self.window].flatten(2) * torch.ones(49)",
        ),
        ("float32[8,3,56,56]",),
    ),
    "a number for each sample stands where a column meets it": (
        net("self.x = nn.Linear(6, 1)", "return self.x(x) * timestep", "x, timestep"),
        ("float32[8,6]", "int64[8,1]"),
    ),
    "how far a sample is on its way is a number": (
        net(
            "self.l = nn.Linear(6, 4)",
            "return self.l(x) * timestep_ratio.view(-1, 1)",
            "x, timestep_ratio",
        ),
        ("float32[8,6]", "float32[8]"),
    ),
    "numbers of kinds are no sides": (
        net(
            "self.l = nn.Linear(6, 4); self.kinds = nn.Parameter(torch.randn(9, 4))",
            "return self.l(x) + sum(self.kinds[index] for index in control_type_idx)",
            "x, control_type_idx: list[int]",
        ),
        ("float32[8,6]", "[0, 1]"),
    ),
    "a type of numbers is no tensor": (
        net(
            "self.l = nn.Linear(6, 4)",
            "return self.l(x.to(dtype)).to(hidden_dtype)",
            "x, dtype: torch.dtype, hidden_dtype",
        ),
        ("float32[8,6]", "torch.float32", "torch.float32"),
    ),
    "a part of what is taken apart is as deep as what it is joined to": (
        net(
            "self.e = nn.Embedding(9, 6); self.l = nn.Linear(6, 6)",
            "text, frames = inputs; h = self.e(text); b, t, d = h.shape;"
            "return self.l(torch.cat([h, frames[:, :-1]], 1)).mean(1)",
            "inputs",
        ),
        ("(int64[8,32], float32[8,32,6])",),
    ),
    "so many samples as a number says belong together": (
        net(
            "self.l = nn.Linear(6, 2)",
            "n, t, c = x.shape; return self.l(x.reshape(n // num_frames, num_frames, t, c))",
            "x, num_frames: int",
        ),
        ("float32[8,32,6]", "4"),
    ),
    "what is normalised by groups was joined": (
        net(
            "self.c = nn.Conv2d(4, 4, 1); self.n = nn.GroupNorm(2, 6)",
            "return self.n(torch.cat([self.c(x), kept], 1))",
            "x, kept",
        ),
        ("float32[8,4,32,32]", "float32[8,2,32,32]"),
    ),
    "features are taken apart into heads": (
        net(
            "self.c = nn.Conv1d(12, 4, 3)",
            "b, t, _ = x.shape; x = x.transpose(1, 2).reshape(b, 6, 12, t); "
            "return self.c(x.mean(1))",
        ),
        ("float32[8,12,72]",),
    ),
    "two indices whose rows a product of matrices compares with all": (
        net(
            "self.e = nn.Embedding(9, 6); self.r = nn.Embedding(5, 6)",
            "y = self.e(one).squeeze() * self.r(kind).squeeze();"
            "return torch.mm(y, self.e.weight.t())",
            "one, kind",
        ),
        ("int64[8]", "int64[8]"),
    ),
}
