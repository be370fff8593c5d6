"""The values that parameters of the field's usual names usually have, small but in proportion."""

from __future__ import annotations

import re

# Sizes divide each other: 64 features, 4 heads of 16, images of 32 pixels in patches of 4.
_USUAL: dict[str, str] = {
    "3": """
        in_channels in_chans in_channel in_ch inchannels n_channels num_channels channels_in c_in
        cin nc img_channels image_channels input_channels input_channel input_nc in_nc
        num_input_channels colors n_colors channels_img img_ch num_in_ch output_nc out_nc
        kernel_size kernel ksize k_size filter_size
        num_anchors n_anchors anchors_per_location num_anchors_per_location
        """,
    "10": """
        num_classes n_classes nclasses num_class n_class nb_classes class_num classes num_labels
        n_labels output_dim output_size out_dim dim_out n_out n_outputs num_outputs d_out nout
        n_output out_size out_features action_dim n_actions num_actions action_size act_dim
        num_targets target_size outputs tagset_size num_tags output_channels latent_dim latent_size
        z_dim z_size nz latent output
        """,
    "8": """
        state_dim obs_dim state_size observation_dim n_states num_states batch_size bs batch n_batch
        reduction reduction_ratio ratio r pred_len horizon frames n_frames num_frames max_frames
        forecast_length num_points state_space
        """,
    "1000": """
        vocab_size vocabulary_size num_embeddings n_vocab vocab nvocab num_tokens n_tokens ntoken
        ntokens n_token num_words n_words num_vocab dict_size num_items num_users n_items n_users
        dictionary_size
        """,
    "64": """
        hidden_size hidden_dim hidden n_hidden num_hidden nhid hid_dim hidden_units hidden_channels
        hidden_features dim d_model model_dim embed_dim embedding_dim emb_dim embedding_size
        embed_size emb_size n_embd n_embed d_embed ninp d_hidden hdim h_dim units width features
        num_features d n_features feature_dim feat_dim in_features input_size input_dim in_dim
        dim_in d_in n_in nin n_input n_inputs num_inputs num_feats input_features inner_dim d_emb
        emsize out_channels out_channel out_ch out_chs out_chans channels_out c_out cout planes
        inplanes in_planes out_planes inp oup channels channel num_filters n_filters filters nf ngf
        ndf base_channels base_channel base_width mid_channels in_chs nb_filters embedding
        gate_channels num_feat n_feat n_feats hidden_layer_size intermediate_size mlp_dim
        dim_feedforward d_ff ff_dim ffn_dim d_inner ff_size n_inner mid_dim c n_state input inputs
        in_size
        """,
    "16": "dim_head head_dim d_k d_v d_head headdim d_key d_value bottleneck_dim growth_rate rank",
    "4": """
        num_heads n_heads nhead n_head heads num_attention_heads nheads num_groups n_experts
        num_experts expansion_ratio expand_ratio mlp_ratio upscale_factor scale_factor num_kv_heads
        n_kv_heads patch_size window patch
        """,
    "2": """
        spatial_dims spatial_dim n_spatial_dims num_spatial_dims ndim ndims
        num_layers n_layers nlayers n_layer num_layer depth num_blocks n_blocks nblocks num_block
        num_encoder_layers num_decoder_layers n_res_blocks num_res_blocks num_hidden_layers
        encoder_layers decoder_layers enc_layers dec_layers num_stages n_stages num_stacks repeats
        num_repeats levels num_levels n_levels top_k topk num_modules expansion factor scale upscale
        strides
        """,
    "1": """
        stride groups dilation cardinality num_directions output_padding n_samples dilation_rate
        max_value max_val
        """,
    "0": """
        padding layer_idx idx index pad_idx padding_idx pad_token_id layer_id block_idx layer_index
        pad src_pad_idx trg_pad_idx tgt_pad_idx layer_number drop_path drop_path_rate
        min_value min_val
        """,
    "0.1": """
        dropout drop dropout_rate dropout_p p_drop drop_rate drop_prob dropout_prob p dropout_ratio
        attn_drop proj_drop attention_dropout resid_pdrop embd_pdrop attn_pdrop rate momentum
        """,
    "32": """
        image_size img_size input_resolution resolution img_height img_width image_height
        image_width crop_size height size spatial_size input_height input_width h w seq_len max_len
        max_length max_seq_len sequence_length seq_length block_size context_length max_seq_length
        context_size n_ctx max_sequence_length max_position_embeddings maxlen max_positions
        window_size num_patches seq_size src_len tgt_len n_positions bptt num_steps n_steps
        timesteps num_timesteps lookback input_len num_nodes n_nodes
        """,
    "[2, 2, 2, 2]": "layers layer_list blocks_per_layer depths layer_config block_counts",
    "[64, 64]": "hidden_sizes hidden_dims hidden_layers mlp_dims dims h_dims hiddens",
    "[64, 64, 10]": "layer_sizes sizes layer_dims neurons",
    "[32, 64, 128, 256]": "embed_dims widths",
    "[3, 4, 5]": "kernel_sizes filter_sizes",
    "(3, 32, 32)": "input_shape img_shape image_shape obs_shape observation_shape in_shape",
    "1e-5": "eps epsilon layer_norm_eps norm_eps layer_norm_epsilon rms_norm_eps",
    "1e-3": "lr learning_rate",
    "0.25": "se_ratio squeeze_ratio",
    "1.0": "alpha gamma temperature tau",
    "5.0": "cutoff cutoff_upper cutoff_radius r_cut r_max",
    "0.02": "init_std initializer_range std",
    "'relu'": "activation_name act_name nonlinearity activation_type act_type act activation",
    "'gelu'": "hidden_act activation_function",
    "True": "bias use_bias qkv_bias batch_first affine use_bn batch_norm bn",
    "False": """
        bidirectional pretrained is_causal causal normalize_before return_attn last verbose
        transposed sparse sparsity freeze ceil_mode inplace
        """,
    "None": """
        device dtype pretrained_path weights checkpoint_path attn_mask mask downsample tokenizer
        logger model_type embedding_pretrained pretrained_embedding pretrained_embeddings
        """,
    "LargestTrial()": "trial",
    "__import__('torch').randn(1000, 64)": """
        embedding_matrix embeddings_matrix emb_matrix embedding_weights embed_weights weights_matrix
        weight_matrix word_vectors glove_vectors vocab_vectors pretrained_vectors
        """,
}

