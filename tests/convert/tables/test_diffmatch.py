"""DiffMatch's UNets, of either stage; they are improved-diffusion's."""

import jax
import jax.numpy as jnp
import kit
import numpy as np
import numpyunet
import pytest

from jmim.convert import families
from jmim.convert import table
from jmim.convert.tables import diffmatch as tables
from jmim.methods.dense import diffmatch
from jmim.methods.dense import diffmatch_fine

STAGES = ("dense.diffmatch", "dense.diffmatch_fine")


def with_dims(**dims):
  """The tiny first stage with another UNet."""
  whole = diffmatch.TINY["dims"] | dims
  return kit.tiny(STAGES[0], matcher=dict(dims=whole))


@pytest.mark.parametrize("stage", STAGES)
def test_names_and_arrays(stage):
  written = kit.check("diffmatch", kit.tiny(stage))
  shape = {name: x.shape for name, x in written.theirs.items()}
  assert shape["input_blocks.0.0.weight"] == (8, 4 + 9, 3, 3)
  assert shape["input_blocks.2.0.op.weight"] == (8, 8, 3, 3)
  assert shape["out.2.weight"] == (2, 8, 3, 3)
  assert "input_blocks.1.1.qkv.weight" not in shape
  assert shape["input_blocks.3.1.qkv.weight"] == (48, 16, 1)


def test_features_of_the_target_are_further_channels():
  method = kit.tiny(STAGES[0], matcher=dict(target=(8, 2)))
  written = kit.check("diffmatch", method)
  assert written.theirs["input_blocks.0.0.weight"].shape[1] == 4 + 9 + 8


def test_the_network_is_theirs():
  """As the one in numpy, from their names, and the initial flow added."""
  method = with_dims(width=32, norm_groups=32, heads=4, blocks=2)
  written = kit.export("diffmatch", method)
  theirs = {k: 0.3 * x for k, x in written.theirs.items()}
  rules = tables.FAMILIES["diffmatch"].table(method)
  params = table.import_tree(rules, theirs)["params"]["main"]
  rng = np.random.default_rng(1)
  x, told = (rng.normal(size=(2, c, 4, 4)).astype(np.float32) for c in (2, 11))
  t = np.array([3, 1])
  last = lambda a: jnp.moveaxis(a, 1, -1)
  network = jax.jit(
    lambda *args: method.matcher.network(*args, noise=method.noise)
  )
  got = np.moveaxis(network(params, last(x), t, last(told)), -1, 1)
  flags = dict(
    model_channels=32,
    channel_mult=[1, 2],
    num_res_blocks=2,
    attention_resolutions=[2],
    num_heads=4,
  )
  wide = {k: v.astype(np.float64) for k, v in theirs.items()}
  both = np.concatenate([x, told], axis=1)
  want = told[:, :2] + numpyunet.unet(flags, wide, both, t * 200)[0]
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_the_published_unets():
  """Three blocks at each level; attention at 16 and 8 cells of a side."""
  for method, levels, attends in (
    (diffmatch.DiffMatch(), 4, 2),
    (diffmatch_fine.DiffMatchFine(), 6, 2),
  ):
    assert families.find("diffmatch").check(method) is None
    rules = tables.FAMILIES["diffmatch"].table(method)
    ours = jax.eval_shape(
      lambda key, method=method: method.init(key, {})[0], jax.random.key(0)
    )
    shapes = table.shapes(rules, {"params": ours})
    assert shapes["input_blocks.0.0.weight"] == (128, 85, 3, 3)
    ends = {n.split(".")[1] for n in shapes if n.startswith("input_blocks")}
    assert len(ends) == 1 + 3 * levels + levels - 1
    attended = [n for n in shapes if n.endswith("qkv.weight")]
    assert len(attended) == 3 * attends + 1 + 4 * attends


@pytest.mark.parametrize(
  "dims, why",
  [
    (dict(level_heads=(1, 2)), "level_heads"),
    (dict(level_blocks=(1, 2)), "level_blocks"),
    (dict(updown=True), "updown"),
    (dict(time_width=40), "time_width"),
    (dict(time_waves=4), "time_waves"),
    (dict(norm_eps=1e-6), "norm_eps"),
  ],
)
def test_what_their_code_cannot_be(dims, why):
  assert why in families.find("diffmatch").check(with_dims(**dims))
