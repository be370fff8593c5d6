"""What each operation of a layer graph is: the table from operation names to roles."""

from __future__ import annotations

from enum import Enum
from functools import cache

from gradlint.protocol.nodes import Layer


class Role(str, Enum):
    """What an operation does to a signal."""

    DENSE = "dense"
    CONVOLUTION = "convolution"
    EMBEDDING = "embedding"
    RECURRENT = "recurrent"
    CELL = "cell"
    ATTENTION = "attention"
    ACTIVATION = "activation"
    NORM = "norm"
    DROPOUT = "dropout"
    POOL = "pool"
    SUM = "sum"
    PRODUCT = "product"
    CONCAT = "concat"
    SOFTMAX = "softmax"
    SHAPE = "shape"
    OTHER = "other"


ACTIVATIONS = frozenset(
    "sigmoid logsigmoid tanh hardsigmoid hardtanh softsign relu relu6 leaky_relu prelu rrelu elu "
    "selu celu gelu silu mish softplus hardswish hardshrink softshrink tanhshrink "
    "threshold exp glu".split()
)
SATURATING = frozenset({"sigmoid", "tanh", "hardsigmoid", "hardtanh", "softsign"})

_ACTIVATION_SPELLINGS = {
    "leakyrelu": "leaky_relu",
    "swish": "silu",
    "clamp_sigmoid": "sigmoid",
    "special_expit": "sigmoid",
    "expit": "sigmoid",
}

_ROLES: dict[str, Role] = {
    name: role
    for role, names in {
        Role.DENSE: "linear bilinear addmm mm matmul bmm baddbmm addmv mv einsum "
        "nondynamicallyquantizablelinear",
        Role.CONVOLUTION: "conv1d conv2d conv3d convtranspose1d convtranspose2d convtranspose3d "
        "conv_transpose1d conv_transpose2d conv_transpose3d convolution",
        Role.EMBEDDING: "embedding embeddingbag embedding_bag",
        Role.RECURRENT: "rnn lstm gru rnn_tanh rnn_relu",
        Role.CELL: "rnncell lstmcell grucell rnn_tanh_cell rnn_relu_cell lstm_cell gru_cell",
        Role.ATTENTION: "multiheadattention scaled_dot_product_attention "
        "multi_head_attention_forward",
        Role.NORM: "batchnorm1d batchnorm2d batchnorm3d syncbatchnorm layernorm groupnorm rmsnorm "
        "instancenorm1d instancenorm2d instancenorm3d localresponsenorm batch_norm layer_norm "
        "group_norm rms_norm "
        "instance_norm local_response_norm normalize",
        Role.DROPOUT: "dropout dropout1d dropout2d dropout3d alphadropout featurealphadropout "
        "alpha_dropout feature_alpha_dropout feature_dropout",
        Role.POOL: "maxpool1d maxpool2d maxpool3d avgpool1d avgpool2d avgpool3d adaptiveavgpool1d "
        "adaptiveavgpool2d adaptiveavgpool3d adaptivemaxpool1d adaptivemaxpool2d adaptivemaxpool3d "
        "lppool1d lppool2d max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d "
        "adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool1d "
        "adaptive_max_pool2d adaptive_max_pool3d mean amax max interpolate upsample",
        Role.SUM: "add sub rsub addcmul lerp sum",
        Role.PRODUCT: "mul div truediv pow square prod rdiv rtruediv",
        Role.CONCAT: "cat concat concatenate stack hstack vstack",
        Role.SOFTMAX: "softmax log_softmax logsoftmax softmax2d softmin logsumexp",
        Role.SHAPE: "view reshape flatten unflatten permute transpose t squeeze unsqueeze expand "
        "expand_as repeat contiguous identity getitem narrow select chunk split unbind movedim "
        "swapaxes to float "
        "double half type clone roll pad index_select gather take_along_dim view_as reshape_as "
        "tile mt h mh",
    }.items()
    for name in names.split()
}


def name_of(layer: Layer) -> str:
    """The operation's plain lower-case name: `torch.nn.ReLU` and `aten.relu` are both `relu`."""
    return _plain(layer.op)


@cache
def _plain(op: str) -> str:
    name = op.rpartition(".")[2].lower()
    return _ACTIVATION_SPELLINGS.get(name, name)


def role_of(layer: Layer) -> Role:
    """The role of a layer's operation; OTHER where the table has none."""
    name = name_of(layer)
    return Role.ACTIVATION if name in ACTIVATIONS else _ROLES.get(name, Role.OTHER)


def is_weighted(layer: Layer) -> bool:
    """Whether the layer multiplies its input by a weight matrix or kernel."""
    return role_of(layer) in (Role.DENSE, Role.CONVOLUTION)


def is_saturating(layer: Layer) -> bool:
    """Whether the layer is an activation whose derivative vanishes on both sides."""
    return name_of(layer) in SATURATING
