"""The adapter of TokenUnify reads every option of a case."""

import golden_kit
import jax
import numpy as np
import pytest

ADAPTER = golden_kit.adapter("tokenunify")
CONFIG = dict(
  volume_size=[4, 8, 12],
  patch_size=[2, 4, 4],
  kept_tokens=5,
  feat_size=[4, 6],
  hidden_size=7,
  depths=[1, 2],
  d_state=3,
  d_conv=2,
  expand=1,
  dt_rank="ceil(d_model/16)",
  n_slices=3,
  in_chans=1,
  out_chans=1,
)


def case(**changes):
  """Weights under their names, of random numbers."""
  config = CONFIG | changes
  m = ADAPTER.method(config)
  rng = np.random.default_rng(0)
  volume = rng.random(config["volume_size"], dtype=np.float32)
  params, _ = jax.eval_shape(
    m.init, jax.random.key(0), {"volume": volume[None]}
  )
  ours = golden_kit.weights({"net": params["main"]["net"]})
  theirs = ADAPTER.convert.table.export_tree(ADAPTER.convert.full(m), ours)
  tokens = golden_kit.normal(1, 6, config["feat_size"][1])
  inputs = {"volume": volume, "mamba_tokens": tokens}
  return golden_kit.Asked(config, inputs, theirs)


def test_ranks_and_kernels_are_those_of_the_case():
  given = case(dt_rank=3, kernel_size=[1, 5, 5])
  name = "vit.stages.1.1.mamba.dt_proj_s.weight"
  assert given.params[name].shape == (6, 3)
  kernel = given.params["decoder2.conv_block.conv1.conv.weight"]
  assert kernel.shape[2:] == (1, 5, 5)
  found = ADAPTER.run(given)
  assert found["mamba_out"].shape == (1, 6, 6)
  assert found["reconstruction"].shape == (1, 1, 4, 8, 12)


def test_every_output_has_the_layout_of_the_authors():
  given = case()
  found = ADAPTER.run(given)
  shapes = {name: np.shape(x) for name, x in found.items()}
  assert shapes == {
    "ar_input": (4, 8, 12),
    "next_token": (2, 4, 4),
    "reconstruction": (1, 1, 4, 8, 12),
    "loss_next_all": (),
    "enc0": (1, 4, 2, 4, 6),
    "enc1": (1, 6, 1, 2, 3),
    "mamba_out": (1, 6, 6),
  }
  error = (found["reconstruction"][0, 0] - given.inputs["volume"]) ** 2
  np.testing.assert_allclose(found["loss_next_all"], error.mean(), rtol=1e-5)
  kept = np.asarray(found["ar_input"]) != 0
  assert kept.sum() == 5 * 32


@pytest.mark.parametrize(
  ("key", "value", "moved"),
  [
    ("kept_tokens", 6, {"ar_input", "next_token", "reconstruction"}),
    ("patch_size", [4, 4, 4], {"ar_input", "next_token", "reconstruction"}),
    ("n_slices", 1, {"mamba_out", "reconstruction"}),
  ],
)
def test_options_change_what_they_are_about(key, value, moved):
  given = case()
  one = ADAPTER.run(given)
  given.config = CONFIG | {key: value}
  other = ADAPTER.run(given)
  changed = {
    name
    for name, x in one.items()
    if np.shape(x) != np.shape(other[name]) or np.any(x != other[name])
  }
  assert moved <= changed
  if key == "n_slices":
    assert "ar_input" not in changed
  else:
    assert "mamba_out" not in changed
