"""MaskGIT's transformer: flax's heads are axes, layers are numbered modules."""

import kit
import numpy as np
import pytest


@pytest.fixture(scope="module")
def written():
  return kit.check("maskgit", kit.tiny("discrete.maskgit"))


def test_heads_are_axes_there(written):
  layer = "TransformerLayer_1/Attention_0/self_attention"
  qkv = written.ours["params/main/blocks/layers/attn/qkv/kernel"][1]
  key = written.theirs[f"{layer}/key/kernel"]
  assert key.shape == (32, 4, 8)
  np.testing.assert_array_equal(key.reshape(32, 32), qkv[:, 32:64])
  assert written.theirs[f"{layer}/out/kernel"].shape == (4, 8, 32)


def test_the_embedding_is_the_head_s_too(written):
  assert written.theirs["Embed_0/word_embeddings/embedding"].shape == (11, 32)
  assert written.theirs["MlmLayer_0/mlm_bias/bias"].shape == (11,)
