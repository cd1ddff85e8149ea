"""OpenAI's and OpenCLIP's image tower: a projection that is not transposed."""

import kit
import numpy as np
import peers
import pytest

from jmim.core import tree as trees


@pytest.fixture(scope="module")
def written():
  return kit.check("open_clip", kit.tiny("vit", **kit.CLIP))


def test_the_projection_is_laid_out_as_ours(written):
  np.testing.assert_array_equal(
    written.theirs["visual.proj"], written.ours["params/main/head/out/kernel"]
  )


def test_q_k_and_v_are_one_matrix_of_torch(written):
  block = "visual.transformer.resblocks.1"
  ours = written.ours["params/main/encoder/blocks/layers/attn/qkv/kernel"]
  theirs = written.theirs[f"{block}.attn.in_proj_weight"]
  np.testing.assert_array_equal(theirs, ours[1].T)


def test_the_text_tower_is_ignored(written):
  more = {
    "transformer.resblocks.0.ln_1.bias": np.zeros(2),
    "token_embedding.weight": np.zeros((2, 2)),
    "positional_embedding": np.zeros((2, 2)),
    "text.ln_final.bias": np.zeros(2),
    "logit_scale": np.zeros(()),
    "input_resolution": np.zeros(()),
  }
  made, leaves = kit.load(written, written.theirs | more)
  assert made.ignored == sorted(more) and leaves.keys() == written.ours.keys()


def test_the_library_computes_the_same():
  peers.torch()
  library = pytest.importorskip("open_clip.model")
  theirs = peers.shake(
    library.VisionTransformer(
      image_size=peers.SIDE,
      patch_size=4,
      width=32,
      layers=2,
      heads=4,
      mlp_ratio=3.0,
      output_dim=8,
    )
  )
  ours, x = peers.images()
  want = peers.run(theirs, x).numpy()
  fields = kit.CLIP | dict(act="gelu", classes=8, mlp_ratio=3.0)
  written = kit.export("open_clip", kit.tiny("vit", **fields))
  state = {f"visual.{n}": p.numpy() for n, p in theirs.state_dict().items()}
  made, leaves = kit.load(written, state)
  assert not made.fresh and not made.ignored
  params = trees.nested(leaves)["params"]
  got = peers.logits(written.method, params, ours)
  np.testing.assert_allclose(got, want, atol=1e-4)
  back = kit.export("open_clip", written.method, leaves).theirs
  tensor = peers.torch().tensor
  state = {n.removeprefix("visual."): tensor(x) for n, x in back.items()}
  theirs.load_state_dict(state, strict=True)
  np.testing.assert_allclose(peers.run(theirs, x).numpy(), want, atol=1e-6)
