"""Texts, signals and other sequences, and the states of what reads them."""

from __future__ import annotations

from tests.worker.inputs.search import net

CASES: dict[str, tuple[str, tuple[str, ...]]] = {
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
    "the width of a hidden state that is made like an argument": (
        net(
            "self.r = nn.LSTM(6, 3)",
            "s = torch.zeros(1, 1, x.shape[-1]); "
            "return self.r(torch.zeros(1, 1, 6), (s, s))[0] + x",
        ),
        ("float32[32,8,3]",),
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
    "what stands beside pairs is a sequence, and a mask that is no None is given": (
        net(
            "self.l = nn.Linear(6, 6); self.p = nn.Linear(4, 6)",
            "h = (self.p(pairs) * pair_mask[..., None]).sum(2); "
            "return self.l(x) * mask[..., None] + h",
            "x, pairs, mask: torch.Tensor, pair_mask: torch.Tensor",
        ),
        ("float32[8,32,6]", "float32[8,32,32,4]", "int64[8,32]", "int64[8,32,32]"),
    ),
    "the embedding of a step is one vector for each sample": (
        net(
            "self.c = nn.Conv1d(6, 8, 3); self.time_emb = nn.Linear(5, 8)",
            "return self.c(x) + self.time_emb(nn.functional.mish(temb))[..., None]",
            "x, temb=None",
        ),
        ("float32[8,6,64]", "temb: float32[8,5]"),
    ),
    "what asks with queries has several tokens to choose among": (
        net(
            "self.qkv = nn.Linear(16, 48); self.heads = 4",
            "q, k, v = self.qkv(x).view(x.shape[0], -1, 4, 12).transpose(1, 2).chunk(3, -1); "
            "return (q @ k.transpose(-2, -1)).softmax(-1) @ v",
        ),
        ("float32[8,32,16]",),
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
    "what is added to steps has steps": (
        net(
            "self.l = nn.Linear(80, 8); self.e = nn.Embedding(9, 8)",
            "assert len(mel) == len(pos); return self.l(mel) + self.e(pos)",
            "mel, pos",
        ),
        ("float32[8,32,80]", "int64[8,32]"),
    ),
    "an embedding takes integers": (
        net("self.e = nn.Embedding(50, 8)", "return self.e(x)"),
        ("int64[8,32]",),
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
    "positions limit the length": (
        net(
            "self.e = nn.Embedding(50, 8); self.p = nn.Embedding(20, 8)",
            "return self.e(x) + self.p(torch.arange(x.size(1)))",
        ),
        ("int64[8,20]",),
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
    "source and target are texts": (
        net(
            "self.a = nn.Embedding(30, 8); self.b = nn.Embedding(40, 8); "
            "self.t = nn.Transformer(8, 2, 1, 1, 16, batch_first=True)",
            "return self.t(self.a(src), self.b(tgt))",
            "src, tgt",
        ),
        ("int64[8,32]", "int64[8,32]"),
    ),
    "each step has a token of each codebook": (
        net(
            "self.e = nn.Embedding(50, 8)",
            "ids = torch.where(x == 49, x, x + torch.zeros(5, dtype=torch.long)); "
            "return self.e(ids).sum(2)",
        ),
        ("int64[8,32,5]",),
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
    "a scale of each head has room for the places of a sequence": (
        net("self.g = nn.Parameter(torch.ones(4, 1, 6))", "return x * self.g"),
        ("float32[8,4,32,6]",),
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
    "columns whose tokens are moved to their parts of one table": (
        net(
            "self.e = nn.Embedding(96, 4); self.offsets = torch.tensor([0, 24, 48, 72])",
            "return self.e(x + self.offsets[None])",
        ),
        ("int64[8,4]",),
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
    "samples that are compared with each other are no steps": (
        net(
            "self.x = nn.Linear(6, 4)",
            "x = self.x(x); return (x - x[:, None]).pow(2).sum(-1) * target[:, None]",
            "x, target",
        ),
        ("float32[8,6]", "int64[8]"),
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
    "what was read is joined to the input of each step": (
        net(
            "self.r = nn.LSTMCell(6 + 4, 4)",
            "h = c = x.new_zeros(x.shape[1], 4); "
            "return [h := self.r(torch.cat([now, h], 1), (h, c))[0] for now in x][-1]",
        ),
        ("float32[8,32,6]",),
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
    "a mask is as long as the signal that its name begins with": (
        net(
            "self.e = nn.Embedding(20, 4); self.c = nn.Conv1d(4, 4, 1)",
            "h = self.e(ids).mean((1, 2))[:, None, None]; "
            "return self.c(signal) * signal_mask.float().mean() + h",
            "ids, signal, signal_mask",
        ),
        ("int64[8,32]", "float32[8,4,64]", "int64[8,64]"),
    ),
    "what is joined along the second dimension is a sequence": (
        net(
            "self.a = nn.Linear(3, 6); self.n = nn.LayerNorm(6)",
            "return self.n(torch.cat([x, self.a(y)], 1))[:, : x.shape[1]]",
            "x, y",
        ),
        ("float32[8,32,6]", "float32[8,32,3]"),
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
    "a decoder takes what an encoder gave": (
        net(
            "self.r = nn.GRUCell(6, 6); self.l = nn.Linear(12, 2)",
            "h = self.r(x); over = encoder_outputs.mean(1); return self.l(torch.cat([h, over], 1))",
            "x, encoder_outputs",
        ),
        ("float32[8,6]", "float32[8,32,6]"),
    ),
    "a series is scaled by one row for all of its steps": (
        net(
            "self.s = nn.Parameter(torch.ones(1, 1, 7)); self.l = nn.Linear(7, 2)",
            "x = (x - x.mean(1, keepdim=True)) * self.s; return self.l(x)",
        ),
        ("float32[8,32,7]",),
    ),
    "a series is scaled before its columns are mixed by nothing that tells them": (
        net(
            "self.s = nn.Parameter(torch.ones(1, 1, 7)); self.l = nn.Linear(3, 1)",
            "y = x * self.s; return self.l(torch.stack([y, y + 1, y * y], -1))",
        ),
        ("float32[8,32,7]",),
    ),
    "a series is as long as the place that is read of it": (
        net(
            "self.l = nn.Linear(7, 2)",
            "y = torch.zeros(*x.shape[:2], 2); y[:] = self.l(x); return y[:, 95]",
        ),
        ("float32[8,96,7]",),
    ),
    "a mask that a convolution looks at is one of fractions": (
        net(
            "self.c = nn.Conv1d(6, 2, 1); self.m = nn.Conv1d(1, 2, 1)",
            "return self.c(x) + self.m(attention_mask[:, None])",
            "x, attention_mask",
        ),
        ("float32[8,6,64]", "float32[8,64]"),
    ),
    "two signals that share the channels of what takes both": (
        net(
            "self.c = nn.Conv1d(64, 4, 3)",
            "return self.c(torch.cat([hidden_states, temb], 1))",
            "hidden_states, temb",
        ),
        ("float32[8,32,64]", "float32[8,32,64]"),
    ),
}
