from __future__ import annotations

import pytest
import torch
from torch import nn

from gradlint.worker.building.build import build
from gradlint.worker.inputs import search
from gradlint.worker.inputs.facts import Facts
from gradlint.worker.inputs.forwards import Forward
from gradlint.worker.inputs.guesses import argument_for
from gradlint.worker.inputs.search import Search
from gradlint.worker.inputs.specs import Filled, described
from gradlint.worker.running.failure import UserError
from gradlint.worker.running.outputs import tensors_of
from tests.worker.models import module_of, request


def found(source: str, constructor: str = "Net()", sequence_length: int = 0) -> tuple[str, ...]:
    """The inputs that the search finds for a model; they run with a gradient."""
    module = module_of(source)
    built = build(module, request(constructor, sequence_length=sequence_length))
    args, kwargs = built.inputs()
    assert tensors_of(built.make()(*args, **kwargs))
    return built.described


def net(init: str, forward: str, arguments: str = "x") -> str:
    """The source of a model with these bodies."""
    lines = ["class Net(nn.Module):", "    def __init__(self):", "        super().__init__()"]
    lines += [f"        {line.strip()}" for line in init.split(";")]
    lines += [f"    def forward(self, {arguments}):"]
    lines += [f"        {line.strip()}" for line in forward.split(";")]
    return "\n".join(lines) + "\n"


