"""DeBERTa v2: He et al., DeBERTa: Decoding-enhanced BERT with Disentangled Attention, 2020, arXiv:2006.03654.

Attention by content and by relative position, which are looked up in logarithmic buckets and gathered.
"""

from sentences import VOCABULARY, masked
from torch.export import Dim
from transformers import DebertaV2Config, DebertaV2Model

from pytest_modelconform import Case, generic_weights

# At a distance of 31 the logarithm of the bucket is whole, and rounding decides which one that is.
LENGTH = Dim("length", max=31)


def model() -> DebertaV2Model:
    config = DebertaV2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=32,
        type_vocab_size=0,
        relative_attention=True,
        position_buckets=4,  # smaller than the sentences: far words share a bucket
        norm_rel_ebd="layer_norm",
        share_att_key=True,
        pos_att_type=["p2c", "c2p"],
        position_biased_input=False,
        conv_kernel_size=3,
        conv_act="gelu",
        layer_norm_eps=1e-7,
        return_dict=False,  # a plain tuple, so that artifacts load without transformers
    )
    return generic_weights(DebertaV2Model(config))


case = Case(
    model=model,
    inputs={"two": lambda: masked(12, 7), "three_longer": lambda: masked(6, 17, 11)},
    dynamic_shapes={"input_ids": {0: "batch", 1: LENGTH}, "attention_mask": {0: "batch", 1: LENGTH}},
    tags=("text", "transformer", "attention", "gather"),
    paper="arXiv:2006.03654",
    requires=("transformers",),
)
