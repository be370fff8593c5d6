"""What the source says of inputs in words: annotations, remarks, assertions, refusals."""

from __future__ import annotations

from tests.worker.inputs.search import net

CASES: dict[str, tuple[str, tuple[str, ...]]] = {
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
    "a number of dimensions in words": (
        net(
            "self.r = nn.GRU(6, 3, batch_first=True)",
            "assert x.dim() == 2, 'needs two-dimensional inputs'; return self.r(x[:, None])[0]",
        ),
        ("float32[8,6]",),
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
    "annotations may stand in a comment": (
        net(
            "self.l = nn.Conv2d(3, 4, 3)",
            "# type: (List[Tensor], Optional[Tensor]) -> Tensor; "
            "return torch.stack([self.l(image) for image in images])",
            "images, mask=None",
        ),
        ("[float32[3,32,32], float32[3,32,32]]",),
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
    "an image has the sides that the message tells": (
        net(
            "self.l = nn.Conv2d(3, 4, 3)",
            "assert x.shape[2:] == (43, 47), 'input size must be (43, 47)'; return self.l(x)",
        ),
        ("float32[8,3,43,47]",),
    ),
    "an assertion about sizes is obeyed": (
        net(
            "self.c = nn.Conv2d(3, 4, 8, 8)",
            "assert x.shape[2] == 96, f'Input height ({x.shape[2]}) does not match model (96)'; "
            "return self.c(x)",
        ),
        ("float32[8,3,96,96]",),
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
    "a mapping that an annotation allows beside a tensor": (
        net(
            "self.l = nn.Linear(4, 2); self.kinds = ['man', 'dog']",
            "if isinstance(x, dict): return [self.l(x[key]) for key in self.kinds];"
            "raise ValueError('found the wrong type')",
            "x: 'Union[torch.Tensor, Dict[str, torch.Tensor]]'",
        ),
        ("{man: float32[8,4], dog: float32[8,4]}",),
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
    "an assertion without a message is computed": (
        net(
            "self.l = nn.Linear(6, 2); self.sides = 7, 9",
            "h, w = self.sides; b, n, c = x.shape; assert n == h * w; return self.l(x)",
        ),
        ("float32[8,63,6]",),
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
    "two images that a message asks for": (
        net(
            "self.c = nn.Conv2d(1, 4, 3)",
            "if x.dim() != 5 or x.shape[1] != 2: raise ValueError("
            "'Input must be a 5D tensor of shape (batch_size, 2, num_channels, height, width)')\n"
            "        return self.c(x[:, 0]) - self.c(x[:, 1])",
        ),
        ("float32[8,2,1,32,32]",),
    ),
    "an einsum asks for a size": (
        net(
            "self.w = nn.Parameter(torch.randn(12, 5)); self.v = nn.Parameter(torch.randn(5, 3))",
            "b, t, _ = x.shape; h = torch.einsum('btc,cd->btd', (x, self.w)); "
            "return torch.einsum('btd,de->bte', (h, self.v))",
        ),
        ("float32[8,32,12]",),
    ),
    "a batch is divisible by what the model asserts": (
        net(
            "self.l = nn.Linear(6, 2); self.size = 3",
            "assert x.shape[0] % self.size == 0; return self.l(x)",
        ),
        ("float32[3,6]",),
    ),
    "an argument with whose name, written large, a message of a part begins": (
        "class Places(nn.Module):\n"
        "    def forward(self, h, marks):\n"
        "        if marks is None: raise ValueError('Boxes are needed here')\n"
        "        return h + marks.sum(-1, keepdim=True)\n"
        + net(
            "self.e = nn.Embedding(50, 6); self.places = Places()",
            "return self.places(self.e(words), boxes)",
            "words, boxes=None",
        ),
        ("int64[8,32]", "boxes: float32[8,32,6]"),
    ),
    "tensors that an annotation takes for settings, of which none is read": (
        net(
            "self.e = nn.Embedding(50, 6)",
            "if boxes is None: raise ValueError('boxes are needed to place them');"
            "return self.e(words) + torch.clip(boxes, 0, 1).sum(-1, keepdim=True)",
            "words, boxes: dict[str, object] | None = None",
        ),
        ("int64[8,32]", "boxes: float32[8,32,4]"),
    ),
    "patches that a docstring says the sides of, as products": (
        net(
            "self.patch = 4; self.merge = 2; self.colours = 3; self.l = nn.Linear(48, 5)",
            "r''';"
            "pixel_values (`torch.Tensor` of shape"
            " `(num_tokens, merge * patch, merge * patch, colours)`):;"
            "    One for each of them.;"
            "''';"
            "assert len(pixel_values) == image_grid_thw.prod(-1).sum();"
            "parts = pixel_values.reshape(-1, 2, 4, 2, 4, 3).transpose(2, 3);"
            "return self.l(parts.reshape(-1, 48))",
            "pixel_values, image_grid_thw",
        ),
        ("float32[512,8,8,3]", "int64[8,3]"),
    ),
    "as many steps as a message advises": (
        net(
            "self.r = nn.GRU(6, 4, batch_first=True)",
            "wanted = 12 * self.r.hidden_size;"
            "if len(x[0]) != wanted: raise ValueError(f'pad your sequence length to {wanted}');"
            "return self.r(x)[0]",
        ),
        ("float32[8,48,6]",),
    ),
    "patches as wide as the layer that takes them, whatever a docstring calls that": (
        net(
            "self.width = 6; self.c = nn.Conv2d(3, 6, 4, 4)",
            "r''';"
            "hidden_states (`torch.Tensor` of shape `(seq_len, width)`):;"
            "    The pixels.;"
            "''';"
            "return self.c(hidden_states.view(-1, 3, 4, 4)).flatten(1)",
            "hidden_states, grid_thw",
        ),
        ("float32[512,48]", "int64[8,3]"),
    ),
}
