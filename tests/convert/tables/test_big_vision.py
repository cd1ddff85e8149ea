"""big_vision in flax: heads are an axis, blocks are numbered in names."""

import kit
import numpy as np
import peers
import pytest

from jmim.core import tree as trees

ATTENTION = "Transformer/encoderblock_1/MultiHeadDotProductAttention_0"


@pytest.fixture(scope="module")
def written():
  return kit.check("big_vision", kit.tiny("vit"))


def test_names_without_a_class_token(written):
  plain = kit.check("big_vision", kit.tiny("vit", cls=False, pool="mean"))
  assert written.theirs.keys() - plain.theirs.keys() == {"cls"}


def test_patches_are_a_convolution_of_flax(written):
  conv = written.theirs["embedding/kernel"]  # [p, p, c, d]
  ours = written.ours["params/main/encoder/patch_embed/proj/kernel"]
  np.testing.assert_array_equal(conv[1, 3, 2], ours[(1 * 4 + 3) * 3 + 2])


def test_heads_are_an_axis(written):
  attn = "params/main/encoder/blocks/layers/attn"
  kernel = written.ours[f"{attn}/qkv/kernel"][1]
  for i, name in enumerate(("query", "key", "value")):
    theirs = written.theirs[f"{ATTENTION}/{name}/kernel"]
    part = kernel[:, 32 * i : 32 * (i + 1)].reshape(32, 4, 8)
    np.testing.assert_array_equal(theirs, part)
  out = written.theirs[f"{ATTENTION}/out/kernel"]
  ours = written.ours[f"{attn}/proj/kernel"][1].reshape(4, 8, 32)
  np.testing.assert_array_equal(out, ours)


def test_names_of_vision_transformer_are_read(written):
  # The repository before big_vision numbered the layers of a block in one row.
  file = {}
  for name, array in written.theirs.items():
    for new, old in (
      ("pos_embedding", "Transformer/posembed_input/pos_embedding"),
      ("DotProductAttention_0/", "DotProductAttention_1/"),
      ("/LayerNorm_1/", "/LayerNorm_2/"),
      ("/MlpBlock_0/", "/MlpBlock_3/"),
    ):
      name = name.replace(new, old)
    file[name] = array
  file["pre_logits/bias"] = np.zeros(3)
  made, leaves = kit.load(written, file)
  assert made.ignored == ["pre_logits/bias"]
  for name, array in written.ours.items():
    np.testing.assert_array_equal(leaves[name], array)


def test_a_pool_of_both_is_refused(written):
  method = kit.tiny("vit", pool="cls_mean")
  why = written.family.objection("supervised.backbone", method)
  assert why == "pool is 'cls' or 'mean' there"


def test_timm_reads_the_file_and_computes_the_same(tmp_path, written):
  timm = peers.timm()
  np.savez(
    tmp_path / "x.npz", **{f"params/{n}": x for n, x in written.theirs.items()}
  )
  sizes = {k: v for k, v in peers.TIMM.items() if k != "mlp_ratio"}
  theirs = timm.create_model("vit_base_patch16_224", num_classes=6, **sizes)
  theirs.load_pretrained(str(tmp_path / "x.npz"))
  ours, x = peers.images()
  params = trees.nested(written.ours)["params"]
  got = peers.logits(written.method, params, ours)
  want = peers.run(theirs, x).numpy()
  np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-3)
