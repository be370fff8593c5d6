"""Which function predicts which operation."""

from __future__ import annotations

from collections.abc import Callable

from gradlint.theory import (
    attention,
    choices,
    convolution,
    dense,
    elementwise,
    norms,
    pooling,
    products,
    recurrence,
    shapes,
    spectral,
    sums,
    writing,
)
from gradlint.theory.step import Call, Step

Transfer = Callable[[Call], Step]


def _named(function: Transfer, names: str) -> dict[str, Transfer]:
    return dict.fromkeys(names.split(), function)


TRANSFERS: dict[str, Transfer] = {
    **_named(dense.dense, "linear addmm mv addmv nondynamicallyquantizablelinear lazylinear"),
    **_named(dense.dense, "matmul rmatmul mm bmm baddbmm einsum tensordot inner grouped_mm"),
    **_named(dense.bilinear, "bilinear"),
    **_named(dense.embedding, "embedding embeddingbag embedding_bag"),
    **_named(
        convolution.convolution,
        "conv1d conv2d conv3d convtranspose1d convtranspose2d convtranspose3d conv_transpose1d "
        "conv_transpose2d conv_transpose3d convolution lazyconv1d lazyconv2d lazyconv3d",
    ),
    **norms.NORMS,
    **_named(
        elementwise.activation,
        "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish softplus hardswish "
        "hardsigmoid "
        "hardtanh softsign sigmoid logsigmoid tanh tanhshrink hardshrink softshrink threshold "
        "exp expm1 "
        "erf log log1p abs sin cos neg square sqrt rsqrt reciprocal clamp clip clamp_min quickgelu",
    ),
    **_named(products.gated, "glu"),
    **_named(sums.addition, "add iadd radd sub isub rsub subtract"),
    **_named(sums.addition_of_product, "addcmul"),
    **_named(sums.extremum, "maximum minimum fmax fmin"),
    **_named(products.multiplication, "mul imul rmul multiply"),
    **_named(products.division, "div truediv idiv itruediv rdiv rtruediv divide"),
    **_named(elementwise.raising, "pow ipow"),
    **_named(
        elementwise.dropout,
        "dropout dropout1d dropout2d dropout3d alphadropout featurealphadropout feature_dropout "
        "alpha_dropout feature_alpha_dropout droppath",
    ),
    **_named(
        elementwise.passing,
        "identity contiguous to float double half bfloat16 type type_as clone alias triu tril "
        "checkpoint detach data",
    ),
    **_named(choices.masked, "masked_fill"),
    **_named(choices.chosen, "where"),
    **_named(pooling.running_total, "cumsum"),
    **_named(
        spectral.fourier,
        "fft_fft fft_fft2 fft_fftn fft_rfft fft_rfft2 fft_rfftn fft_ifft fft_ifft2 fft_ifftn "
        "fft_irfft "
        "fft_irfft2 fft_irfftn",
    ),
    **_named(spectral.real_part, "real imag view_as_real"),
    **_named(pooling.average, "mean adaptiveavgpool"),
    **_named(elementwise.moving, "roll flip fliplr flipud rot90 sort"),
    **_named(pooling.total, "sum"),
    **_named(pooling.deviation, "std var"),
    **_named(pooling.length, "norm linalg_norm linalg_vector_norm vector_norm"),
    **_named(
        pooling.average_pool,
        "avgpool1d avgpool2d avgpool3d adaptiveavgpool1d adaptiveavgpool2d adaptiveavgpool3d "
        "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
        "adaptive_avg_pool3d",
    ),
    **_named(
        pooling.largest,
        "maxpool1d maxpool2d maxpool3d adaptivemaxpool1d adaptivemaxpool2d adaptivemaxpool3d "
        "max_pool1d "
        "max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d amax "
        "max "
        "boolean_dispatch",
    ),
    **_named(
        pooling.interpolation, "interpolate upsample upsamplingnearest2d upsamplingbilinear2d"
    ),
    **_named(pooling.sampled, "grid_sample"),
    **_named(attention.softmax, "softmax log_softmax logsoftmax softmax2d softmin"),
    **_named(attention.log_sum_exp, "logsumexp"),
    **_named(attention.fused_attention, "scaled_dot_product_attention"),
    **_named(attention.multi_head_attention, "multiheadattention multi_head_attention_forward"),
    **_named(recurrence.recurrent, "rnn lstm gru"),
    **_named(recurrence.cell, "rnncell lstmcell grucell"),
    **_named(
        shapes.reshaped,
        "view reshape flatten unflatten view_as reshape_as squeeze unsqueeze ravel unsafe_view "
        "viewas "
        "unsafeview pixelshuffle pixelunshuffle pixel_shuffle pixel_unshuffle fold",
    ),
    **_named(shapes.windowed, "unfold as_strided asstrided"),
    **_named(
        shapes.permuted,
        "permute transpose t mt h mh movedim moveaxis swapaxes swapdims channelshuffle "
        "channel_shuffle "
        "adjoint",
    ),
    **_named(
        shapes.selected,
        "getitem select narrow chunk split unbind index_select gather take_along_dim "
        "tensor_split index "
        "masked_select slice diagonal topk splitwithsizes split_with_sizes",
    ),
    **_named(
        writing.written,
        "copy masked_scatter scatter index_put index_copy slice_scatter select_scatter setitem "
        "copyslices maskedscatter indexput indexcopy slicescatter selectscatter",
    ),
    **_named(writing.added, "index_add scatter_add indexadd scatteradd"),
    **_named(shapes.joined, "cat concat concatenate stack hstack vstack"),
    **_named(shapes.expanded, "expand expand_as repeat repeat_interleave tile broadcast_to"),
    **_named(
        shapes.padded,
        "pad zeropad1d zeropad2d zeropad3d constantpad1d constantpad2d constantpad3d",
    ),
    **_named(
        elementwise.passing,
        "reflectionpad1d reflectionpad2d reflectionpad3d replicationpad1d replicationpad2d",
    ),
}
"""The function that predicts operations of each plain lower-case name."""
