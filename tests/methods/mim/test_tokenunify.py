"""What the card of TokenUnify states exactly; of its layers: tests/nn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.mim import tokenunify

KEY, B = jax.random.key(0), 3
TINY = tokenunify.TokenUnify.tiny()
N = TINY.raster.count


def fixed(*weights, **changes):
  """TINY with the tasks of these weights alone."""
  mixture = dict(name="fixed", weights=weights)
  return field.replace(TINY, mixture=mixture, **changes)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  return {"volume": rng.random((B, *TINY.shape), dtype=np.float32)}


@pytest.fixture(scope="module")
def weights(fill, batch):
  return methods.Weights(fill(TINY, batch, seed=2, scale=0.4)[0])


def given(batch, method=TINY, seed=0):
  return method.drawn(jax.random.key(seed), batch)


def logits(weights, volumes):
  """z of the network, with what it was given."""
  return np.asarray(jax.jit(TINY.predicted)(weights.params["main"], volumes))


def sigmoid(x):
  return 1 / (1 + np.exp(-x))


def test_draws_are_those_of_the_tasks(batch):
  assert given(batch).keys() == {"noise", "prefix"}
  assert given(batch, fixed(1.0, 0.0, 0.0)).keys() == {"noise"}
  for weights in ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.0, 1.0, 1.0)):
    assert given(batch, fixed(*weights)).keys() == {"prefix"}


def test_random_alone_is_masked_autoencoding(batch, weights):
  method = fixed(1.0, 0.0, 0.0)
  draws = given(batch, method)
  assert draws.keys() == {"noise"}
  loss, aux = jax.jit(method.loss)(weights, batch, draws, 0)
  keep = method.hidden.keep(draws, method.raster)["random"]
  seen = TINY.raster.hide(batch["volume"], keep)
  error = (sigmoid(logits(weights, seen)) - batch["volume"]) ** 2
  hidden = np.asarray(TINY.raster.spread(~keep))
  np.testing.assert_allclose(loss, error[hidden].mean(), rtol=1e-5)
  assert aux.keys() == {"loss_random", "weight_random"}


def test_both_prefix_tasks_read_one_map(batch, weights):
  method, draws = fixed(0.0, 2.0, 0.5), {"prefix": jnp.array([1, 4, 7])}
  loss, aux = jax.jit(method.loss)(weights, batch, draws, 0)
  x, raster = batch["volume"], TINY.raster
  z = logits(weights, raster.hide(x, raster.prefix(draws["prefix"])))
  tokens, made = (np.asarray(raster.tokens(v)) for v in (x, sigmoid(z)))
  # The head reads logits, which are outside of 0 .. 1.
  own = {"params": weights.params["main"]["next"]}
  head = method.head.apply(own, z[..., None])
  head = sigmoid(np.asarray(head))
  following = [
    ((head[i] - tokens[i, k]) ** 2).mean() for i, k in enumerate([1, 4, 7])
  ]
  every = [
    ((made[i] - tokens[i])[k:] ** 2).mean() for i, k in enumerate([1, 4, 7])
  ]
  np.testing.assert_allclose(aux["loss_next"], np.mean(following), rtol=1e-5)
  np.testing.assert_allclose(aux["loss_all"], np.mean(every), rtol=1e-5)
  np.testing.assert_allclose(
    loss, 2 * np.mean(following) + 0.5 * np.mean(every), rtol=1e-5
  )
  whole = fixed(0.0, 0.0, 1.0, scored="everything")
  loss, _ = jax.jit(whole.loss)(weights, batch, draws, 0)
  np.testing.assert_allclose(loss, ((made - tokens) ** 2).mean(), rtol=1e-5)


def test_hidden_tokens_change_nothing_but_what_is_to_be_predicted(
  batch, weights
):
  """Guesses of token k and later ones read the tokens before them only."""
  k = np.array([2, 2, 5])
  draws = given(batch) | {"prefix": jnp.array(k)}
  main = weights.params["main"]

  @jax.jit
  def guesses(volumes):
    z = TINY.logits(main, volumes, draws)
    return z | {"next": TINY.next(main, z["prefix"])}

  def moved(where):
    """How far the guesses move with the tokens [b, n] of a volume."""
    where = np.asarray(TINY.raster.spread(jnp.asarray(where)))
    other = np.where(where, 1 - batch["volume"], batch["volume"])
    one, two = guesses(batch["volume"]), guesses(other)
    return {
      name: abs(np.asarray(one[name] - two[name])).reshape(B, -1).max(1)
      for name in one
    }

  at = np.arange(N)
  after = moved(at >= k[:, None])
  assert not after["prefix"].any() and not after["next"].any()
  before = moved(at == k[:, None] - 1)
  assert before["prefix"].min() > 1e-4 and before["next"].min() > 1e-6
  keep = np.asarray(TINY.hidden.keep(draws, TINY.raster)["random"])
  assert not moved(~keep)["random"].any()
  assert moved(keep)["random"].min() > 1e-4


def test_noise_fills_what_is_hidden_if_asked(batch, weights):
  method = field.replace(TINY, hidden={"fill": "noise"})
  draws = given(batch, method)
  assert draws["fill"].shape == batch["volume"].shape
  plain = {k: v for k, v in draws.items() if k != "fill"}
  step = jax.jit(method.loss)
  one, _ = step(weights, batch, draws, 0)
  zero, _ = step(weights, batch, draws | {"fill": 0 * draws["fill"]}, 0)
  assert abs(one - zero) > 1e-5
  np.testing.assert_allclose(
    zero, jax.jit(TINY.loss)(weights, batch, plain, 0)[0], rtol=1e-5
  )


def test_the_curriculum_weighs_the_losses(batch, weights):
  method, draws = field.replace(TINY, mixture={"steps": 100}), given(batch)
  step = jax.jit(method.loss)
  for t in (0, 30, 50, 90):
    loss, aux = step(weights, batch, draws, t)
    w = np.asarray(method.mixture.at(t))
    parts = [aux[f"loss_{name}"] for name in ("random", "next", "all")]
    np.testing.assert_allclose(loss, np.dot(w, parts), rtol=1e-5)
    np.testing.assert_allclose(aux["weight_next"], w[1], rtol=1e-6)


@pytest.mark.parametrize("source", ["head", "map"])
def test_a_rolled_out_token_is_the_guess_of_those_before_it(
  batch, weights, source
):
  method = field.replace(TINY, rollout={"source": source, "start": 5})
  made = jax.jit(method.predict()["sample"])(weights, batch, KEY)
  tokens = np.asarray(method.raster.tokens(made))
  want = np.asarray(method.raster.tokens(batch["volume"]))
  np.testing.assert_array_equal(tokens[:, :5], want[:, :5])
  # The last one again, from the others.
  k = jnp.full(B, N - 1)
  one = method.guess(weights, KEY)(jnp.asarray(tokens), k)
  np.testing.assert_allclose(tokens[:, -1], one, atol=1e-5)
  errors = jax.jit(method.predict()["rollout"])(weights, batch, KEY)
  each = ((tokens - want)[:, 5:] ** 2).mean(-1)
  np.testing.assert_allclose(errors["error"], each.mean(1), rtol=1e-4)


def test_outputs_of_the_network(batch, weights):
  predict = TINY.predict()
  voxels = jax.jit(predict["voxels"])(weights, batch, KEY)
  assert voxels.shape == (B, *TINY.shape, 8)
  net = weights.params["main"]["net"]
  out = jax.jit(TINY.net.apply)({"params": net}, batch["volume"][..., None])
  np.testing.assert_array_equal(voxels, out["map"])
  features = jax.jit(predict["features"])(weights, batch, KEY)
  np.testing.assert_allclose(
    features, np.asarray(out["level0"]).mean((1, 2, 3)), rtol=1e-4, atol=1e-5
  )
  assert TINY.sample_reads() == ("volume",)


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    (dict(shape=(4, 8)), "three numbers"),
    (dict(patch=(3, 4, 4)), "multiple of that of patch"),
    (dict(dims={"slices": 3}), "dims.slices=3"),
    (dict(mixture={"weights": (1, 1)}), "mixture.weights"),
    (dict(rollout={"start": 8}), "rollout.start=8"),
    (dict(hidden={"range": (0.8, 0.2)}), "hidden.range"),
    (dict(hidden={"range": (0.2,)}), "hidden.range"),
  ],
)
def test_what_cannot_be_trained_is_an_error(changes, said):
  TINY.inputs()
  with pytest.raises(ValueError, match=said):
    field.replace(TINY, **changes).inputs()


def test_a_curriculum_is_as_long_as_the_run_and_fixed_weights_are_not():
  long = field.replace(TINY, mixture={"steps": 77})
  assert long.lengths() == {"mixture.steps": 77}
  assert fixed(1.0, 1.0, 1.0).lengths() == {}
