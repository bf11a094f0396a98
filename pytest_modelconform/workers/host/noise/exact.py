"""Operators whose result is the same in every arithmetic, and those that decide something by rounding."""

from __future__ import annotations

# Nothing is rounded: choices, signs, orders, whole numbers. Views are told by their schema.
_CHOICES = """
    relu relu6 hardtanh threshold threshold_backward hardtanh_backward clamp clamp_min clamp_max clip abs neg
    positive sign sgn floor ceil round trunc frac where maximum minimum fmax fmin max min amax amin aminmax
    cummax cummin topk sort kthvalue median nanmedian mode heaviside copysign nextafter ldexp nan_to_num
    max_pool2d_with_indices max_pool3d_with_indices max_pool2d mkldnn_max_pool2d fractional_max_pool2d
    adaptive_max_pool2d adaptive_max_pool3d max_unpool2d max_unpool3d
"""
# Copies, and what takes numbers from their places.
_COPIES = """
    _conj _conj_physical _local_scalar_dense _nested_tensor_from_mask _nested_tensor_from_tensor_list
    _reshape_alias _to_copy _unique2 _unsafe_index _unsafe_view _upsample_nearest_exact1d
    _upsample_nearest_exact2d _upsample_nearest_exact3d alias as_strided as_strided_scatter bincount cat
    channel_shuffle clone complex conj conj_physical constant_pad_nd contiguous copy detach diag_embed
    diagonal_copy diagonal_scatter embedding expand_copy flip gather histc im2col imag index index_copy
    index_fill index_select lift lift_fresh lift_fresh_copy masked_fill masked_scatter masked_select narrow_copy
    nested_to_padded_tensor nms pad_sequence pixel_shuffle pixel_unshuffle real reflection_pad1d
    reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d
    replication_pad3d resolve_conj roll rot90 scatter select_scatter slice slice_backward slice_scatter
    split_with_sizes_copy squeeze stack swapaxes t take to to_padded_tensor transpose tril triu unfold_copy
    unique unique_consecutive unique_dim unsafe_split unsafe_split_with_sizes unsqueeze upsample_nearest1d
    upsample_nearest2d upsample_nearest3d value_selecting_reduction_backward view_as_real_copy
"""
# Constants and random numbers: the same seed draws the same.
_MADE = """
    empty empty_like empty_strided new_empty new_empty_strided zeros zeros_like new_zeros ones ones_like
    new_ones full full_like new_full fill zero eye resize rand rand_like randn randn_like normal uniform
    bernoulli native_dropout native_dropout_backward dropout exponential random randint randperm multinomial
    _fused_dropout
"""
EXACT = frozenset((_CHOICES + _COPIES + _MADE).split())

# Continuous arithmetic turns into a decision here, beside whatever makes integers or bools of floating numbers.
DECIDING = frozenset(("floor", "ceil", "round", "trunc", "frac", "sign", "sgn", "heaviside", "fmod", "remainder"))
# Integers that only say where a maximum came from, for the backward pass.
HARMLESS = frozenset(
    ("max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d", "adaptive_max_pool3d")
)
