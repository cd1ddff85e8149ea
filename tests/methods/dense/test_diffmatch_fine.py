import jax
import jax.numpy as jnp
import numpy as np
import toydiffusion

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.dense import diffmatch
from jmim.methods.dense import diffmatch_fine
from jmim.nn import matching

M = diffmatch_fine.DiffMatchFine.tiny()
B = 3
BATCH = toydiffusion.batch_of(M.inputs(), B)
WEIGHTS = toydiffusion.fresh(M)
KEY = jax.random.key(0)
COARSE = diffmatch.DiffMatch(
  matcher=M.coarse,
  **{n: getattr(M, n) for n in ("size", "sides", "features", "hypotheses")},
)
FIRST = methods.Weights(
  {"main": WEIGHTS.consts["coarse"]},
  {},
  {"features": WEIGHTS.consts["features"]},
)


def test_it_begins_with_the_mean_of_coarse_flows_enlarged():
  starts = jax.random.normal(KEY, (2, B, *M.coarse.shape))
  flow, told = M.told(WEIGHTS, BATCH["images"], starts)
  _, seen = COARSE.told(FIRST, BATCH["images"], None)
  made = M.coarse.walk(
    FIRST.params["main"], seen, starts, noise=M.noise, sampling=M.sampling
  )
  wanted = matching.resized(jnp.clip(made.mean(0), -1, 1), (8, 8))
  np.testing.assert_allclose(flow, wanted, atol=1e-5)
  np.testing.assert_allclose(told[..., :2], flow, atol=1e-6)
  other = M.told(WEIGHTS, BATCH["images"], -starts)[0]
  assert np.abs(other - flow).max() > 1e-3


def test_costs_are_around_that_flow():
  starts = jax.random.normal(KEY, (1, B, *M.coarse.shape))
  flow, told = M.told(WEIGHTS, BATCH["images"], starts)
  source, target, _ = M.matcher.read(
    M.features, WEIGHTS.consts["features"], BATCH["images"]
  )
  cost = matching.sampled_cost(source, target, 8 * flow, M.matcher.radius)
  np.testing.assert_allclose(told[..., 2:], cost, atol=1e-5)


def test_blind_is_blind_on_both_grids():
  starts = jax.random.normal(KEY, (1, B, *M.coarse.shape))
  flow, told = M.told(WEIGHTS, BATCH["images"], starts, blind=True)
  assert not np.asarray(told[..., 2:]).any()
  seeing = M.told(WEIGHTS, BATCH["images"], starts)[0]
  assert np.abs(flow - seeing).max() > 1e-4


def test_in_training_the_coarse_flow_is_one_sample_that_is_drawn():
  draws = M.drawn(KEY, BATCH)
  assert draws["coarse"].shape == (B, *M.coarse.shape)
  one = M.loss(WEIGHTS, BATCH, draws, 0)[0]
  two = M.loss(WEIGHTS, BATCH, draws | {"coarse": -draws["coarse"]}, 0)[0]
  assert np.isfinite(one) and abs(one - two) > 1e-6


def test_its_network_may_begin_with_the_coarse_one():
  """Where sizes agree so do all names and shapes."""
  alike = field.replace(M, matcher=dict(dims=dict(width=8)))
  shapes = lambda m: jax.tree.map(
    jnp.shape, jax.eval_shape(m.init, KEY, {})[0]["main"]
  )
  assert shapes(alike) == shapes(COARSE)
