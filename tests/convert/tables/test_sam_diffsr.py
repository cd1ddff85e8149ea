"""SAM-DiffSR and its RRDB: names, kernels that are turned, what is beside."""

import kit
import numpy as np

from jmim.convert import ops

RRDB, DENOISER = "srdiff_rrdb", "sam_diffsr"


def test_names_and_arrays_of_the_encoder():
  written = kit.check(RRDB, kit.tiny("restore.rrdb"))
  names = set(written.theirs)
  assert {"conv_first.weight", "RRDB_trunk.1.RDB3.conv5.bias"} <= names
  assert "upconv1.weight" in names and "upconv2.weight" not in names  # factor 2
  bigger = kit.tiny("restore.rrdb", degraded=dict(factor=4))
  assert "upconv2.weight" in kit.check(RRDB, bigger).theirs


def test_names_and_arrays_of_the_denoiser():
  written = kit.check(DENOISER, kit.tiny("restore.sam_diffsr"))
  theirs = written.theirs
  assert all(n.startswith("denoise_fn.") for n in theirs)
  assert theirs["denoise_fn.cond_proj.weight"].shape == (8, 16, 4, 4)
  assert theirs["denoise_fn.ups.0.0.block1.block.1.weight"].shape[1] == 64
  # The last level has no change of side, and blocks of one width no skip.
  assert "denoise_fn.downs.1.2.conv.1.weight" not in theirs
  assert "denoise_fn.downs.0.1.res_conv.weight" not in theirs


def test_levels_of_one_width_have_no_skip_going_down():
  made = kit.tiny("restore.sam_diffsr", dims=dict(multipliers=(1, 1, 2)))
  theirs = kit.check(DENOISER, made).theirs
  assert "denoise_fn.downs.1.0.res_conv.weight" not in theirs
  assert "denoise_fn.downs.2.0.res_conv.weight" in theirs
  assert "denoise_fn.ups.1.0.res_conv.weight" in theirs


def test_a_checkpoint_of_the_second_stage_has_both(normal):
  for family, name, own in (
    (DENOISER, "restore.sam_diffsr", ""),
    (RRDB, "restore.rrdb", "rrdb."),
  ):
    written = kit.export(family, kit.tiny(name))
    held = {f"state_dict.model.{own}{n}": x for n, x in written.theirs.items()}
    beside = "denoise_fn.mlp.0.bias" if own else "rrdb.conv_first.bias"
    held[f"state_dict.model.{beside}"] = np.ones(3, "f4")
    held["state_dict.model.betas"] = np.ones(3, "f4")
    made, leaves = kit.load(written, held)
    assert not made.fresh and set(leaves) == set(written.ours)


def test_a_transposed_kernel_is_turned():
  x = np.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4)
  ours = ops.TRANSPOSED.to_ours(x)
  assert ours.shape == (4, 4, 2, 3) and ours[0, 1, 1, 2] == x[1, 2, 3, 2]
  np.testing.assert_array_equal(ops.TRANSPOSED.to_theirs(ours), x)
