"""CLIP of Transformers: a vision tower whose projection is our head."""

import kit
import numpy as np
import peers
import pytest

from jmim.convert import families
from jmim.convert.tables import hf_clip as tables

NAME = "hf_clip"


@pytest.fixture(scope="module")
def written():
  return kit.check(NAME, kit.tiny("vit", **kit.CLIP))


def test_tokens_and_positions_have_no_axis_of_images(written):
  stem, ours = "vision_model.embeddings", "params/main/encoder"
  token = written.theirs[f"{stem}.class_embedding"]
  np.testing.assert_array_equal(token, written.ours[f"{ours}/cls_token"][0, 0])
  rows = written.theirs[f"{stem}.position_embedding.weight"]
  np.testing.assert_array_equal(rows, written.ours[f"{ours}/pos_embed"][0])


def test_the_projection_has_no_bias(written):
  names = {n for n in written.theirs if "visual_projection" in n}
  assert names == {"visual_projection.weight"}
  assert "vision_model.embeddings.patch_embedding.bias" not in written.theirs


def test_a_whole_clip_is_read_without_its_text_tower(written):
  more = {
    "text_model.final_layer_norm.bias": np.zeros(2),
    "text_projection.weight": np.zeros((2, 2)),
    "logit_scale": np.zeros(()),
    "vision_model.embeddings.position_ids": np.arange(17),
  }
  made, leaves = kit.load(written, written.theirs | more)
  assert made.ignored == sorted(more) and leaves.keys() == written.ours.keys()


def test_config():
  method = kit.tiny("vit", mlp_ratio=3.0, **kit.CLIP)
  config = kit.check_config(NAME, method, "encoder", "head")
  assert config["projection_dim"] == 6
  whole = {
    "model_type": "clip",
    "projection_dim": 8,
    "vision_config": {"hidden_size": 64},
  }
  assert families.detect(whole) == NAME
  fields = tables.read(whole)  # the rest as Transformers has it by default
  assert (fields["width"], fields["depth"], fields["classes"]) == (64, 12, 8)
  assert fields["act"] == "quick_gelu" and fields["size"] == 224


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
def test_the_library_computes_the_same(tmp_path, act):
  library = peers.transformers()
  config = library.CLIPVisionConfig(
    **peers.HF, projection_dim=8, hidden_act=act
  )
  theirs = peers.shake(library.CLIPVisionModelWithProjection(config))
  made = peers.check_hf(theirs, NAME, tmp_path, output="image_embeds")
  assert not made.fresh