_CLASSES = {
    "norm_layer": "BatchNorm2d",
    "normalization": "LayerNorm",
    "norm": "BatchNorm2d",
    "act_layer": "GELU",
    "act_fn": "GELU",
    "act_func": "GELU",
    "activation_layer": "ReLU",
    "activation_fn": "ReLU",
    "activation_func": "ReLU",
    "act": "ReLU",
    "activation": "ReLU",
    "conv_layer": "Conv2d",
    "linear_layer": "Linear",
}

_HIDDEN = (
    "hidden|embed|embedding|emb|model|feature|feat|inner|latent|channel|mlp|ffn?|rnn|lstm|gru|conv"
    "|encoder|decoder|enc|dec|attn|attention|key|query|value|input|inp|in|output|out|cond|context|time"
)
_PATTERNS = tuple(
    (re.compile(pattern), value)
    for pattern, value in (
        (r"(n|num|nb|number)_?(of_)?\w*(class|label|categor|output|target|action)\w*", "10"),
        (r"(\w+_)?vocab(ulary)?(_size|_len)?", "1000"),
        (r"(n|num|nb|number)_?(of_)?\w*mels?(_bins|_channels)?", "80"),
        (r"(n|num|nb|number)_?(of_)?\w*(state|embd|embed)s?", "64"),
        (r"(\w+_)?n?ctx(_len|_size)?", "32"),
        (r"(n|num|nb|number)_?(of_)?\w*relations?", "8"),
        (r"(n|num|nb|number)_?(of_)?\w*(token|word|embedding|item|user|entit)(s|ies)?", "1000"),
        (r"(n|num|nb|number)_?(of_)?\w*heads?", "4"),
        (r"(n|num|nb|number)_?(of_)?\w*(layer|block|stack|cell|repeat|hop)s?", "2"),
        (r"\w+_(n|num|nb)_\w*(layer|block|stack|cell|repeat|conv|convolution|stage)s?", "2"),
        (r"(stage|layer|block|level)_?\d_(module|block|layer|unit)s?", "2"),
        (r"(out|feat|feature|pool|pooled|last)_(h|w|height|width)", "7"),
        (r"(n|num|nb|number)_?(of_)?\w*(expert|group)s?", "4"),
        (
            r"(n|num|nb|number)_?(of_)?\w*(filter|feature|feat|channel|unit|hidden|neuron|dim)s?",
            "64",
        ),
        (r"(n|num)_(filter|channel|chn|feature)s?(_\w+)?", "64"),
        (r"\w*(dropout|drop|drop_connect)(_p|_prob|_rate|_ratio)?s?|\w*momentum", "0.1"),
        (r"up\w*_kernel_?sizes?", "2"),  # because it is the stride as well
        (r"\w*kernel_?sizes?", "3"),
        (r"(\w+_)?shift(_size)?s?", "0"),
        (r"\w*_?(img|image)_?size", "32"),
        (r"\w*patch_?size", "4"),
        (r"(latent|z)_(channels?|chans?)", "4"),
        (r"\w*(in|input|img|image)_(channels?|chans?|ch|nc|planes)", "3"),
        (r"\w*(max|seq)\w*_(len|length)", "32"),
        (r"(use|with|is|has|return|enable|apply|include|share|add|do)_\w+|\w+_skip", "False"),
        (r"\w+_(depths?|mult|multiplier|factor|repeats|layers|stages|levels)", "2"),
        (rf"(\w*_)?({_HIDDEN})\w*_?(dims?|size|channels?|features?|width|units|planes|chs?)", "64"),
        (r"(dim|d|size|hidden|channels?|units|width|features?)_\w+", "64"),
        (r"\w+_(dim|size|features?|channels?|units|planes|width|ch)", "64"),
        (r"(in|out)\d*", "64"),
        (r"(\w+_)?(pad|padding|unk)(_token)?_(id|idx|index)", "0"),
        (r"(\w+_)?((bos|sos)(_token)?|(cls|start)_token)_(id|idx|index)", "1"),
        (r"(\w+_)?(eos(_token)?|(sep|end)_token)_(id|idx|index)", "2"),
        (r"\w+_(idx|index|ind)", "0"),
        (r"\w+_heads", "4"),
        (r"\w+_stride|stride_\w+", "1"),
        (r"(n|num|nb|number)_\w+", "2"),
        (r"\w+_eps(ilon)?", "1e-5"),
    )
)
_VALUES = {name: value for value, names in _USUAL.items() for name in names.split()}
DIMENSIONS = re.compile(
    r"((n|num)_)?spatial_?dim(s|ensions)?|n_?dims?|num_dim(s|ensions)|dimensions?"
)
"""What is called like the number of dimensions that images have."""
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def conventional(name: str) -> str | None:
    """The usual value of a parameter as an expression, None where its name is not usual."""
    lower = _CAMEL.sub("_", name).lower().strip("_")
    if lower in _VALUES:
        return _VALUES[lower]
    return next((value for pattern, value in _PATTERNS if pattern.fullmatch(lower)), None)


