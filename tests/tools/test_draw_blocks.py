import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import models
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import method as methods
from jmim.tools import draw_blocks

FEW = (
  "method.sampling.steps=5",
  "method.sparse.block=2",
  "method.sparse.sparsity=0.5",
  "method.sparse.searches=(2, 4)",
)


@pytest.fixture(scope="module")
def model(fill):
  config = configs.base()
  config.data.size = 4
  config.method = configs.section(
    type="video.step_video",
    frames=3,
    height=4,
    width=4,
    channels=3,
    dims=dict(variant="Ti/2", width=32, depth=2, heads=2, axes=(8, 2, 6)),
    told=dict(kind="label", classes=3, length=2, width=8, clip_length=0),
  )
  method = discovery.make(config.method)
  params = fill(method, batch())[0]
  weights = methods.Weights(jax.tree.map(jnp.asarray, params))
  return models.Model(config=config, method=method, weights=weights)


def batch():
  return {"video": jnp.zeros((1, 3, 4, 4, 3)), "label": jnp.zeros(1, int)}


def test_blocks_of_both_searches_are_drawn(model):
  made = draw_blocks.found(model, batch(), FEW)
  assert made["sums"].shape == made["mask"].shape == (2, 2, 2, 6, 6)
  np.testing.assert_allclose(made["sums"].sum(-1), 2.0, rtol=1e-5)
  kept = np.where(made["mask"], made["sums"], 0).sum((-2, -1)) / 12
  np.testing.assert_allclose(made["recall"], kept, rtol=1e-5)
  drawn = draw_blocks.picture(made, 3)
  assert drawn.shape == (380, 480, 3)


def test_kept_blocks_are_in_colours_and_others_in_greys():
  sums = np.random.default_rng(0).random((5, 5))
  mask = sums > 0.5
  drawn = draw_blocks.painted(sums, mask)
  np.testing.assert_array_equal(np.ptp(drawn, -1) > 0.05, mask)
  assert drawn.min() >= 0 and drawn.max() <= 1


def test_mistakes_are_told(model):
  with pytest.raises(errors.UserError, match="sparse.searches"):
    draw_blocks.found(model, batch(), ["method.sampling.steps=5"])
  config = configs.override(model.config, [])
  config.method = configs.section(type="mim.mae")
  other = models.Model(config=config, method=None, weights=model.weights)
  with pytest.raises(errors.UserError, match=r"a run of mim\.mae"):
    draw_blocks.found(other, batch(), [])
