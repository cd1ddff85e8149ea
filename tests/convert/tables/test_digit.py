"""DiGIT: fairseq's names, positions from row 2 on, tokenizers passed over."""

import kit
import numpy as np
import pytest

METHODS = ("discrete.digit", "discrete.digit_pixels")


@pytest.fixture(scope="module", params=METHODS)
def written(request):
  name = request.param.rpartition(".")[2]
  return kit.check(name, kit.tiny(request.param))


def test_positions_begin_at_row_two(written):
  theirs = written.theirs["decoder.embed_positions.weight"]
  ours = written.ours["params/main/pos_embed"]
  assert theirs.shape == (1026, 32)
  np.testing.assert_array_equal(theirs[2 : 2 + len(ours)], ours)
  assert not theirs[:2].any() and not theirs[2 + len(ours) :].any()


def test_layers_are_torch_s(written):
  qkv = written.ours["params/main/decoder/blocks/layers/attn/k/kernel"]
  theirs = written.theirs["decoder.layers.1.self_attn.k_proj.weight"]
  np.testing.assert_array_equal(theirs, qkv[1].T)
  head = written.theirs["decoder.output_projection.weight"]
  np.testing.assert_array_equal(head.T, written.ours["params/main/head/kernel"])
  assert "decoder.output_projection.bias" not in written.theirs
  two = "decoder.embed_positions_1.weight" in written.theirs
  assert two == ("decoder.layer_norm.weight" in written.theirs)
  assert two == (written.family.methods == ("discrete.digit_pixels",))


def test_a_checkpoint_with_its_tokenizers_is_read(written):
  both = {f"model.{n}": x for n, x in written.theirs.items()}
  both |= {
    "model.pretrained_encoder.cls_token": np.zeros(3, "f4"),
    "model.centroids": np.zeros((4, 5), "f4"),
    "model.decoder.version": np.full(1, 3, "f4"),
  }
  made, leaves = kit.load(written, both)
  name = "params/main/embed/embedding"
  np.testing.assert_array_equal(leaves[name], written.ours[name])
  assert len(made.ignored) == 3


def test_longer_sequences_have_no_places_there(written):
  name = written.family.methods[0]
  vectors = dict(size=4 * 33, patch=4)
  method = kit.tiny(name, semantic=dict(vectors=vectors))
  assert "1024 places" in written.family.objection(name, method)
