"""Images, volumes, videos, spectrograms, and what stands beside them."""

from __future__ import annotations

from tests.worker.inputs.search import net

CASES: dict[str, tuple[str, tuple[str, ...]]] = {
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
    "the frames of a video grow where there are enough of them": (
        net(
            "self.c = nn.Conv3d(3, 4, (2, 33, 33), (2, 33, 33))",
            "assert x.shape[2] == 16, 'too small'; return self.c(x)",
        ),
        ("float32[8,3,16,64,64]",),
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
    "feature maps have names, and names are texts": (
        net(
            "self.l = nn.Conv2d(16, 2, 1)",
            "return self.l(maps['0']) + self.l(maps['1']) + len(''.join(names))",
            "maps: dict[str, torch.Tensor], names: list[str]",
        ),
        ("{0: float32[8,16,32,32], 1: float32[8,16,32,32]}", "['0', '1']"),
    ),
    "the names that a shape is unpacked into say where the channels are": (
        net(
            "self.l = nn.Linear(16, 3)",
            "B, H, W, C = x.shape; return self.l(x.reshape(B, H * W, C))",
        ),
        ("float32[8,32,32,16]",),
    ),
    "channels stand at the end where each has a number of its own": (
        net("self.in_channels = 6; self.w = nn.Parameter(torch.ones(6))", "return x * self.w"),
        ("float32[8,6]",),
    ),
    "a flattened image is a vector for a view": (
        net("self.l = nn.Linear(784, 3)", "return self.l(x.view(-1, 784))"),
        ("float32[8,784]",),
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
    "places in an image have three or four coordinates": (
        net(
            "self.l = nn.Linear(4, 6)",
            "return self.l(img_ids[..., [0, 1, 2, 3]] * 1.0) + hidden_states",
            "hidden_states, img_ids",
        ),
        ("float32[8,32,6]", "int64[32,4]"),
    ),
    "the first frame of a video stands alone": (
        net(
            "self.l = nn.Conv3d(3, 4, 1)",
            "first, rest = x[:, :, :1], x[:, :, 1:]; "
            "return self.l(rest.unflatten(2, (-1, 8)).mean(3) + first)",
        ),
        ("float32[8,3,17,32,32]",),
    ),
    "a norm of images takes images": (
        net(
            "self.weight = nn.Parameter(torch.ones(6))",
            "return x * x.square().mean(1, keepdim=True).rsqrt() * self.weight[:, None, None]",
        )
        + "Net.__name__ = 'Norm2d'\n",
        ("float32[8,6,32,32]",),
    ),
    "the channels of an image are none of its sides": (
        net(
            "self.l = nn.Conv2d(3, 4, 3); self.input_size = (43, 47, 3)",
            "return self.l(x)",
        ),
        ("float32[8,3,43,47]",),
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
    "the frames of a video are larger where it has more places": (
        net(
            "self.c = nn.Conv3d(3, 4, (2, 4, 4), (2, 4, 4)); "
            "self.p = nn.Parameter(torch.zeros(1, 2048, 4))",
            "return self.c(x).flatten(2).transpose(1, 2) + self.p",
        ),
        ("float32[8,3,16,64,64]",),
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
    "two images share one size": (
        net(
            "self.c = nn.Conv2d(1, 2, 1); self.l = nn.Linear(2 * 48 * 48, 3)",
            "return [self.l(self.c(v).flatten(1)) for v in (one, two)]",
            "one, two",
        ),
        ("float32[8,1,48,48]", "float32[8,1,48,48]"),
    ),
    "timesteps are one for each image": (
        net(
            "self.c = nn.Conv2d(3, 4, 1); self.l = nn.Linear(1, 4)",
            "return self.c(x) + self.l(t[:, None].float())[:, :, None, None]",
            "x, t",
        ),
        ("float32[8,3,32,32]", "int64[8]"),
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
    "patches that are unfolded are those of an image": (
        net(
            "self.u = nn.Unfold(4, stride=2); self.n = nn.LayerNorm(48); self.l = nn.Linear(48, 5)",
            "return self.l(self.n(self.u(x).transpose(1, 2)))",
        ),
        ("float32[8,3,32,32]",),
    ),
    "a scale of each channel has room for the sides of an image": (
        net("self.g = nn.Parameter(torch.ones(6, 1, 1))", "return x * self.g"),
        ("float32[8,6,32,32]",),
    ),
    "an image is enlarged until there is enough of it to choose from": (
        net(
            "self.c = nn.Conv2d(3, 4, 4, 4)",
            "return self.c(x).flatten(2).topk(200).values",
        ),
        ("float32[8,3,64,64]",),
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
    "labels are joined to the channels of an image": (
        net(
            "self.c = nn.Conv2d(3 + 5, 2, 3)",
            "c = c.view(c.size(0), c.size(1), 1, 1).repeat(1, 1, x.size(2), x.size(3)); "
            "return self.c(torch.cat([x, c], dim=1))",
            "x, c",
        ),
        ("float32[8,3,32,32]", "int64[8,5]"),
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
    "the sides that each image had are two numbers": (
        net(
            "self.c = nn.Conv2d(3, 6, 3); self.l = nn.Linear(4, 6)",
            "sides = torch.cat([original_size, crop_coords], 1).float();"
            "return self.c(x) + self.l(sides)[..., None, None]",
            "x, original_size: torch.Tensor, crop_coords: torch.Tensor",
        ),
        ("float32[8,3,32,32]", "int64[8,2]", "int64[8,2]"),
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
    "convolutions without padding leave of a small image less than its share": (
        net(
            "self.a = nn.Conv2d(1, 8, 3, 2); self.b = nn.Conv2d(8, 8, 3, 2); "
            "self.c = nn.Conv2d(8, 8, 3, 2); self.d = nn.Conv2d(8, 8, 2); self.l = nn.Linear(8, 2)",
            "return self.l(self.d(self.c(self.b(self.a(x)))).flatten(1))",
        ),
        ("float32[8,1,28,28]",),
    ),
    "each sample has a convolution of its own": (
        net(
            "self.w = nn.Parameter(torch.randn(1, 4, 6, 3, 3))",
            "b, c, h, w = x.shape; k = self.w.expand(b, -1, -1, -1, -1).reshape(b * 4, 6, 3, 3); "
            "return nn.functional.conv2d(x.reshape(1, b * c, h, w), k, groups=b)",
        ),
        ("float32[8,6,32,32]",),
    ),
    "a mask is one for all channels": (
        net(
            "self.c = nn.Conv1d(6, 12, 3, padding=1)",
            "return self.c(x * x_mask) * x_mask",
            "x, x_mask",
        ),
        ("float32[8,6,64]", "bool[8,1,64]"),
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
    "an image is as large as the configuration says, whatever its parts were made for": (
        net(
            "from types import SimpleNamespace; self.config = SimpleNamespace(image_size=64);"
            "self.cut = nn.Conv2d(3, 4, 8, 8); self.cut.resolution = 8;"
            "self.places = nn.Parameter(torch.zeros(1, 4, 8, 8))",
            "return self.cut(x) + self.places",
        ),
        ("float32[8,3,64,64]",),
    ),
    "the frames of a video stand before its channels where these change places": (
        """
class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.cut = nn.Conv3d(3, 4, (2, 8, 8), (2, 8, 8))

    def forward(self, x):
        batch, frames, channels, height, width = x.shape
        return self.cut(x.permute(0, 2, 1, 3, 4)).flatten(2).transpose(1, 2)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = Patches()
        self.places = nn.Parameter(torch.zeros(1, 8 * 4 * 4, 4))

    def forward(self, x):
        return self.patches(x) + self.places
""",
        ("float32[8,16,3,32,32]",),
    ),
    "frames, each of which has an image of the model's own added": (
        net(
            "self.frame = nn.Parameter(torch.randn(1, 6, 3, 32, 32)); self.c = nn.Conv2d(3, 4, 3)",
            "x = x + self.frame.expand(len(x), -1, -1, -1, -1); return self.c(x.flatten(0, 1))",
        ),
        ("float32[8,6,3,32,32]",),
    ),
    "one sample, for which alone the model has places": (
        net(
            "self.c = nn.Conv2d(3, 4, 4, 4); self.e = nn.Parameter(torch.randn(8, 4))",
            "h = self.c(x).permute(0, 2, 3, 1); return h + self.e.view(len(x), 1, 8, 4)",
        ),
        ("float32[1,3,32,32]",),
    ),
}