def conventional_class(name: str) -> str | None:
    """The name of the class in `torch.nn` that a parameter such as `norm_layer` usually takes."""
    return _CLASSES.get(name.lower())


REQUIRED = {
    "Linear": ("in_features", "hidden_features"),
    "Bilinear": ("in_features", "in_features", "hidden_features"),
    "Conv1d": ("in_channels", "out_channels", "kernel_size"),
    "Conv2d": ("in_channels", "out_channels", "kernel_size"),
    "Conv3d": ("in_channels", "out_channels", "kernel_size"),
    "ConvTranspose1d": ("in_channels", "out_channels", "kernel_size"),
    "ConvTranspose2d": ("in_channels", "out_channels", "kernel_size"),
    "Embedding": ("vocab_size", "embedding_dim"),
    "RNN": ("input_size", "hidden_size", "num_layers"),
    "LSTM": ("input_size", "hidden_size", "num_layers"),
    "GRU": ("input_size", "hidden_size", "num_layers"),
    "RNNCell": ("input_size", "hidden_size"),
    "LSTMCell": ("input_size", "hidden_size"),
    "GRUCell": ("input_size", "hidden_size"),
    "MultiheadAttention": ("embed_dim", "num_heads"),
    "TransformerEncoderLayer": ("d_model", "nhead", "dim_feedforward"),
    "TransformerDecoderLayer": ("d_model", "nhead", "dim_feedforward"),
    "TransformerEncoder": ("encoder_layer", "num_layers"),
    "TransformerDecoder": ("decoder_layer", "num_layers"),
    "BatchNorm1d": ("num_features",),
    "BatchNorm2d": ("num_features",),
    "GroupNorm": ("num_groups", "channels"),
    "LayerNorm": ("dim",),
    "RMSNorm": ("dim",),
    "Dropout": ("dropout",),
    "Dropout2d": ("dropout",),
}
"""The first parameters of classes in `torch.nn`, under names that `conventional` knows."""