CASES = {
    "an array that is made a tensor, whose words stand in the table of what is made of it": (
        net(
            "self.places = nn.Embedding(40, 5); self.words = nn.Embedding(7, 5)",
            "import numpy as np;"
            "seen = self.words(torch.LongTensor(log_seqs));"
            "steps = np.tile(np.arange(1, log_seqs.shape[1] + 1), [log_seqs.shape[0], 1]);"
            "steps *= (log_seqs != 0);"
            "return seen + self.places(torch.LongTensor(steps))",
            "log_seqs",
        ),
        ("numpy.int64[8,32]",),
    ),
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
    "a label for each step of what is labelled, where the message tells both shapes": (
        net(
            "self.l = nn.Linear(6, 5)",
            "steps = tuple(scores.shape[:2]);"
            "if scores.dim() != 3 or steps != tuple(labels.shape):"
            " raise ValueError(f'must begin alike, got {steps} and {tuple(labels.shape)}');"
            "return self.l(scores).gather(2, labels.clamp(max=4).unsqueeze(2).long())",
            "scores, labels",
        ),
        ("float32[8,32,6]", "int64[8,32]"),
    ),
    "steps of features that are looked at as an image of one channel": (
        net(
            "self.c = nn.Conv2d(1, 5, (3, 7)); self.g = nn.GRU(5, 4)",
            "c = self.c(x.view(-1, 1, 11, 7)).squeeze(3);"
            "r = self.g(c.permute(2, 0, 1))[1].squeeze(0);"
            "return torch.cat([r, x[:, -1]], 1)",
        ),
        ("float32[8,11,7]",),
    ),
    "an image of which patches are merged, not what became of them": (
        net(
            "self.norm = nn.LayerNorm(24); self.l = nn.Linear(24, 4)",
            "shape = x.size();"
            "corners = [(i, j) for i in (0, 1) for j in (0, 1)];"
            "x = x.flatten(1, 2) if len(shape) == 5 else x;"
            "x = torch.cat([x[:, i::2, j::2] for i, j in corners], -1) if len(shape) == 4 else x;"
            "return self.l(self.norm(x))",
        ),
        ("float32[8,32,32,6]",),
    ),
    "a volume that is deep enough to be cut into slices": (
        net(
            "self.c = nn.Conv3d(2, 5, 3)",
            "return torch.cat([self.c(part) for part in x.chunk(8, 2)], 2)",
        ),
        ("float32[8,2,32,32,32]",),
    ),
    "an image to which noise of each sample's own strength is added": (
        net(
            "self.e = nn.Embedding(9, 5); self.c = nn.Conv2d(3, 5, 3)",
            "steps = torch.randint(9, (len(x),));"
            "noisy = x + torch.rand(len(x))[:, None, None, None] * torch.randn_like(x);"
            "return self.e(steps)[:, :, None, None] + self.c(noisy)",
        ),
        ("float32[8,3,32,32]",),
    ),
    "a batch that holds words and their lengths, of which the steps come first": (
        net(
            "self.e = nn.Embedding(9, 6); self.g = nn.GRU(6, 5)",
            "src, n = batch.src, batch.lengths;"
            "h = nn.utils.rnn.pack_padded_sequence(self.e(src), n, enforce_sorted=False);"
            "return self.g(h)[1]",
            "batch",
        ),
        ("src: int64[32,8], lengths: int64[8]",),
    ),
    "two images that share the channels of what joins them": (
        net("self.c = nn.Conv2d(4, 5, 3)", "return self.c(torch.cat([a, b], 1))", "a, b"),
        ("float32[8,2,32,32]", "float32[8,2,32,32]"),
    ),
    "an image whose sides are twice those of another": (
        net(
            "self.u = nn.ConvTranspose2d(6, 4, 4, 2, 1); self.c = nn.Conv2d(4, 4, 1)",
            "assert x.dim() == mid.dim();"
            "twice = all(2 * a == b for a, b in zip(x.shape[2:], mid.shape[2:]));"
            "told = f'sides must be the double: {x.shape} and {mid.shape}';"
            "assert twice, told; return self.u(x) + self.c(mid)",
            "x, mid",
        ),
        ("float32[8,6,8,8]", "float32[8,4,16,16]"),
    ),
    "an image of whose sides another is made": (
        net(
            "self.c = nn.Conv2d(6, 4, 1); self.l = nn.Linear(3, 4)",
            "y = F.interpolate(self.c(x), like.shape[2:]); return y + self.l(like.mean((2, 3)))"
            "[..., None, None]",
            "x, like",
        ),
        ("float32[8,6,32,32]", "float32[8,3,32,32]"),
    ),
    "lists of images in a list": (
        net(
            "self.c = nn.Conv2d(2, 4, 1)",
            "assert isinstance(images[0], list);"
            "return torch.stack([self.c(image[None]) for row in images for image in row])",
            "images: list[list[torch.Tensor]]",
        ),
        ("[[float32[2,32,32], float32[2,32,32]], [float32[2,32,32], float32[2,32,32]]]",),
    ),
    "features of which each is multiplied by each": (
        net(
            "self.c = nn.Conv1d(64, 4, 1)",
            "return self.c((x.unsqueeze(2) * x.unsqueeze(1)).flatten(1, 2))",
        ),
        ("float32[8,8,64]",),
    ),
    "features of which each pair is multiplied": (
        net(
            "self.l = nn.Linear(28, 4)",
            "i, j = torch.triu_indices(x.shape[1], x.shape[1], 1);"
            "return self.l((x[:, i] * x[:, j]).sum(2))",
        ),
        ("float32[8,8,28]",),
    ),
    "one step fewer than the model was made for, as a remark says": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.window = 8
                self.gru = nn.GRU(5, 6, batch_first=True)
            def forward(self, history):
                # history: (batch_size, window - 1, 5)
                return self.gru(history)[0]
        """,
        ("float32[8,7,5]",),
    ),
    "as many steps as stand beside the state that they are joined to": (
        net(
            "self.g = nn.LSTM(4, 6); self.l = nn.Linear(13, 1)",
            "h = x.new_zeros(len(x), 4, 6); x = torch.cat([h, x.permute(0, 2, 1)], 2);"
            "a = self.l(x.view(-1, 13)).view(-1, 4); return self.g(a[None])[0]",
        ),
        ("float32[8,7,4]",),
    ),
    "words and others of which only the positions tell": (
        net(
            "self.w = nn.Embedding(9, 6); self.p = nn.Embedding(9, 6); self.l = nn.Linear(12, 4)",
            "h = torch.cat([self.w(x[0]), self.p(x[2])], -1); return self.l(h.mean(1))",
        ),
        ("(int64[8,32], int64[8,32], int64[8,32])",),
    ),
    "a measurement that is masked and no mask": (
        net("self.c = nn.Conv2d(2, 5, 3)", "return self.c(masked_image * 1.0)", "masked_image"),
        ("float32[8,2,32,32]",),
    ),
    "the places of a vocabulary that attention adds to": (
        net(
            "self.l = nn.Linear(6, 50); self.a = nn.Linear(6, 1)",
            "words = self.l(x.mean(1)).softmax(1);"
            "return words.scatter_add(1, extended_vocab, self.a(x).squeeze(2).softmax(1))",
            "x, extended_vocab",
        ),
        ("float32[8,32,6]", "int64[8,32]"),
    ),
    "a signal that is transposed and long enough": (
        net(
            "self.c = nn.Conv1d(68, 5, 9, 4); self.d = nn.Conv1d(5, 5, 9, 4)",
            "return self.d(F.max_pool1d(self.c(x.transpose(1, 2).type(torch.FloatTensor)), 3))",
        ),
        ("float32[8,256,68]",),
    ),
    "indices that stay below the size of what they point into": (
        net(
            "self.e = nn.Embedding(9, 4)",
            "rows = self.e(words).mean(1); return rows[order]",
            "words, order",
        ),
        ("int64[8,32]", "int64[8,4]"),
    ),
    "the steps of all samples one below the other": (
        net(
            "self.q = nn.Linear(6, 6); self.v = nn.Linear(6, 1)",
            "b, t, n = list(encoder_outputs.size());"
            "q = self.q(state).unsqueeze(1).expand(b, t, n).contiguous().view(-1, n);"
            "weights = self.v(torch.tanh(encoder_feature + q)).view(-1, t).softmax(1);"
            "kept = weights * padding_mask;"
            "return torch.bmm((kept / kept.sum(1, True)).unsqueeze(1), encoder_outputs)",
            "state, encoder_outputs, encoder_feature, padding_mask",
        ),
        ("float32[8,6]", "float32[8,32,6]", "float32[256,6]", "int64[8,32]"),
    ),
    "the state of a recurrent layer by its number of dimensions": (
        net(
            "self.r = nn.LSTM(6, 3, 2, batch_first=True)",
            "out, s_new = self.r(x, s_before); return out",
            "x, s_before",
        ),
        ("float32[8,32,6]", "(float32[2,8,3], float32[2,8,3])"),
    ),
    "the lengths of a text beside it": (
        net(
            "self.part = Part()",
            "return self.part(words, word_lengths)",
            "words, word_lengths",
        )
        + """
class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(9, 4)
        self.r = nn.GRU(4, 3, batch_first=True)
    def forward(self, words, word_lengths):
        packed = nn.utils.rnn.pack_padded_sequence(self.e(words), word_lengths, batch_first=True)
        return self.r(packed)[1]
""",
        ("int64[8,32]", "int64[8]"),
    ),
    "a label for each sample": (
        net(
            "self.e = nn.Embedding(9, 4); self.l = nn.Linear(4, 2)",
            "y = self.l(self.e(x).mean(1));return F.cross_entropy(y, batch_label.view(x.size(0)))",
            "x, batch_label",
        ),
        ("int64[8,32]", "int64[8]"),
    ),
    "a mask that selects": (
        net(
            "self.l = nn.Linear(4, 4)",
            "y = self.l(x); return y.masked_select(mask.unsqueeze(-1).expand_as(y))",
            "x, mask",
        ),
        ("float32[8,32,4]", "bool[8,32]"),
    ),
    "a batch of graphs is copied, and its entries have a row for each node": (
        net(
            "self.l = nn.Linear(5, 3)",
            "b = data.clone(); x = self.l(b.x)[b.edge_index[0]]; "
            "return torch.zeros(9, 3).index_add(0, b.batch[b.edge_index[1]], x)",
            "data",
        ),
        ("x: float32[32,5], edge_index: int64[2,96], batch: int64[32]",),
    ),
    "the width of a hidden state that is made like an argument": (
        net(
            "self.r = nn.LSTM(6, 3)",
            "s = torch.zeros(1, 1, x.shape[-1]); "
            "return self.r(torch.zeros(1, 1, 6), (s, s))[0] + x",
        ),
        ("float32[32,8,3]",),
    ),
    "two volumes of the same shape, whose number of sides is known by a name": (
        net(
            "self.p = nn.Parameter(torch.ones(3))",
            "sides = len(x.shape) - 2; n = len(self.p);"
            "if x.shape != guide.shape: raise ValueError(f'{x.shape} and {guide.shape} differ');"
            "if x.shape[1] != 1: raise ValueError(f'{x.shape[1]} channels');"
            "if n != sides: raise ValueError(f'{sides} sides, not {n}');"
            "return (x + guide) * self.p.sum()",
            "x, guide",
        ),
        ("float32[8,1,16,32,32]", "float32[8,1,16,32,32]"),
    ),
    "a text without the cache that cannot be made": (
        """
class KeysCache:
    def __init__(self, layers):
        self.layers = [None] * layers.depth
"""
        + net(
            "self.l = nn.Linear(6, 4)",
            "use_cache = True if use_cache is None else use_cache;"
            "kept = KeysCache(self.l) if use_cache else None; return self.l(x)",
            "x, use_cache=None",
        ),
        ("float32[8,6]", "use_cache: False"),
    ),
    "the steps of a sequence beside its samples, where a recurrent layer comes later": (
        net(
            "self.l = nn.Linear(6, 4); self.r = nn.GRU(4, 3, batch_first=True)",
            "return self.r(self.l(x).relu())[0]",
        ),
        ("float32[8,32,6]",),
    ),
    "the steps of a sequence first, where a recurrent layer wants them first": (
        net(
            "self.l = nn.Linear(6, 4); self.r = nn.GRU(4, 3)",
            "return self.r(self.l(x).relu())[0][-1]",
        ),
        ("float32[32,8,6]",),
    ),
    "a single step, where that is what a recurrent layer is given": (
        net(
            "self.l = nn.Linear(6, 4); self.r = nn.GRU(4, 3, batch_first=True)",
            "return self.r(self.l(x).relu().unsqueeze(1))[0]",
        ),
        ("float32[8,6]",),
    ),
    "a number of dimensions in words": (
        net(
            "self.r = nn.GRU(6, 3, batch_first=True)",
            "assert x.dim() == 2, 'needs two-dimensional inputs'; return self.r(x[:, None])[0]",
        ),
        ("float32[8,6]",),
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
    "what stands beside pairs is a sequence, and a mask that is no None is given": (
        net(
            "self.l = nn.Linear(6, 6); self.p = nn.Linear(4, 6)",
            "h = (self.p(pairs) * pair_mask[..., None]).sum(2); "
            "return self.l(x) * mask[..., None] + h",
            "x, pairs, mask: torch.Tensor, pair_mask: torch.Tensor",
        ),
        ("float32[8,32,6]", "float32[8,32,32,4]", "int64[8,32]", "int64[8,32,32]"),
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
    "the embedding of a step is one vector for each sample": (
        net(
            "self.c = nn.Conv1d(6, 8, 3); self.time_emb = nn.Linear(5, 8)",
            "return self.c(x) + self.time_emb(nn.functional.mish(temb))[..., None]",
            "x, temb=None",
        ),
        ("float32[8,6,64]", "temb: float32[8,5]"),
    ),
    "a sparse matrix of the edges between nodes": (
        net(
            "self.l = nn.Linear(4, 4)",
            "return torch.sparse.mm(ranks.coalesce(), self.l(x)[edge_index[0]][:ranks.shape[0]])",
            "x, edge_index, ranks",
        ),
        ("float32[32,4]", "int64[2,96]", "float32[32,32]"),
    ),
    "the edges of each type are found by the types at their ends": (
        net(
            "self.l = nn.Linear(4, 4)",
            "h = self.l(x_dict['0']); e = edge_index_dict['0', '0', '0']; "
            "return h.index_add(0, e[1], h[e[0]])",
            "x_dict: dict[str, torch.Tensor], "
            "edge_index_dict: dict[tuple[str, str, str], torch.Tensor]",
        ),
        (
            "{0: float32[32,4], 1: float32[32,4]}",
            "{('0', '0', '0'): int64[2,96], ('1', '1', '1'): int64[2,96]}",
        ),
    ),
    "the frames of a video grow where there are enough of them": (
        net(
            "self.c = nn.Conv3d(3, 4, (2, 33, 33), (2, 33, 33))",
            "assert x.shape[2] == 16, 'too small'; return self.c(x)",
        ),
        ("float32[8,3,16,64,64]",),
    ),
    "a linear layer takes vectors": (
        net("self.l = nn.Linear(20, 3)", "return self.l(x)"),
        ("float32[8,20]",),
    ),
    "the letters of an einsum say how many dimensions there are": (
        net(
            "self.l = nn.Linear(16, 2)",
            "layers = torch.stack(tuple(hiddens)); "
            "return torch.einsum('l b n d, b n l -> b n d', layers, self.l(x))",
            "x, hiddens: list[torch.Tensor]",
        ),
        ("float32[8,32,16]", "[float32[8,32,16], float32[8,32,16]]"),
    ),
    "a docstring says which optional arguments are needed, and their shapes": (
        net(
            "self.s = nn.Linear(17, 8); self.a = nn.Linear(4, 8); self.t = nn.Embedding(90, 8); "
            "self.state_dim = 17; self.act_dim = 4",
            "r'''; "
            "states (`torch.Tensor` of shape `(batch_size, episode_length, state_dim)`):; "
            "    The states.; "
            "actions (`torch.Tensor` of shape `(batch_size, episode_length, act_dim)`):; "
            "    The actions.; "
            "timesteps (`torch.LongTensor` of shape `(batch_size, episode_length)`):; "
            "    The time of each.; "
            "masks (`torch.Tensor` of shape `(batch_size, episode_length)`, *optional*):; "
            "    What to leave out.; "
            "'''; "
            "return self.s(states) + self.a(actions) + self.t(timesteps)",
            "states=None, actions=None, timesteps=None, masks=None",
        ),
        ("states: float32[8,32,17]", "actions: float32[8,32,4]", "timesteps: int64[8,32]"),
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
    "a mask has a column for each image where its columns are repeated": (
        net(
            "self.e = nn.Embedding(50, 8); self.v = nn.Conv2d(3, 8, 8, 8); "
            "self.p = nn.Parameter(torch.randn(16, 8))",
            "q = self.e(input_ids); k = self.v(pixel_values).flatten(2).mT + self.p; "
            "m = image_attention_mask[:, :, :].repeat_interleave(4, -1).bool(); "
            "return F.scaled_dot_product_attention(q, k, k, attn_mask=m)",
            "input_ids, pixel_values, image_attention_mask",
        ),
        ("int64[8,32]", "float32[8,3,32,32]", "int64[8,32,4]"),
    ),
    "frames that are merged are as many as there are others beside them": (
        net(
            "self.c = nn.Conv1d(3, 4, 8, 8); self.n = nn.LayerNorm(6); self.l = nn.Linear(6, 4)",
            "h = self.c(x).transpose(1, 2); f = self.l(self.n(features))[:, ::2]; "
            "return torch.cat([h, f], 2)",
            "x, features",
        ),
        ("float32[8,3,64]", "float32[8,16,6]"),
    ),
    "patches of images stand in rows where the place of each is told": (
        net(
            "self.l = nn.Linear(12, 8); self.p = nn.Embedding(16, 8)",
            "p = nn.functional.embedding(pixel_position_ids, self.p.weight).sum(-2); "
            "h = self.l(pixel_values) + p; "
            "return h.unflatten(1, (-1, 9)).mean(2)",
            "pixel_values, pixel_position_ids",
        ),
        ("float32[8,144,12]", "int64[8,144,2]"),
    ),
    "patches stand in a row for each image where the shape of each is told": (
        net(
            "self.l = nn.Linear(12, 8)",
            "h, w = spatial_shapes[0].tolist(); "
            "x = self.l(pixel_values) * pixel_attention_mask[..., None]; "
            "return x.unflatten(1, (h, w)).mean(2)",
            "pixel_values, pixel_attention_mask, spatial_shapes",
        ),
        ("float32[8,64,12]", "int64[8,64]", "int64[8,2]"),
    ),
    "images have one of the numbers of patches that are known": (
        net(
            "self.c = nn.Conv2d(3, 8, 16, 16); self.known = {16: 2, 64: 4}",
            "x = self.c(x).flatten(2); n = x.shape[2]; "
            "if n not in self.known: raise KeyError(f'{n} patches not found in {[*self.known]}'); "
            "return x[..., : self.known[n]]",
        ),
        ("float32[8,3,64,64]",),
    ),
    "a mask says where in a text the features of images stand": (
        net(
            "self.e = nn.Embedding(50, 8); self.v = nn.Conv2d(3, 8, 8, 8)",
            "h = self.e(input_ids).clone(); "
            "f = self.v(pixel_values).flatten(2).transpose(1, 2).reshape(-1, 8); "
            "h[image_position_mask.bool()] = f; "
            "return h",
            "input_ids, pixel_values, image_position_mask",
        ),
        ("int64[8,48]", "float32[8,3,32,32]", "int64[8,48]"),
    ),
    "a size called n in front of all others counts the samples": (
        net(
            "self.c = nn.Conv2d(3, 8, 4, 4); self.a = nn.MultiheadAttention(8, 2)",
            "n, c, h, w = x.shape; t = self.c(1.0 * x).flatten(2).permute(2, 0, 1); "
            "x = t + 1.0; return self.a(x, x, x)[0]",
        ),
        ("float32[8,3,32,32]",),
    ),
    "annotations may stand in a comment": (
        net(
            "self.l = nn.Conv2d(3, 4, 3)",
            "# type: (List[Tensor], Optional[Tensor]) -> Tensor; "
            "return torch.stack([self.l(image) for image in images])",
            "images, mask=None",
        ),
        ("[float32[3,32,32], float32[3,32,32]]",),
    ),
    "feature maps have names, and names are texts": (
        net(
            "self.l = nn.Conv2d(16, 2, 1)",
            "return self.l(maps['0']) + self.l(maps['1']) + len(''.join(names))",
            "maps: dict[str, torch.Tensor], names: list[str]",
        ),
        ("{0: float32[8,16,32,32], 1: float32[8,16,32,32]}", "['0', '1']"),
    ),
    "what asks with queries has several tokens to choose among": (
        net(
            "self.qkv = nn.Linear(16, 48); self.heads = 4",
            "q, k, v = self.qkv(x).view(x.shape[0], -1, 4, 12).transpose(1, 2).chunk(3, -1); "
            "return (q @ k.transpose(-2, -1)).softmax(-1) @ v",
        ),
        ("float32[8,32,16]",),
    ),
    "the names that a shape is unpacked into say where the channels are": (
        net(
            "self.l = nn.Linear(16, 3)",
            "B, H, W, C = x.shape; return self.l(x.reshape(B, H * W, C))",
        ),
        ("float32[8,32,32,16]",),
    ),
    "the kinds of the edges of a graph are given where they are looked up": (
        net(
            "self.w = nn.Parameter(torch.randn(2, 6, 3))",
            "return self.sent(x, edge_index, edge_type)\n"
            "    def sent(self, x, edges, edge_type):\n"
            "        w = self.chosen(edge_type)\n"
            "        return torch.bmm(x[edges[0]].unsqueeze(1), w)\n"
            "    def chosen(self, index): return torch.index_select(self.w, 0, index)",
            "x, edge_index, edge_type=None",
        ),
        ("float32[32,6]", "int64[2,96]", "edge_type: int64[96]"),
    ),
    "channels stand at the end where each has a number of its own": (
        net("self.in_channels = 6; self.w = nn.Parameter(torch.ones(6))", "return x * self.w"),
        ("float32[8,6]",),
    ),
    "a size does not correspond to another": (
        net(
            "self.l = nn.Linear(7, 3); self.e = nn.Linear(5, 3)",
            'error = ValueError(f"{x.shape[-1]} doesn\'t correspond to the size of e: 5"); '
            "exec('if x.shape[-1] != 5: raise error'); return self.e(1.0 * x)",
        ),
        ("float32[8,5]",),
    ),
    "a flattened image is a vector for a view": (
        net("self.l = nn.Linear(784, 3)", "return self.l(x.view(-1, 784))"),
        ("float32[8,784]",),
    ),
    "an argument that can only be named is named": (
        net("self.l = nn.Linear(20, 3)", "return self.l(x) * self.l(condition)", "x, *, condition"),
        ("float32[8,20]", "condition: float32[8,20]"),
    ),
    "what cuts patches takes images": (
        net(
            "self.patch_size = (4, 4); self.l = nn.Linear(48, 3)",
            "return self.l(F.unfold(x, 4, stride=4).transpose(1, 2))",
        ),
        ("float32[8,3,32,32]",),
    ),
    "what becomes channels is not counted among them": (
        net(
            "self.l = nn.Conv2d(48, 3, 1)",
            "return self.l(F.pixel_unshuffle(x, 4))",
        ),
        ("float32[8,3,32,32]",),
    ),
    "a sequence is as long as what is joined to it needs": (
        net(
            "self.l = nn.Linear(6, 4); self.where = nn.Parameter(torch.randn(50, 4))",
            "both = torch.cat([self.l(hidden_states), self.l(other_hidden_states)], 1); "
            "return both + self.where",
            "hidden_states, other_hidden_states",
        ),
        ("float32[8,18,6]", "float32[8,32,6]"),
    ),
    "places in an image have three or four coordinates": (
        net(
            "self.l = nn.Linear(4, 6)",
            "return self.l(img_ids[..., [0, 1, 2, 3]] * 1.0) + hidden_states",
            "hidden_states, img_ids",
        ),
        ("float32[8,32,6]", "int64[32,4]"),
    ),
    "a list has as many tensors as are read from it": (
        net(
            "self.l = nn.Linear(6, 4)",
            "return self.l(maps[0] + maps[3])",
            "maps: list[torch.Tensor]",
        ),
        ("[float32[8,6], float32[8,6], float32[8,6], float32[8,6]]",),
    ),
    "the first frame of a video stands alone": (
        net(
            "self.l = nn.Conv3d(3, 4, 1)",
            "first, rest = x[:, :, :1], x[:, :, 1:]; "
            "return self.l(rest.unflatten(2, (-1, 8)).mean(3) + first)",
        ),
        ("float32[8,3,17,32,32]",),
    ),
    "the ends of the edges of a graph are told one by one": (
        net(
            "self.a = nn.Linear(12, 4); self.n = nn.BatchNorm1d(4)",
            "return self.n(self.a(torch.cat([node_emb[i], edge_emb], 1)))",
            "node_emb, edge_emb, i",
        ),
        ("float32[32,6]", "float32[96,6]", "int64[96]"),
    ),
    "columns of nodes and of edges are looked up": (
        net(
            "self.e = nn.Embedding(5, 4); self.f = nn.Embedding(6, 4)",
            "h = self.e(x[:, 0]); e = self.f(edge_attr[:, 0]) + self.f(edge_attr[:, 1]); "
            "return h[edge_index[0]] + e",
            "x, edge_index, edge_attr",
        ),
        ("int64[32,16]", "int64[2,96]", "int64[96,16]"),
    ),
    "a shape that a message spells out is drawn": (
        net(
            "self.l = nn.Linear(6, 4)",
            "assert x.dim() == 5, 'only (B,C,H,W,2) is supported'; "
            "return self.l(x.flatten(2)[..., :6])",
        ),
        ("float32[8,6,32,32,2]",),
    ),
    "a last size that a message tells is drawn": (
        net(
            "self.n = nn.LayerNorm(32); self.l = nn.Linear(2, 4)",
            "assert x.shape[-1] == 2, f'x.shape[-1] is not 2 ({x.shape[-1]})'; "
            "return self.l(x * 1.0)",
        ),
        ("float32[8,32,2]",),
    ),
    "what is joined before a norm shares its width": (
        net(
            "self.n = nn.LayerNorm(12)",
            "return self.n(torch.cat([z_source, z_dest], -1))",
            "z_source, z_dest",
        ),
        ("float32[8,32,6]", "float32[8,32,6]"),
    ),
    "each node of a graph has a kind": (
        net(
            "self.l = nn.Linear(5, 4); self.num_node_types = 3; "
            "self.w = nn.Parameter(torch.ones(3, 4))",
            "h = self.l(x) * self.w[node_type]; return h[edge_index[0]] + h[edge_index[1]]",
            "x, edge_index, node_type",
        ),
        ("float32[32,5]", "int64[2,96]", "int64[32]"),
    ),
    "a batch that may be a tensor is one": (
        net(
            "self.l = nn.Linear(5, 3)",
            "return self.l(x['patches'] if isinstance(x, dict) else x)",
            "x: torch.Tensor | dict[str, torch.Tensor]",
        ),
        ("float32[8,5]",),
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
    "a norm of images takes images": (
        net(
            "self.weight = nn.Parameter(torch.ones(6))",
            "return x * x.square().mean(1, keepdim=True).rsqrt() * self.weight[:, None, None]",
        )
        + "Net.__name__ = 'Norm2d'\n",
        ("float32[8,6,32,32]",),
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
    "the nodes of a graph have the features of its first layer": (
        net(
            "self.w = nn.Parameter(torch.ones(5, 4))",
            "a, b = edge_index[0], edge_index[1]; "
            "return (x @ self.w).index_add(0, b, (x @ self.w)[a])",
            "x, edge_index",
        ),
        ("float32[32,5]", "int64[2,96]"),
    ),
    "a graph comes as a pair that another module takes apart": (
        "class Layer(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.w = nn.Parameter(torch.ones(5, 4))\n"
        "    def forward(self, data):\n"
        "        nodes, edge_index = data\n"
        "        h = nodes @ self.w\n"
        "        return h.index_add(0, edge_index[1], h[edge_index[0]])\n"
        + net("self.layers = nn.Sequential(Layer())", "return self.layers(data)", "data"),
        ("(float32[32,5], int64[2,96])",),
    ),
    "the channels of an image are none of its sides": (
        net(
            "self.l = nn.Conv2d(3, 4, 3); self.input_size = (43, 47, 3)",
            "return self.l(x)",
        ),
        ("float32[8,3,43,47]",),
    ),
    "an image has the sides that the message tells": (
        net(
            "self.l = nn.Conv2d(3, 4, 3)",
            "assert x.shape[2:] == (43, 47), 'input size must be (43, 47)'; return self.l(x)",
        ),
        ("float32[8,3,43,47]",),
    ),
    "what is concatenated with something of fewer dimensions has fewer": (
        net(
            "self.e = nn.Embedding(9, 8); self.g = nn.GRU(16, 8)",
            "return self.g(torch.cat([self.e(word).unsqueeze(0), state[-1:]], 2), state)[0]",
            "word, state",
        ),
        ("int64[8]", "float32[1,8,8]"),
    ),
    "what is added to steps has steps": (
        net(
            "self.l = nn.Linear(80, 8); self.e = nn.Embedding(9, 8)",
            "assert len(mel) == len(pos); return self.l(mel) + self.e(pos)",
            "mel, pos",
        ),
        ("float32[8,32,80]", "int64[8,32]"),
    ),
    "a mask that is inverted is one of flags": (
        net(
            "self.e = nn.Embedding(50, 8)",
            "return self.e(x).masked_fill(~attention_mask[..., None], 0.0)",
            "x, attention_mask",
        ),
        ("int64[8,32]", "bool[8,32]"),
    ),
    "edges of several kinds are edges": (
        net(
            "self.l = nn.Linear(5, 4)",
            "return self.l(x)[pos_edge_index[0]] - self.l(x)[neg_edge_index[0]]",
            "x, pos_edge_index, neg_edge_index",
        ),
        ("float32[32,5]", "int64[2,96]", "int64[2,96]"),
    ),
    "a graph whose nodes may come as a pair is given its nodes": (
        net(
            "self.l = nn.Linear(5, 4)",
            "x = (x, x) if isinstance(x, torch.Tensor) else x; source, target = x; "
            "return self.l(source)[edge_index[1]]",
            "x, edge_index",
        ),
        ("float32[32,5]", "int64[2,96]"),
    ),
    "a list of tensors is a list": (
        net(
            "self.l = nn.Linear(6, 3)",
            "return self.l(features[0]) + self.l(features[1])",
            "features: list[torch.Tensor]",
        ),
        ("[float32[8,6], float32[8,6]]",),
    ),
    "a matrix of weights takes vectors, though its sizes are called channels": (
        net(
            "self.in_channels = 5; self.w = nn.Parameter(torch.ones(5, 4))",
            "return x @ self.w",
        ),
        ("float32[8,5]",),
    ),
    "an embedding takes integers": (
        net("self.e = nn.Embedding(50, 8)", "return self.e(x)"),
        ("int64[8,32]",),
    ),
    "an image size follows from the first dense layer": (
        net(
            "self.c = nn.Conv2d(1, 4, 3); self.l = nn.Linear(4 * 13 * 13, 5)",
            "x = F.max_pool2d(self.c(x), 2); return self.l(x.flatten(1))",
        ),
        ("float32[8,1,28,28]",),
    ),
    "an image size follows from a view": (
        net(
            "self.c = nn.Conv2d(3, 4, 4, 4); self.l = nn.Linear(4 * 24 * 24, 5)",
            "return self.l(self.c(x).view(x.size(0), 4 * 24 * 24))",
        ),
        ("float32[8,3,96,96]",),
    ),
    "an image grows until a pooling window fits": (
        net(
            "self.c = nn.Conv2d(3, 4, 3, 32, 1); self.l = nn.Linear(4, 5)",
            "return self.l(F.avg_pool2d(self.c(x), 7).flatten(1))",
        ),
        ("float32[8,3,224,224]",),
    ),
    "an assertion about sizes is obeyed": (
        net(
            "self.c = nn.Conv2d(3, 4, 8, 8)",
            "assert x.shape[2] == 96, f'Input height ({x.shape[2]}) does not match model (96)'; "
            "return self.c(x)",
        ),
        ("float32[8,3,96,96]",),
    ),
    "layers are tried in the order in which they run": (
        net(
            "self.l = nn.Linear(6, 2); self.c = nn.Conv1d(5, 6, 1)",
            "return self.l(self.c(x).mean(-1))",
        ),
        ("float32[8,5,64]",),
    ),
    "a sequence has three dimensions where the shape is unpacked": (
        net("self.l = nn.Linear(12, 3)", "b, t, c = x.shape; return self.l(x)"),
        ("float32[8,32,12]",),
    ),
    "what is parted into heads already has steps where a shape is unpacked so": (
        net(
            "self.l = nn.Linear(64, 3)",
            "B, L, H, E = q.shape; _, S, _, D = v.shape\n"
            "        return self.l(v.reshape(B, S, -1)) + q.mean()",
            "q, v",
        ),
        ("float32[8,32,8,8]", "float32[8,32,8,8]"),
    ),
    "the frames of a video are larger where it has more places": (
        net(
            "self.c = nn.Conv3d(3, 4, (2, 4, 4), (2, 4, 4)); "
            "self.p = nn.Parameter(torch.zeros(1, 2048, 4))",
            "return self.c(x).flatten(2).transpose(1, 2) + self.p",
        ),
        ("float32[8,3,16,64,64]",),
    ),
    "positions limit the length": (
        net(
            "self.e = nn.Embedding(50, 8); self.p = nn.Embedding(20, 8)",
            "return self.e(x) + self.p(torch.arange(x.size(1)))",
        ),
        ("int64[8,20]",),
    ),
    "learned positions fix the number of patches": (
        net(
            "self.c = nn.Conv2d(3, 6, 8, 8); self.p = nn.Parameter(torch.zeros(1, 65, 6)); "
            "self.k = nn.Parameter(torch.zeros(1, 1, 6))",
            "x = self.c(x).flatten(2).transpose(1, 2); "
            "return torch.cat([self.k.expand(len(x), -1, -1), x], 1) + self.p",
        ),
        ("float32[8,3,64,64]",),
    ),
    "a recurrent layer decides where time stands": (
        net("self.r = nn.GRU(7, 5)", "return self.r(x)[0]"),
        ("float32[32,8,7]",),
    ),
    "lengths fall from the full length": (
        net(
            "self.e = nn.Embedding(9, 4); self.r = nn.LSTM(4, 5, batch_first=True)",
            "p = nn.utils.rnn.pack_padded_sequence(self.e(tokens), lengths, batch_first=True); "
            "return self.r(p)[1]",
            "tokens, lengths",
        ),
        ("int64[8,32]", "int64[8]"),
    ),
    "a hidden state is left to the model": (
        net("self.r = nn.LSTM(7, 5)", "return self.r(x, hidden)", "x, hidden"),
        ("float32[32,8,7]", "None"),
    ),
    "a hidden state that is concatenated has the model's hidden size": (
        net(
            "self.hidden_size = 9; self.l = nn.Linear(4 + 9, 9)",
            "return self.l(torch.cat((x, hidden), 1))",
            "x, hidden",
        ),
        ("float32[8,4]", "float32[8,9]"),
    ),
    "two images share one size": (
        net(
            "self.c = nn.Conv2d(1, 2, 1); self.l = nn.Linear(2 * 48 * 48, 3)",
            "return [self.l(self.c(v).flatten(1)) for v in (one, two)]",
            "one, two",
        ),
        ("float32[8,1,48,48]", "float32[8,1,48,48]"),
    ),
    "source and target are texts": (
        net(
            "self.a = nn.Embedding(30, 8); self.b = nn.Embedding(40, 8); "
            "self.t = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)",
            "return self.t(self.a(src), self.b(tgt))",
            "src, tgt",
        ),
        ("int64[8,32]", "int64[8,32]"),
    ),
    "labels are one for each sample": (
        net(
            "self.e = nn.Embedding(10, 4); self.l = nn.Linear(12, 3)",
            "return self.l(torch.cat([self.e(labels), noise], 1))",
            "noise, labels",
        ),
        ("float32[8,8]", "int64[8]"),
    ),
    "timesteps are one for each image": (
        net(
            "self.c = nn.Conv2d(3, 4, 1); self.l = nn.Linear(1, 4)",
            "return self.c(x) + self.l(t[:, None].float())[:, :, None, None]",
            "x, t",
        ),
        ("float32[8,3,32,32]", "int64[8]"),
    ),
    "a graph has nodes and edges": (
        net(
            "self.l = nn.Linear(6, 3)",
            "h = self.l(x); return torch.zeros_like(h).index_add(0, edge_index[1], "
            "h[edge_index[0]])",
            "x, edge_index",
        ),
        ("float32[32,6]", "int64[2,96]"),
    ),
    "patches of images stand in one row where their grids are told": (
        net(
            "self.c = nn.Conv2d(3, 4, 14, 14); self.p = nn.Embedding(64, 4)",
            "n = (grid_thw[:, 1] * grid_thw[:, 2]).tolist(); "
            "return self.c(pixel_values).flatten(1) + torch.cat([self.p.weight[:i] for i in n])",
            "pixel_values, grid_thw",
        ),
        ("float32[512,3,14,14]", "int64[8,3]"),
    ),
    "grids of patches are told to a part that looks their places up": (
        "class P(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__(); self.e = nn.Embedding(64, 4)\n"
        "    def forward(self, h, grids):\n"
        "        n = [t * a * b for t, a, b in grids.tolist()]\n"
        "        return h + torch.cat([self.e.weight[:1].repeat(i, 1) for i in n])\n"
        + net(
            "self.l = nn.Linear(12, 4); self.p = P()",
            "return self.p(self.l(pixel_values), grid_thw)",
            "pixel_values, grid_thw",
        ),
        ("float32[512,12]", "int64[8,3]"),
    ),
    "each row of an argument is taken apart": (
        net(
            "self.l = nn.Linear(6, 2)",
            "return self.l(x) + sum([u * v + w for u, v, w in spans])",
            "x, spans",
        ),
        ("float32[8,6]", "float32[8,3]"),
    ),
    "one number for each image says how many of its patches are merged": (
        net(
            "self.l = nn.Linear(12, 3)",
            "s = zip(grid_thw.tolist(), merge_sizes.tolist(), strict=True); "
            "h = self.l(pixel_values).split([t * h * w for (t, h, w), side in s]); "
            "return torch.stack([part.mean(0) for part in h])",
            "pixel_values, grid_thw, merge_sizes",
        ),
        ("float32[512,12]", "int64[8,3]", "int64[8]"),
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
    "a spectrogram has a row for each frame": (
        net(
            "self.n_mels = 24; self.max_length = 40; "
            "self.c = nn.Conv2d(1, 4, 8, 8); self.p = nn.Parameter(torch.zeros(15, 4))",
            "x = self.c(input_values[:, None].transpose(2, 3)); "
            "return x.flatten(2).transpose(1, 2) + self.p",
            "input_values",
        ),
        ("float32[8,40,24]",),
    ),
    "a spectrogram has a row for each bin where forward calls it that": (
        net(
            "self.n_mels = 24; self.c = nn.Conv2d(1, 4, 3)",
            "b, n_mels, length = input_features.shape; "
            "assert length % 10 == 0, f'the length should be a multiple of 10, got {length}'; "
            "return self.c(input_features.view(-1, 1, n_mels, 10))",
            "input_features",
        ),
        ("float32[8,24,40]",),
    ),
    "an image that is flattened grows along both of its sides": (
        net(
            "self.p = nn.AvgPool2d(32); self.c = nn.Conv2d(3, 4, 1); self.l = nn.Linear(196, 5)",
            "return self.l(self.c(self.p(x)).flatten(1))",
        ),
        ("float32[8,3,224,224]",),
    ),
    "a part that embeds a text and an image beside it is given both": (
        "class Part(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.e = nn.Embedding(50, 4); self.c = nn.Conv2d(3, 4, 16, 16)\n"
        "    def forward(self, ids, pixels):\n"
        "        return torch.cat([self.e(ids), self.c(pixels.float()).flatten(2).mT], 1)\n"
        + net("self.p = Part()", "return self.p(ids, pixel_values)", "ids, pixel_values"),
        ("int64[8,32]", "float32[8,3,32,32]"),
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
    "each step has a token of each codebook": (
        net(
            "self.e = nn.Embedding(50, 8)",
            "ids = torch.where(x == 49, x, x + torch.zeros(5, dtype=torch.long)); "
            "return self.e(ids).sum(2)",
        ),
        ("int64[8,32,5]",),
    ),
    "tokens that stand for images are not drawn": (
        net(
            "from types import SimpleNamespace as S; self.e = nn.Embedding(50, 8); "
            "self.config = S(image_token_id=40)",
            "assert not (x >= 40).any(); return self.e(x)",
        ),
        ("int64[8,32]",),
    ),
    "a text has a place for each feature of an image": (
        net(
            "from types import SimpleNamespace as S; self.e = nn.Embedding(50, 8); "
            "self.config = S(image_token_id=40); self.v = nn.Conv2d(3, 8, 16, 16)",
            "if pixel_values is None: return self.e(input_ids); "
            "f = self.v(pixel_values).flatten(2).transpose(1, 2).reshape(-1, 8); "
            "m = input_ids == 40; n = int(m.sum()); "
            "error = ValueError(f'features, tokens differ: tokens: {n}, features: {len(f)}'); "
            "exec('if n != len(f): raise error'); "
            "return self.e(input_ids).masked_scatter(m[..., None], f)",
            "input_ids, pixel_values=None",
        ),
        ("int64[8,37]", "pixel_values: float32[8,3,32,32]"),
    ),
    "several sequences run side by side": (
        net(
            "self.a = nn.Linear(5, 8); self.b = nn.Linear(3, 8)",
            "both = torch.stack((self.a(states), self.b(actions)), 1); "
            "return both.permute(0, 2, 1, 3).flatten(1, 2)",
            "states, actions",
        ),
        ("float32[8,32,5]", "float32[8,32,3]"),
    ),
    "windows divide what is left of an image": (
        net(
            "self.c = nn.Conv2d(3, 6, 14, 14); self.img_size = 70",
            "x = self.c(x).flatten(2).mT; n = int(x.shape[1] ** 0.5) // 2; "
            "return x.view(len(x), 2, n, 2, n, -1)",
        ),
        ("float32[8,3,56,56]",),
    ),
    "the frames of a video are larger, not more": (
        net(
            "self.c = nn.Conv3d(3, 4, (2, 8, 8), (2, 8, 8))",
            "return self.c(x).view(x.shape[0], 4, 8, 14, 14)",
        ),
        ("float32[8,3,16,112,112]",),
    ),
    "what a docstring says to lie on nodes and edges does": (
        net(
            "self.l = nn.Linear(6, 6)",
            '"""x (Tensor): The scalar features of the nodes.;'
            "v (Tensor): The vector features of the nodes.;"
            "r_ij (Tensor): The distances between connected nodes.;"
            'd_ij (Tensor): The unit vectors of the edges.; """; '
            "row, col = edge_index; w = r_ij[:, None, None] * d_ij[:, :, None]; "
            "return self.l(x)[row] + (self.l(v)[col] * w).sum(1)",
            "x, v, edge_index, r_ij, d_ij",
        ),
        ("float32[32,6]", "float32[32,3,6]", "int64[2,96]", "float32[96]", "float32[96,3]"),
    ),
    "a docstring tells the shapes of nodes and edges in its words": (
        net(
            "self.l = nn.Linear(6, 6); self.m = nn.Linear(4, 6); self.in_channels = 4",
            '"""weights (torch.Tensor): How much each counts, of shape :obj:`[num_edges]`.;'
            "links (torch.Tensor): What edges are like, of shape `[num_edges, in_channels]`.;"
            '"""; '
            "return (self.m(links) + self.l(x)[edge_index[0]]) * weights[:, None]",
            "x, edge_index, weights, links",
        ),
        ("float32[32,6]", "int64[2,96]", "float32[96]", "float32[96,4]"),
    ),
    "an atomic number is one for each atom": (
        net(
            "self.e = nn.Embedding(100, 1)",
            '"""x (torch.Tensor): The atomic energies.;z (torch.Tensor): The atomic numbers."""; '
            "return x + self.e(z)",
            "x, z",
        ),
        ("float32[32,1]", "int64[32]"),
    ),
    "what the ends of edges pick has a row for each node": (
        net(
            "self.l = nn.Linear(2, 6)",
            "late = edge_time - node_time[edge_index[1]]; "
            "return self.l(torch.stack([late, late.cos()], 1))",
            "edge_index, edge_time, node_time",
        ),
        ("int64[2,96]", "float32[96]", "float32[32]"),
    ),
    "ends of edges pick nodes, which may be kinds, where no argument is called an edge": (
        net(
            "self.e = nn.Embedding(95, 6); self.r = nn.Linear(2, 6); self.l = nn.Linear(18, 4)",
            "h = self.e(x); return self.l(torch.cat([h[i], h[j], self.r(distance)], -1))",
            "x, distance, i, j",
        ),
        ("int64[96]", "float32[96,2]", "int64[96]", "int64[96]"),
    ),
    "what picks rows of a table of the model stays below its length": (
        net(
            "self.register_buffer('memory', torch.randn(20, 6)); self.l = nn.Linear(6, 3)",
            "return self.l(self.memory[who])",
            "who",
        ),
        ("int64[8]",),
    ),
    "what is given a last dimension has not one of the size of a parameter": (
        net(
            "self.f = nn.Parameter(torch.arange(1.0, 6.0))",
            "d = d.unsqueeze(-1) / 5.0; return (self.f * d).sin()",
            "d",
        ),
        ("float32[8]",),
    ),
    "the kind of each row is below the number of kinds": (
        net(
            "self.w = nn.Parameter(torch.randn(3, 6)); self.num_types = 3",
            "return x * self.w[type_vec]",
            "x, type_vec",
        ),
        ("float32[8,6]", "int64[8]"),
    ),
    "a mapping has the keys by which the model knows its parts": (
        net(
            "self.lines = nn.ModuleDict({'man': nn.Linear(4, 2), 'dog': nn.Linear(4, 2)})",
            "return [self.lines[key](x) for key, x in parts.items()]",
            "parts: 'dict[str, torch.Tensor]'",
        ),
        ("{man: float32[8,4], dog: float32[8,4]}",),
    ),
    "a mapping of edges has the keys that the model holds, one of nodes their ends": (
        net(
            "self.l = nn.Linear(4, 2); self.kinds = [('man', 'owns', 'dog')]",
            "row, col = edge_index_dict['man', 'owns', 'dog']; "
            "return self.l(x_dict['man'])[row] + self.l(x_dict['dog'])[col]",
            "x_dict: 'dict[str, torch.Tensor]',"
            " edge_index_dict: 'dict[tuple[str, str, str], torch.Tensor]'",
        ),
        (
            "{man: float32[32,4], dog: float32[32,4]}",
            "{('man', 'owns', 'dog'): int64[2,96]}",
        ),
    ),
    "a mapping that an annotation allows beside a tensor": (
        net(
            "self.l = nn.Linear(4, 2); self.kinds = ['man', 'dog']",
            "if isinstance(x, dict): return [self.l(x[key]) for key in self.kinds];"
            "raise ValueError('found the wrong type')",
            "x: 'Union[torch.Tensor, Dict[str, torch.Tensor]]'",
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
    "a variadic forward takes what its docstring tells of": (
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ModuleDict({"man": nn.Linear(4, 2), "dog": nn.Linear(4, 2)})

    def forward(self, *tables):
        '''Runs each part.

        Args:
            x_dict (Dict[str, torch.Tensor]): What each part takes.
            more (torch.Tensor, optional): Something else.
        '''
        return [self.parts[key](value) for table in tables for key, value in table.items()]
""",
        ("{man: float32[8,4], dog: float32[8,4]}",),
    ),
    "what messages have of both ends lies on nodes, the rest on edges": (
        net(
            "self.l = nn.Linear(6, 6)",
            "row, col = edge_index;return self.l(x)[col] * gap + kind.index_select(0, row)",
            "x, edge_index, kind, gap",
        )
        + "    def propagate(self): pass\n"
        + "    def message(self, x_j, kind_j, gap): pass\n",
        ("float32[32,6]", "int64[2,96]", "float32[32,6]", "float32[96,6]"),
    ),
    "the first features of nodes are those of nodes": (
        net(
            "self.l = nn.Linear(6, 6)",
            "row, col = edge_index; h = self.l(x) + x_0; return h[row] - h[col]",
            "x, x_0, edge_index",
        ),
        ("float32[32,6]", "float32[32,6]", "int64[2,96]"),
    ),
    "the nodes of a graph in an object have no steps": (
        net(
            "self.b = nn.Parameter(torch.ones(6))",
            "h = data.x * self.b; return h[data.edge_index[0]] - h[data.edge_index[1]]",
            "data",
        ),
        ("x: float32[32,6], edge_index: int64[2,96]",),
    ),
    "patches that are unfolded are those of an image": (
        net(
            "self.u = nn.Unfold(4, stride=2); self.n = nn.LayerNorm(48); self.l = nn.Linear(48, 5)",
            "return self.l(self.n(self.u(x).transpose(1, 2)))",
        ),
        ("float32[8,3,32,32]",),
    ),
    "a scale of each head has room for the places of a sequence": (
        net("self.g = nn.Parameter(torch.ones(4, 1, 6))", "return x * self.g"),
        ("float32[8,4,32,6]",),
    ),
    "a scale of each channel has room for the sides of an image": (
        net("self.g = nn.Parameter(torch.ones(6, 1, 1))", "return x * self.g"),
        ("float32[8,6,32,32]",),
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
    "the decoder's tokens are given where a part lacks its own": (
        net(
            "self.e = nn.Embedding(9, 4)",
            "if decoder_input_ids is None: raise ValueError('specify input_ids or inputs_embeds'); "
            "return self.e(input_ids) + self.e(decoder_input_ids)",
            "input_ids=None, decoder_input_ids=None",
        ),
        ("input_ids: int64[8,32]", "decoder_input_ids: int64[8,32]"),
    ),
    "the decoder's values are given where they are passed on as None": (
        """
        class Decoder(nn.Module):
            def forward(self, values):
                return values.sum() * 2

        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(3, 4)
                self.decoder = Decoder()

            def forward(self, values=None, scale=None, decoder_values=None):
                return self.layer(values) + self.decoder(decoder_values)
        """,
        ("values: float32[8,3]", "decoder_values: float32[8,3]"),
    ),
    "a multiple is read behind the names of its factors": (
        net(
            "self.c = nn.Conv1d(3, 4, 3)",
            "if x.shape[-1] % 50: raise ValueError('must be a multiple of `n * 2` (50)'); "
            "return self.c(x)",
        ),
        ("float32[8,3,100]",),
    ),
    "an image is enlarged until there is enough of it to choose from": (
        net(
            "self.c = nn.Conv2d(3, 4, 4, 4)",
            "return self.c(x).flatten(2).topk(200).values",
        ),
        ("float32[8,3,64,64]",),
    ),
    "the size that a published architecture was made for is tried": (
        net(
            "self.in_size = (96, 96); self.c = nn.Conv2d(3, 4, 3)",
            "if x.shape[-1] != 96: raise ValueError('no'); return self.c(x)",
        ),
        ("float32[8,3,96,96]",),
    ),
    "the rows of a spectrogram are features of a normalisation": (
        net(
            "self.c = nn.Conv2d(1, 4, 3, 2, 1); self.n = nn.LayerNorm(40); "
            "self.rnn = nn.GRU(160, 512)",
            "h = self.n(self.c(x).transpose(2, 3)); "
            "return self.rnn(h.permute(2, 0, 1, 3).flatten(2))[0]",
        ),
        ("float32[8,1,80,32]",),
    ),
    "columns whose tokens are moved to their parts of one table": (
        net(
            "self.e = nn.Embedding(96, 4); self.offsets = torch.tensor([0, 24, 48, 72])",
            "return self.e(x + self.offsets[None])",
        ),
        ("int64[8,4]",),
    ),
    "a remark with words gives the shape, in the order of the remark": (
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(9, 4)
        self.rnn = nn.GRU(4, 8)

    def forward(self, src):
        # src = [src len, batch size]
        return self.rnn(self.e(src))[0]
""",
        ("int64[32,8]",),
    ),
    "a docstring gives a size by the name of an attribute": (
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(6, 6)
        self.num_fields = 5

    def forward(self, x):
        \"\"\"
        :param x: Float tensor of size ``(batch_size, num_fields, 6)``
        \"\"\"
        return self.l(x[:, :2]) + self.l(x[:, -1:])
""",
        ("float32[8,5,6]",),
    ),
    "a remark above the body gives the shape": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.c = nn.Conv2d(1, 4, 3)

            def forward(self, x):  # x: (batch, 1, 8, 8)
                x = self.c(x)
                # x: (batch, 4, 6, 6)
                return x
        """,
        ("float32[8,1,8,8]",),
    ),
    "a docstring gives the shape, the layer the type": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.e = nn.Embedding(9, 4)

            def forward(self, x):
                '''Embeds x: LongTensor of shape [B, 7].'''
                return self.e(x)
        """,
        ("int64[8,7]",),
    ),
    "a remark of a size that is too large to be tried tells nothing": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.c = nn.Conv2d(384, 4, 1)

            def forward(self, x):  # x: (batch, 384, 248, 216)
                return self.c(x)
        """,
        ("float32[8,384,32,32]",),
    ),
    "a remark that is not true is corrected": (
        """
        class Net(nn.Module):
            def __init__(self):
                super().__init__()
                self.l = nn.Linear(6, 2)

            def forward(self, x):  # x: (batch, 5)
                return self.l(x)
        """,
        ("float32[8,6]",),
    ),
    "jaxtyping names the dimensions": (
        net(
            "self.w = nn.Parameter(torch.randn(5, 4))",
            "return x @ self.w",
            "x: \"Float[T, 'b t 5']\"",
        ),
        ("float32[8,32,5]",),
    ),
    "lengths say that the time comes first": (
        net(
            "self.e = nn.Embedding(9, 8); self.r = nn.GRU(8, 4)",
            "packed = nn.utils.rnn.pack_padded_sequence(self.e(src), lengths); "
            "return self.r(packed)[1]",
            "src, lengths",
        ),
        ("int64[32,8]", "int64[8]"),
    ),
    "a model that folds its batch takes one sample at a time": (
        net(
            "self.e = nn.Embedding(9, 8); self.r = nn.GRU(8, 8)",
            "return self.r(self.e(x).view(1, 1, -1))[0]",
        ),
        ("int64[1,1]",),
    ),
    "an assertion without a message is computed": (
        net(
            "self.l = nn.Linear(6, 2); self.sides = 7, 9",
            "h, w = self.sides; b, n, c = x.shape; assert n == h * w; return self.l(x)",
        ),
        ("float32[8,63,6]",),
    ),
    "a function is passed for what is called": (
        net("self.n = nn.LayerNorm(6)", "return x + branch(self.n(x))", "x, branch"),
        ("float32[8,32,6]", "PassThrough()"),
    ),
    "a hidden state comes from the model's own method": (
        net(
            "self.r = nn.LSTM(6, 4, batch_first=True)",
            "out, (h, c) = self.r(x, state[0]); return out",
            "x, state",
        )
        + "    def init_hidden(self, batch):\n"
        + "        return [(torch.zeros(1, batch, 4), torch.zeros(1, batch, 4))]\n",
        ("float32[8,32,6]", "[(float32[1,8,4], float32[1,8,4])]"),
    ),
    "the nodes of a graph are no hidden state, whatever they are called": (
        net("self.l = nn.Linear(6, 2)", "return adj @ self.l(h)", "h, adj"),
        ("float32[32,6]", "float32[32,32]"),
    ),
    "indexed inputs are several": (
        net(
            "self.l = nn.Linear(6, 2); self.k = nn.Linear(5, 2)",
            "a, b = inputs[0], inputs[1]; return self.l(a) + self.k(b)",
            "inputs",
        ),
        ("(float32[8,6], float32[8,5])",),
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
    "labels are joined to the channels of an image": (
        net(
            "self.c = nn.Conv2d(3 + 5, 2, 3)",
            "c = c.view(c.size(0), c.size(1), 1, 1).repeat(1, 1, x.size(2), x.size(3)); "
            "return self.c(torch.cat([x, c], dim=1))",
            "x, c",
        ),
        ("float32[8,3,32,32]", "int64[8,5]"),
    ),
    "one of two sequences that are joined has the rest of the channels": (
        net(
            "self.norm = nn.LayerNorm(4); self.c = nn.Conv1d(10, 4, 2, 2)",
            "x = torch.cat([self.norm(x), context], -1).transpose(1, 2); return self.c(x)",
            "x, context",
        ),
        ("float32[8,32,4]", "float32[8,32,6]"),
    ),
    "a condition has the steps of the sequence that it is added to": (
        net(
            "self.x = nn.Linear(6, 4); self.c = nn.Linear(6, 4); self.text = nn.Linear(5, 4)",
            "x = self.x(hidden_states) + self.c(condition);"
            "x = torch.cat([self.text(encoder_hidden_states), x], 1);"
            "return x * torch.ones(1, 64, 1)",
            "hidden_states, condition, encoder_hidden_states",
        ),
        ("float32[8,32,6]", "float32[8,32,6]", "float32[8,32,5]"),
    ),
    "what is given a condition at each step has steps": (
        net(
            "self.x = nn.Linear(6, 4); self.t = nn.Linear(1, 4)",
            "t = self.t(timestep.float()[:, None]); return self.x(x) + t[:, None]",
            "x, timestep",
        ),
        ("float32[8,32,6]", "int64[8]"),
    ),
    "a video has the axes that its scale is spread over": (
        net(
            "self.norm = nn.LayerNorm(6, elementwise_affine=False); self.scale = nn.Linear(5, 6);"
            "self.l = nn.Linear(6, 4)",
            "scale = self.scale(step_embed).unsqueeze(1);"
            "x = self.norm(x) * (scale[:, None, None] + 1.0);"
            "x = self.l(x); b, frames, h, w, _ = x.shape; return x.flatten(1, 3)",
            "x, step_embed",
        ),
        ("float32[8,4,8,8,6]", "float32[8,5]"),
    ),
    "an image has the sides that its shift is spread over": (
        net(
            "self.t = nn.Linear(5, 6)",
            "t = self.t(condition)[:, :, None, None]; return x * (1 + t) + t",
            "x, condition",
        ),
        ("float32[8,6,8,8]", "float32[8,5]"),
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
    "vectors that are looked up stand in the channels": (
        net(
            "self.e = nn.Embedding(9, 3)",
            "z = z.permute(0, 2, 3, 1).contiguous(); rows = z.view(-1, 3);"
            "near = torch.cdist(rows, self.e.weight).argmin(1);"
            "return self.e(near).view(z.shape) + z",
            "z",
        ),
        ("float32[8,3,32,16]",),
    ),
    "numbers of kinds are no sides": (
        net(
            "self.l = nn.Linear(6, 4); self.kinds = nn.Parameter(torch.randn(9, 4))",
            "return self.l(x) + sum(self.kinds[index] for index in control_type_idx)",
            "x, control_type_idx: list[int]",
        ),
        ("float32[8,6]", "[0, 1]"),
    ),
    "a refusal says by how much two sizes differ": (
        net(
            "self.x = nn.Linear(4, 6); self.pose = nn.Linear(4, 6)",
            "if pose.shape[1] + 1 != hidden_states.shape[1]: raise ValueError('no first pose');"
            "x, pose = self.x(hidden_states), self.pose(pose);"
            "return torch.cat([x[:, :1], x[:, 1:] + pose], 1)",
            "hidden_states, pose",
        ),
        ("float32[8,5,4]", "float32[8,4,4]"),
    ),
    "what is refused at first sight is as near as what led to it": (
        net(
            "self.x = nn.Linear(4, 6); self.pose = nn.Linear(4, 6);"
            "self.more = nn.ModuleList([nn.Linear(6, 6) for _ in range(9)])",
            "steps = hidden_states.size(1);"
            "if pose is not None and pose.size(1) + 1 != steps: raise ValueError('no first pose');"
            "x = self.x(hidden_states);"
            "for layer in self.more: x = layer(x);"
            "pose = self.pose(pose); return torch.cat([x[:, :1], x[:, 1:] + pose], 1)",
            "hidden_states, pose=None",
        ),
        ("float32[8,5,4]", "pose: float32[8,4,4]"),
    ),
    "a refusal says how many dimensions there are": (
        net(
            "self.l = nn.Linear(4, 6)",
            "if len(x.shape) != 3 or x.shape[-1] != 4: raise ValueError('no sequence');"
            "return self.l(x)",
        ),
        ("float32[8,32,4]",),
    ),
    "a refusal says what divides a size": (
        net(
            "self.c = nn.Conv2d(3, 6, 3)",
            "if x.size(-1) % 24 or x.shape[2] % 24 != 0: raise RuntimeError('no whole windows');"
            "return self.c(x)",
        ),
        ("float32[8,3,48,48]",),
    ),
    "the axes between samples and channels have names": (
        net(
            "self.l = nn.Linear(6, 4)",
            "num_frames, height, width = hidden_states.shape[1:4];"
            "return self.l(hidden_states).view(-1, num_frames, height, width, 4)",
            "hidden_states",
        ),
        ("float32[8,16,32,32,6]",),
    ),
    "the axes behind the channels have names": (
        net(
            "self.norm = nn.LayerNorm(6)",
            "height, width = hidden_states.size()[2:];"
            "x = hidden_states.flatten(2).transpose(1, 2);"
            "return self.norm(x).view(-1, height, width, 6)",
            "hidden_states",
        ),
        ("float32[8,6,32,32]",),
    ),
    "a type of numbers is no tensor": (
        net(
            "self.l = nn.Linear(6, 4)",
            "return self.l(x.to(dtype)).to(hidden_dtype)",
            "x, dtype: torch.dtype, hidden_dtype",
        ),
        ("float32[8,6]", "torch.float32", "torch.float32"),
    ),
    "the sides that each image had are two numbers": (
        net(
            "self.c = nn.Conv2d(3, 6, 3); self.l = nn.Linear(4, 6)",
            "sides = torch.cat([original_size, crop_coords], 1).float();"
            "return self.c(x) + self.l(sides)[..., None, None]",
            "x, original_size: torch.Tensor, crop_coords: torch.Tensor",
        ),
        ("float32[8,3,32,32]", "int64[8,2]", "int64[8,2]"),
    ),
    "samples that are compared with each other are no steps": (
        net(
            "self.x = nn.Linear(6, 4)",
            "x = self.x(x); return (x - x[:, None]).pow(2).sum(-1) * target[:, None]",
            "x, target",
        ),
        ("float32[8,6]", "int64[8]"),
    ),
    "two images that a message asks for": (
        net(
            "self.c = nn.Conv2d(1, 4, 3)",
            "if x.dim() != 5 or x.shape[1] != 2: raise ValueError("
            "'Input must be a 5D tensor of shape (batch_size, 2, num_channels, height, width)')\n"
            "        return self.c(x[:, 0]) - self.c(x[:, 1])",
        ),
        ("float32[8,2,1,32,32]",),
    ),
    "what a decoder is trained with, and generates freely without": (
        net(
            "self.l = nn.Linear(6, 6)",
            "if inputs is None:\n            return self.freely(memory);"
            "return self.l(inputs) + memory.mean(1)",
            "memory, inputs=None",
        )
        + "    def freely(self, memory):\n        raise RuntimeError('only in eval mode')\n",
        ("float32[8,32,6]", "inputs: float32[8,6]"),
    ),
    "the steps that an embedding makes waves of": (
        net(
            "self.l = nn.Linear(8, 4)",
            "return self.l(self.waves(t, 8))",
            "t",
        )
        + "    @staticmethod\n"
        "    def waves(t, dim):\n"
        "        args = t[:, None].float() * torch.arange(dim // 2)[None]\n"
        "        return torch.cat([args.cos(), args.sin()], -1)\n",
        ("int64[8]",),
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
    "a state is joined to the channels of an image": (
        net(
            "self.c = nn.Conv2d(4 + 4, 16, 3, padding=1)",
            "h, c = state; return self.c(torch.cat([x, h], 1)).chunk(4, 1)[0] * c",
            "x, state",
        ),
        ("float32[8,4,32,32]", "(float32[8,4,32,32], float32[8,4,32,32])"),
    ),
    "a state of the model's own is joined to the channels of each frame": (
        net(
            "self.c = nn.Conv2d(6 + 4, 4, 3, padding=1)",
            "b, t, _, height, width = x.shape; h = torch.zeros(b, 4, height, width); "
            "return [h := self.c(torch.cat([x[:, i], h], 1)) for i in range(t)][-1]",
        ),
        ("float32[8,4,6,32,32]",),
    ),
    "what was read is joined to the input of each step": (
        net(
            "self.r = nn.LSTMCell(6 + 4, 4)",
            "h = c = x.new_zeros(x.shape[1], 4); "
            "return [h := self.r(torch.cat([now, h], 1), (h, c))[0] for now in x][-1]",
        ),
        ("float32[8,32,6]",),
    ),
    "two inputs are joined, and one of them to what was made of both": (
        net(
            "self.e = nn.Linear(7 + 4, 6); self.d = nn.Linear(7 + 6, 4)",
            "z = self.e(torch.cat([state, action], 1)); return self.d(torch.cat([state, z], 1))",
            "state, action",
        ),
        ("float32[8,7]", "float32[8,4]"),
    ),
    "a summary is expanded to each step": (
        net(
            "self.b = nn.Bilinear(6, 6, 1)",
            "return self.b(h_pl, c.unsqueeze(1).expand_as(h_pl))",
            "c, h_pl",
        ),
        ("float32[8,6]", "float32[8,32,6]"),
    ),
    "a signal is shifted by one of twice its length": (
        net(
            "self.c = nn.Conv1d(4, 4, 3, padding=1)",
            "return nn.functional.interpolate(self.c(x), scale_factor=2) + shift",
            "x, shift",
        ),
        ("float32[8,4,64]", "float32[8,4,128]"),
    ),
    "an adjacency has one matrix for each graph": (
        net("self.l = nn.Linear(6, 2)", "return torch.bmm(adj, self.l(h))", "h, adj"),
        ("float32[32,32,6]", "float32[32,32,32]"),
    ),
    "convolutions without padding leave of a small image less than its share": (
        net(
            "self.a = nn.Conv2d(1, 8, 3, 2); self.b = nn.Conv2d(8, 8, 3, 2); "
            "self.c = nn.Conv2d(8, 8, 3, 2); self.d = nn.Conv2d(8, 8, 2); self.l = nn.Linear(8, 2)",
            "return self.l(self.d(self.c(self.b(self.a(x)))).flatten(1))",
        ),
        ("float32[8,1,28,28]",),
    ),
    "an einsum asks for a size": (
        net(
            "self.w = nn.Parameter(torch.randn(12, 5)); self.v = nn.Parameter(torch.randn(5, 3))",
            "b, t, _ = x.shape; h = torch.einsum('btc,cd->btd', (x, self.w)); "
            "return torch.einsum('btd,de->bte', (h, self.v))",
        ),
        ("float32[8,32,12]",),
    ),
    "each sample has a convolution of its own": (
        net(
            "self.w = nn.Parameter(torch.randn(1, 4, 6, 3, 3))",
            "b, c, h, w = x.shape; k = self.w.expand(b, -1, -1, -1, -1).reshape(b * 4, 6, 3, 3); "
            "return nn.functional.conv2d(x.reshape(1, b * c, h, w), k, groups=b)",
        ),
        ("float32[8,6,32,32]",),
    ),
    "a mask is as long as the signal that its name begins with": (
        net(
            "self.e = nn.Embedding(20, 4); self.c = nn.Conv1d(4, 4, 1)",
            "h = self.e(ids).mean((1, 2))[:, None, None]; "
            "return self.c(signal) * signal_mask.float().mean() + h",
            "ids, signal, signal_mask",
        ),
        ("int64[8,32]", "float32[8,4,64]", "int64[8,64]"),
    ),
    "a mask is one for all channels": (
        net(
            "self.c = nn.Conv1d(6, 12, 3, padding=1)",
            "return self.c(x * x_mask) * x_mask",
            "x, x_mask",
        ),
        ("float32[8,6,64]", "bool[8,1,64]"),
    ),
    "a batch is divisible by what the model asserts": (
        net(
            "self.l = nn.Linear(6, 2); self.size = 3",
            "assert x.shape[0] % self.size == 0; return self.l(x)",
        ),
        ("float32[3,6]",),
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
    "what is joined along the second dimension is a sequence": (
        net(
            "self.a = nn.Linear(3, 6); self.n = nn.LayerNorm(6)",
            "return self.n(torch.cat([x, self.a(y)], 1))[:, : x.shape[1]]",
            "x, y",
        ),
        ("float32[8,32,6]", "float32[8,32,3]"),
    ),
    "so many samples as a number says belong together": (
        net(
            "self.l = nn.Linear(6, 2)",
            "n, t, c = x.shape; return self.l(x.reshape(n // num_frames, num_frames, t, c))",
            "x, num_frames: int",
        ),
        ("float32[8,32,6]", "4"),
    ),
    "a local name stands for the None of an optional argument": (
        net(
            "self.c = nn.Conv2d(3, 3, 1); self.d = nn.Conv2d(6, 2, 1)",
            "h = hint; return self.d(torch.cat([h, self.c(x)], 1))",
            "x, hint=None",
        ),
        ("float32[8,3,32,32]", "hint: float32[8,3,32,32]"),
    ),
    "keys are as wide as what an encoder made that may be left out": (
        """
class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.to_q = nn.Linear(6, 4)
        self.to_k = nn.Linear(9, 4)
    def forward(self, x, context):
        context = x if context is None else context
        return self.to_q(x) @ self.to_k(context).transpose(1, 2)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = Attention()
    def forward(self, x, encoder_states=None, mask=None):
        return self.attention(x, context=encoder_states)
""",
        ("float32[8,32,6]", "encoder_states: float32[8,32,9]"),
    ),
    "what is normalised by groups was joined": (
        net(
            "self.c = nn.Conv2d(4, 4, 1); self.n = nn.GroupNorm(2, 6)",
            "return self.n(torch.cat([self.c(x), kept], 1))",
            "x, kept",
        ),
        ("float32[8,4,32,32]", "float32[8,2,32,32]"),
    ),
    "the frames of a video are the batch": (
        net(
            "self.c = nn.Conv2d(4, 4, 1)",
            "n = image_only_indicator.shape[-1]; b, c, h, w = x.shape; "
            "x = self.c(x).reshape(b // n, n, c, h, w); "
            "return torch.where(image_only_indicator[:, :, None, None, None], x, -x)",
            "x, image_only_indicator",
        ),
        ("float32[8,4,32,32]", "bool[1,8]"),
    ),
    "the axes of a video have names, its channels are last": (
        net(
            "self.l = nn.Linear(5, 3); self.m = nn.Linear(6, 3)",
            "batch_size, duration, height, width, dim = x.shape; "
            "return self.l(x.reshape(batch_size, duration * height * width, dim)) + "
            "self.m(pooled_text)[:, None]",
            "x, pooled_text",
        ),
        ("float32[8,16,32,32,5]", "float32[8,6]"),
    ),
    "the steps of a sequence are the places of a video": (
        net(
            "self.n = nn.LayerNorm(5)",
            "f, h, w = (torch.arange(n) for n in (num_frames, height, width)); "
            "places = torch.meshgrid(f, h, w, indexing='ij')[0].flatten(); "
            "return self.n(x) * places[None, :, None]",
            "x, num_frames: int, height: int | None = None, width: int | None = None",
        ),
        ("float32[8,32,5]", "2", "height: 4", "width: 4"),
    ),
    "a hint is made smaller before it meets the image": (
        net(
            "self.a = nn.Conv2d(4, 6, 3, padding=1); self.b = nn.Conv2d(3, 6, 4, 4)",
            "return self.a(x) + self.b(hint)",
            "x, hint",
        ),
        ("float32[8,4,32,32]", "float32[8,3,128,128]"),
    ),
    "several hints are made smaller before they meet the image": (
        net(
            "self.a = nn.Conv2d(4, 6, 3, padding=1); self.b = nn.Conv2d(3, 6, 4, 4)",
            "return self.a(x) + sum(map(self.b, hints))",
            "x, hints: list[torch.Tensor]",
        ),
        ("float32[8,4,32,32]", "[float32[8,3,128,128], float32[8,3,128,128]]"),
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
    "features are taken apart into heads": (
        net(
            "self.c = nn.Conv1d(12, 4, 3)",
            "b, t, _ = x.shape; x = x.transpose(1, 2).reshape(b, 6, 12, t); "
            "return self.c(x.mean(1))",
        ),
        ("float32[8,12,72]",),
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
    "a decoder takes what an encoder gave": (
        net(
            "self.r = nn.GRUCell(6, 6); self.l = nn.Linear(12, 2)",
            "h = self.r(x); over = encoder_outputs.mean(1); return self.l(torch.cat([h, over], 1))",
            "x, encoder_outputs",
        ),
        ("float32[8,6]", "float32[8,32,6]"),
    ),
}


DOCUMENTED = """
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, kspace, reference, mask):
            \'\'\'
            Args:
                kspace: what was measured so far. It's a kspace (B,C,H,W,2)
                    or (B,C,H,W,D,2) for volumes.
                reference: another, whose shape is the same as kspace.
                mask: where it was measured, with shape (1,1,1,W,1).
            \'\'\'
            parts = torch.view_as_complex(kspace)
            rest = torch.where(mask, kspace - reference, torch.zeros(()))
            return torch.view_as_real(torch.fft.ifft2(parts)) - rest * self.weight
"""


class Picky(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)
        self.calls: list[torch.Tensor] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.append(x)
        raise ValueError("expected 5 got 3")


class TestSearch:
    def test_a_docstring_spells_what_no_layer_tells(self) -> None:
        image = "float32[8,3,32,32,2]"
        assert found(DOCUMENTED) == (image, image, "bool[1,1,1,32,1]")

    def test_a_class_that_is_called_after_its_dimensions_takes_as_many(self) -> None:
        source = """
            class Norm3D(nn.GroupNorm):
                def forward(self, x):
                    if len(x.shape) != 5:
                        raise ValueError("Expected a 5D tensor")
                    return super().forward(x)
        """
        assert found(source, "Norm3D(2, 6)") == ("float32[8,6,16,32,32]",)

    def test_what_is_compared_with_a_map_is_one_of_zeros_and_ones(self) -> None:
        source = """
            class AreaLoss(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.weight = nn.Parameter(torch.tensor(0.0))

                def forward(self, input, target):
                    if min(input.dim(), target.dim()) < 3:
                        raise ValueError("both must have at least 3 dimensions")
                    if input.shape[1] != 1:
                        raise ValueError(f"input should have 1 channel, got {input.shape[1]}")
                    if target.shape[1] != 1:
                        raise ValueError(f"target should have 1 channel, got {target.shape[1]}")
                    if not ((target == 0) | (target == 1)).all():
                        raise ValueError("target must contain only binary values (0 or 1)")
                    return ((input - self.weight) * target).mean()
        """
        assert found(source, "AreaLoss()") == ("float32[8,1,32,32]", "int64[8,1,32,32]")

    def test_a_number_of_numpys_is_a_size(self) -> None:
        source = net(
            "import numpy; self.l = nn.Linear(int(numpy.prod([2, 3])), 4);"
            "self.l.in_features = numpy.prod([2, 3])",
            "return self.l(x)",
        )
        assert found(source) == ("float32[8,6]",)

    def test_the_channels_of_a_volume_are_those_that_a_norm_has(self) -> None:
        source = """
            class Norm(nn.GroupNorm):
                def forward(self, x):
                    if len(x.shape) != 5:
                        raise ValueError("Expected a 5D tensor")
                    return super().forward(x)
        """
        assert found(source, "Norm(2, 6)") == ("float32[8,6,16,32,32]",)

    @pytest.mark.parametrize(("source", "expected"), CASES.values(), ids=CASES.keys())
    def test_inputs_are_found(self, source: str, expected: tuple[str, ...]) -> None:
        assert found(source) == expected

    def test_the_sequence_length_that_was_asked_for_is_used(self) -> None:
        source = net("self.r = nn.GRU(7, 5, batch_first=True)", "return self.r(x)[0]")
        assert found(source, sequence_length=50) == ("float32[8,50,7]",)

    def test_a_model_that_takes_nothing_fails_with_the_error_of_the_latest_pass(self) -> None:
        source = net("self.l = nn.Linear(3, 4)", "y = self.l(x); raise RuntimeError('never runs')")
        with pytest.raises(UserError) as caught:
            found(source)
        assert caught.value.stage == "forward"
        assert str(caught.value.error) == "never runs"

    def test_inputs_without_a_gradient_are_taken_only_where_nothing_better_runs(self) -> None:
        class Counter(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(3, 4)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.layer(x).argmax(-1)

        args, _ = Search(Counter()).found().drawn()
        assert described(args[0]) == "float32[8,3]"

    def test_a_model_that_trains_only_when_it_is_told_to_is_told_so(self) -> None:
        class Segmenter(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Conv2d(3, 4, 1)

            def forward(self, x: torch.Tensor, *, bare: bool = True, train: bool = False) -> object:
                scores = self.layer(x)
                return scores if train else scores.argmax(1)

        args, kwargs = Search(Segmenter()).found().drawn()
        assert kwargs == {"train": True}
        assert described(args[0]) == "float32[8,3,32,32]"

    def test_a_search_ends_when_it_gets_no_further(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = Picky()
        monkeypatch.setattr(search, "_IDLE", 5)
        with pytest.raises(UserError):
            Search(model).found()
        assert len(model.calls) == 5

    def test_a_size_that_is_a_fraction_is_not_mended_by_other_inputs(self) -> None:
        class Halves(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(3, 4)
                self.width = 4 / 2
                self.calls: list[torch.Tensor] = []

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                self.calls.append(x)
                return self.layer(x).view(-1, self.width)

        model = Halves()
        with pytest.raises(UserError):
            Search(model).found()
        assert sum(isinstance(call, torch.Tensor) for call in model.calls) == 2

    def test_a_search_ends_after_its_attempts(self) -> None:
        model = Picky()
        with pytest.raises(UserError):
            Search(model, attempts=7).found()
        assert len(model.calls) == 7


_PATCHES = """
class Net(nn.Module):
    def __init__(self, image_size=96, dim=6):
        super().__init__()
        side = image_size[0] if isinstance(image_size, tuple) else image_size
        count = (side // 8) ** 2
        self.places = nn.Parameter(torch.zeros(1, count, dim))
        self.cut = nn.Conv2d(3, dim, 8, 8)
    def forward(self, x):
        patches = self.cut(x).flatten(2).transpose(1, 2)
        return patches + self.places[:, :patches.shape[1]]
"""


@pytest.mark.parametrize(
    ("constructor", "side"),
    [("Net()", 96), ("Net(64)", 64), ("Net(dim=4, image_size=(40, 40))", 40)],
    ids=["by default", "by position", "by name"],
)
def test_images_are_as_large_as_the_model_was_told_when_it_was_made(
    constructor: str, side: int
) -> None:
    assert found(_PATCHES, constructor) == (f"float32[8,3,{side},{side}]",)


@pytest.mark.parametrize(
    "constructor",
    ["Wrapper(Net(image_size=40))", "Wrapper(net=Net(*(), image_size=40), **{})"],
    ids=["by position", "beside what is spread"],
)
def test_images_are_as_large_as_a_part_was_told_when_it_was_made(constructor: str) -> None:
    wrapper = """
class Wrapper(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net
    def forward(self, x):
        return self.net(x)
"""
    assert found(_PATCHES + wrapper, constructor) == ("float32[8,3,40,40]",)


def test_images_are_smaller_than_the_model_was_made_for_where_those_cannot_be_tried() -> None:
    source = """
class Net(nn.Module):
    def __init__(self, resolution):
        super().__init__()
        self.cut = nn.Conv3d(64, 4, 3)
    def forward(self, video):
        return self.cut(video)
"""
    assert found(source, "Net(resolution=1024)") == ("float32[8,64,16,64,64]",)


def test_no_image_is_a_strip() -> None:
    low = "part = [self.c][x.shape[2] // 16 - 1]; return part(x)"
    source = net("self.image_size = 256; self.c = nn.Conv2d(3, 4, 3)", low)
    assert found(source) == ("float32[8,3,16,16]",)


def test_a_long_wave_of_fewer_samples_is_tried_where_more_take_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(search, "_ROOMY", 0.5)
    source = net(
        "self.c = nn.Conv1d(1, 4, 800, 800)",
        "import time; time.sleep(0.12 * len(x) if x.shape[2] > 800 else 0.0);"
        "return self.c(F.pad(x, (0, -x.shape[2] % 800)))",
    )
    assert found(source) == ("float32[2,1,4096]",)


def test_a_video_has_as_many_frames_as_the_model_was_made_for() -> None:
    source = """
class Net(nn.Module):
    def __init__(self, frames):
        super().__init__()
        self.cut = nn.Conv3d(3, 6, (2, 4, 4), (2, 4, 4))
    def forward(self, video):
        return self.cut(video)
"""
    assert found(source, "Net(frames=10)") == ("float32[8,3,10,32,32]",)


class Patches(nn.Module):
    """Cuts images to patches of 4 pixels by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.LayerNorm(48), nn.Linear(48, 6))

    def forward(self, img: torch.Tensor) -> torch.Tensor:
        batch, colours, height, width = img.shape
        cut = img.reshape(batch, colours, height // 4, 4, width // 4, 4)
        patches = cut.permute(0, 2, 4, 3, 5, 1).reshape(batch, -1, 16 * colours)
        output: torch.Tensor = self.layers(patches)
        return output


def test_what_is_as_wide_as_a_patch_takes_images_that_are_cut_to_patches() -> None:
    search = Search(Patches(), given={"patch_size": 4}, attempts=1)
    assert described(search.found().drawn()[0][0]) == "float32[8,3,32,32]"


class Heard(nn.Module):
    """Hears a sound beside a text, the sound first."""

    def __init__(self) -> None:
        super().__init__()
        self.ears = nn.Conv1d(6, 4, 3)
        self.table = nn.Embedding(9, 4)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        input_features: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
    ) -> None: ...


def test_a_mask_of_nothing_in_particular_is_that_of_the_main_input() -> None:
    model = Heard()
    mask = argument_for(Facts(model), Forward.of(model), "attention_mask", 1).spec
    assert mask == Filled(("batch", "time"), 1.0, "int64")


def test_a_norm_without_sizes_takes_as_many_features_as_it_was_made_for() -> None:
    source = """
class Norm(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.scale = dim**0.5
        self.g = nn.Parameter(torch.ones(1))
    def forward(self, x):
        return nn.functional.normalize(x, dim=-1) * self.scale * self.g
"""
    assert found(source, "Norm(24)") == ("float32[8,24]",)


def test_a_mask_of_which_nothing_is_left_hides_nothing() -> None:
    source = net(
        "self.l = nn.Linear(6, 6)",
        "a = self.l(x).mean(2).softmax(1); a = self.kept(a, padding_mask);"
        "return a / a.sum(1, keepdim=True)",
        "x, padding_mask",
    )
    kept = "    def kept(self, a, keep): return a * keep.float()\n"
    built = build(module_of(source + kept), request("Net()"))
    args, kwargs = built.inputs()
    assert tensors_of(built.make()(*args, **kwargs))[0].isfinite().all()


@pytest.mark.parametrize(
    ("init", "changed"),
    [
        ("", "x / 255.0"),
        ("", "x.permute(0, 1, 3, 2).float().div(127.5) - 1"),
        ("", "(x / 255 - 0.5) / 0.25"),
        (
            "; self.register_buffer('mean', torch.tensor([123.7, 116.3, 103.5]).view(3, 1, 1))",
            "(x - self.mean) / 57.6",
        ),
    ],
    ids=["of 255", "of 127.5", "twice", "by a buffer"],
)
def test_pixels_are_as_large_as_the_model_expects_that_makes_them_small(
    init: str, changed: str
) -> None:
    source = net(f"self.c = nn.Conv2d(3, 8, 3){init}", f"self.seen = {changed}; return self.c(x)")
    built = build(module_of(source), request("Net()"))
    model = built.make()
    model(*built.inputs()[0])
    seen = model.seen
    assert isinstance(seen, torch.Tensor)
    assert seen.mean().abs() < 0.2
    assert 0.9 < seen.std() < 1.1


@pytest.mark.parametrize(
    "forward",
    [
        "return self.c(x / 8)",
        "return self.c(x) / 255",
        "return self.c(x - x.mean())",
        "m = (torch.rand_like(x) < 0.8).float(); return self.c(x * (1 - m) + m)",
    ],
    ids=["a scale of attention", "an output", "a statistic", "a mask"],
)
def test_inputs_are_standard_normal_whatever_else_is_done_to_them(forward: str) -> None:
    built = build(module_of(net("self.c = nn.Conv2d(3, 8, 3)", forward)), request("Net()"))
    (values,), _ = built.inputs()
    assert isinstance(values, torch.Tensor)
    assert 0.9 < values.std() < 1.1


@pytest.mark.parametrize(
    "forward",
    ["return self.l(x[:, :0].flatten(1))", "return x[:, :0].view(len(x), 9, 6)"],
    ids=["a product", "a view"],
)
def test_a_model_that_looks_at_nothing_of_its_input_fails_by_its_own_error(forward: str) -> None:
    with pytest.raises(UserError) as caught:
        build(module_of(net("self.l = nn.Linear(6, 2)", forward)), request("Net()"))
    assert isinstance(caught.value.error, RuntimeError)


_TRIPLES = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.entities = nn.Parameter(torch.rand(9, 4))
        self.relations = nn.Parameter(torch.rand(5, 4))

    def forward(self, sample, mode="single"):
        if mode == "single":
            size = sample.size(0)
            head = torch.index_select(self.entities, 0, sample[:, 0])
            relation = torch.index_select(self.relations, 0, sample[:, 1])
            tail = torch.index_select(self.entities, 0, sample[:, 2])
        else:
            triples, tails = sample
            size = tails.size(0)
            head = torch.index_select(self.entities, 0, triples[:, 0])
            relation = torch.index_select(self.relations, 0, triples[:, 1])
            tail = torch.index_select(self.entities, 0, tails.view(-1))
        return (head + relation - tail).view(size, -1).sum(1)
"""


def test_what_is_taken_apart_in_another_mode_is_a_table_with_the_columns_read_in_this() -> None:
    assert found(_TRIPLES) == ("int64[8,3]",)


_MOLECULES = """
def summed(values, index, count):
    return values.new_zeros(count, *values.shape[1:]).index_add(0, index, values)

class Conv(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.message, self.update = nn.Linear(3 * width, width), nn.GRUCell(width, width)

    def forward(self, h, edge_index, edge_attr):
        src, dst = edge_index
        message = self.message(torch.cat([h[src], h[dst], edge_attr], -1))
        return self.update(summed(message, dst, h.size(0)), h)

class Net(nn.Module):
    def __init__(self, width=6):
        super().__init__()
        self.atoms, self.bonds = nn.Embedding(9, width), nn.Embedding(4, width)
        self.conv, self.head = Conv(width), nn.Linear(width, 1)

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        h = self.conv(self.atoms(batch["atom"]), batch["edge_index"], self.bonds(batch["bond"]))
        return self.head(summed(h, batch["graph"], int(batch["graph"].max()) + 1))
"""


def test_a_batch_may_hold_the_graph_of_each_node_into_which_the_nodes_are_summed() -> None:
    (batch,) = found(_MOLECULES)
    assert "graph: int64[96]" in batch
