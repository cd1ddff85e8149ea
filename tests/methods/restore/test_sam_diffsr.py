import inspect

import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import sam_diffsr

METHOD = sam_diffsr.SAMDiffSR.tiny()
NONE = field.replace(METHOD, structure=dict(read="none"))
STORED = field.replace(METHOD, structure=dict(read="stored"))


@pytest.fixture(scope="module")
def made(fill):
  """Weights, a batch, draws at three times."""
  rng = np.random.default_rng(0)
  batch = {
    "image": rng.uniform(-1, 1, (3, 8, 8, 3)).astype(np.float32),
    "instance": rng.integers(0, 4, (3, 8, 8)),
  }
  params, _ = fill(METHOD, batch, scale=0.2)
  shapes = jax.eval_shape(METHOD.consts()["rrdb"].init, jax.random.key(1))
  frozen = jax.tree.map(
    lambda x: (0.2 * rng.normal(size=x.shape)).astype(np.float32), shapes
  )
  weights = methods.Weights(params, consts={"rrdb": frozen})
  draws = METHOD.drawn(jax.random.key(0), batch)
  return weights, batch, draws | {"t": np.array([0, 1, 2])}


@pytest.fixture(scope="module")
def loss():
  """A compiled loss of the methods here."""
  run = lambda m, *args: m.loss(*args, 0)[0]
  return jax.jit(run, static_argnums=0)


@pytest.fixture(scope="module")
def restored(made):
  weights, batch, _ = made
  return jax.jit(METHOD.restore)(weights, batch, jax.random.key(2))


def test_without_regions_it_is_srdiff_bit_for_bit(made, loss):
  weights, batch, draws = made
  bare = batch | {"instance": np.zeros((3, 8, 8), int)}
  plain = {"image": batch["image"]}
  wanted = np.asarray(loss(NONE, weights, plain, draws))
  np.testing.assert_array_equal(loss(METHOD, weights, bare, draws), wanted)
  zeros = plain | {"structure": np.zeros((3, 8, 8), np.float32)}
  np.testing.assert_array_equal(loss(STORED, weights, zeros, draws), wanted)
  assert float(loss(METHOD, weights, batch, draws)) != float(wanted)


def test_a_stored_map_is_the_map_of_its_regions(made, loss):
  weights, batch, draws = made
  maps = np.asarray(METHOD.structure.maps(batch))[..., 0]
  stored = {"image": batch["image"], "structure": maps}
  of_ids = loss(METHOD, weights, batch, draws)
  np.testing.assert_allclose(loss(STORED, weights, stored, draws), of_ids)


def test_nothing_that_samples_takes_a_mask(made, restored):
  """Neither by name, nor are the regions of a batch looked at."""
  for fn in (METHOD.sampled, METHOD.shown, METHOD.network):
    names = " ".join(inspect.signature(fn).parameters)
    assert not any(w in names for w in ("batch", "map", "mask", "region"))
  weights, batch, _ = made
  image = {"image": batch["image"]}
  again = jax.jit(METHOD.restore)(weights, image, jax.random.key(2))
  np.testing.assert_array_equal(again["image"], restored["image"])


def test_restored_images_differ_from_the_enlarged_one_by_half_at_most(
  made, restored
):
  """|x_0| <= 1, and the residual is half of it."""
  _, batch, _ = made
  np.testing.assert_array_equal(restored["target"], batch["image"])
  small = restored["input"]
  assert small.shape == (3, 4, 4, 3)
  gap = np.abs(restored["image"] - METHOD.small.enlarged(small, 2))
  assert 0.01 < gap.max() <= 0.5 + 1e-6


def test_the_loss_is_a_mean_of_gaps(made, loss):
  weights, batch, draws = made
  low, image = METHOD.degraded.pair(batch, draws, sam_diffsr.LIMITS)
  eps = METHOD.structure.told(batch, draws, METHOD.noise.process)

  @jax.jit
  def predicted(weights):
    seen, enlarged = METHOD.shown(weights, low)
    x = METHOD.small.residual(image, enlarged)
    x_t, _, _ = METHOD.noise.add(x, draws["t"], eps)
    return METHOD.network(weights.params, x_t, draws["t"], seen)

  gap = np.asarray(eps - predicted(weights))
  found = loss(METHOD, weights, batch, draws)
  np.testing.assert_allclose(found, np.abs(gap).mean(), rtol=1e-5)


def test_noise_that_is_told_has_the_map_s_mean(made):
  weights, batch, _ = made
  run = jax.jit(lambda key: METHOD.regions(weights, batch, key))
  made = [run(jax.random.key(i)) for i in range(3)]
  draws = [METHOD.drawn(jax.random.key(i), batch) for i in range(3)]
  weight = METHOD.structure.weight(METHOD.noise.process, np.array([2]))
  for found, drawn in zip(made, draws, strict=True):
    shift = found["noise"] - drawn["noise"]
    np.testing.assert_allclose(
      shift, weight * np.repeat(found["map"], 3, -1), atol=1e-6
    )
  assert "regions" not in NONE.predict()
  assert "regions" in STORED.predict()


@pytest.mark.parametrize(
  "change, said",
  [
    (dict(sampling=dict(guidance=2.0)), "sampling.guidance=2.0"),
    (dict(size=10, degraded=dict(factor=5)), "degraded.factor=5: .*2, 4, 8"),
    (dict(size=6, dims=dict(multipliers=(1, 2, 2))), "size=6 with 3 levels"),
  ],
)
def test_what_does_not_go_together_is_named(change, said):
  with pytest.raises(ValueError, match=said):
    field.replace(METHOD, **change).inputs()
