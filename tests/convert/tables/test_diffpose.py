"""Weights of DiffPose: what their checkpoints have besides is passed over."""

import kit
import numpy as np
import pytest

from jmim.convert import family
from jmim.convert.tables import diffpose

NAME, TINY = "diffpose", {"blocks": 2}


def test_names_and_arrays():
  written = kit.check(NAME, kit.tiny("pose.diffpose", **TINY))
  theirs = written.theirs
  layer = "condition_emb.transformer.layers.1"
  assert theirs[f"{layer}.self_attn.in_proj_weight"].shape == (24, 8)
  assert theirs["denoise_fn.upscale.weight"].shape == (16, 12 + 1 + 8)
  centres = theirs["condition_emb.pos_encoder.centers"]
  np.testing.assert_allclose(centres, [-1, -1 / 3, 1 / 3, 1], rtol=1e-6)


def test_residual_blocks_are_numbered_from_1():
  written = kit.export(NAME, kit.tiny("pose.diffpose", **TINY))
  for i, name in ((1, "block0"), (2, "block1")):
    np.testing.assert_array_equal(
      written.theirs[f"denoise_fn.res_pose{i}.l2.weight"],
      written.ours[f"params/main/denoiser/{name}/fc2/kernel"].T,
    )


@pytest.mark.parametrize(
  "name, ignored",
  [
    ("denoise_fn.res_pose1.bn2.running_var", True),
    ("condition_emb.conf_out.bias", True),
    ("betas", True),
    ("sqrt_recipm1_alphas_cumprod", True),
    ("log_one_minus_alphas_cumprod", True),
    ("posterior_mean_coef1", True),
    ("denoise_fn.res_pose1.l1.bias", False),
    ("condition_emb.pos_out.bias", False),
  ],
)
def test_what_holds_nothing_of_ours(name, ignored):
  assert family.matches(diffpose.FAMILIES[NAME].ignored, name) == ignored


def test_another_number_of_blocks_is_not_theirs():
  known = diffpose.FAMILIES[NAME]
  other = kit.tiny("pose.diffpose", blocks=3)
  assert "blocks=3" in known.objection("pose.diffpose", other)
