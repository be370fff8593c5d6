"""What sizes, rates and flags are usual, by their names."""

from __future__ import annotations

import re

# Small values in proportion: 64 divides by 4 heads, images of 32 pixels by patches of 4.
_USUAL: tuple[tuple[str, str], ...] = (
    (r".*per_tok(en)?|.*top_?k", "2"),
    (r"\w+_token_(id|index)", "4"),
    (r".*(dropout|drop|pdrop).*|p", "0.1"),
    (r".*momentum", "0.1"),
    (r"(se|squeeze)_ratio", "0.25"),
    (r"min(_?val(ue)?|imum)?|low(er)?", "0"),
    (r"max(_?val(ue)?|imum)?|high|upper", "1"),
    (r".*(eps|epsilon)", "1e-5"),
    (r".*(init_std|initializer_range|std)", "0.02"),
    (r".*(theta|rope_base|base)", "10000.0"),
    (r"(hidden_act|activation\w*|act(?!ion|_dim|_size)\w*|nonlinearity)", "'relu'"),
    (
        r"(use|with|is|has|return|enable|tie|share|add|do|flash|output(?!_(dim|size)s?$))_.*|.*(pretrained|bidirectional|skip)",
        "False",
    ),
    (r".*(bias|batch_first|affine)", "True"),
    (r".*(path|device|dtype|weights|checkpoint|mask|scaling).*", "None"),
    (r".*(vocab|token|embeddings|words|items|users|stoi|itos).*", "1000"),
    (r"(word|char|src|trg|tgt)_?(2|to)_?(id|idx|index|ix|int)s?", "1000"),
    (r"(n|num)_nodes", "32"),
    (r"(n|num)_relations", "8"),
    (r".*(class|label|output_(dim|size)|out_dim|action|act_(dim|size)|target|tag).*", "10"),
    (r".*(img|image|input|in)_?(channels?|chans?|nc)|nc|channels|kernel\w*", "3"),
    (r"(latent|z)_(channels?|chans?)", "4"),
    (r"(out|feat|feature|pool|pooled|last)_(h|w|height|width)", "7"),
    (r"(stage|layer|block|level)_?\d_(module|block|layer|unit)s?", "2"),
    (r".*spatial_dims?|ndims?", "2"),
    (r".*(layers?|blocks|depth|repeats|stages|stacks|hops)", "2"),
    (r".*(heads?|groups|experts|ratio|patch\w*|expansion\w*|upscale\w*|scale\w*)", "4"),
    (r".*(head_dim|dim_head|d_k|d_v|rank|growth\w*)", "16"),
    (
        r".*(img|image|seq|len|length|max_pos|block_size|context|resolution|height|width|steps|window).*",
        "32",
    ),
    (r".*(stride|dilation|cardinality)", "1"),
    (r".*(padding|idx|index|_ind|_id|pad)", "0"),
    (r".*(alpha|beta|gamma|temperature|tau|lambd\w*|weight)", "1.0"),
    (r".*(lr|learning_rate|decay)", "1e-3"),
)


def usual(name: str) -> str:
    """The usual value of a size, a rate or a flag of this name, as an expression; 64 if unknown."""
    return known(name) or "64"


def usual_size(name: str) -> int | None:
    """The usual value as a number of things; None where the name is that of a rate or a flag."""
    value = usual(name)
    return int(value) if value.isdecimal() else None


def known(name: str) -> str | None:
    """The usual value for a name that says what it is, None for any other."""
    return next((value for pattern, value in _USUAL if re.fullmatch(pattern, name.lower())), None)
