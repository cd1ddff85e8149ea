import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import difface
from jmim.nn.nets import swinir

B = 3
TINY = difface.DifFace.tiny()


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": np.tanh(normal(B, 8, 8, 3))}


@pytest.fixture(scope="module")
def started(batch):
  params, _ = jax.jit(TINY.init)(jax.random.key(0), batch)
  return methods.Weights(params)


def test_the_loss_starts_at_the_size_of_the_noise(started, batch):
  """The bound counts T / 1000, as much here as in 20 of 1000 times."""
  draws = TINY.drawn(jax.random.key(1), batch)
  other = field.replace(TINY, rescale=False)
  (loss, aux), (_, plain) = jax.jit(
    lambda d: [m.loss(started, batch, d, 0) for m in (TINY, other)]
  )(draws)
  mse = (draws["noise"] ** 2).mean()
  np.testing.assert_allclose(aux["loss_mse"], mse, rtol=1e-5)
  np.testing.assert_allclose(loss, mse + aux["loss_vb"], rtol=1e-6)
  x, t, noise = batch["image"], draws["t"], draws["noise"]
  raw = jnp.zeros((B, 8, 8, 6))
  bits = TINY.noise.errors(raw, x, draws)["vb"]
  assert noise.shape == x.shape and t.shape == (B,)
  np.testing.assert_allclose(aux["loss_vb"], 0.02 * bits.mean(), rtol=1e-4)
  np.testing.assert_allclose(plain["loss_vb"], bits.mean(), rtol=1e-4)


def test_without_a_learned_variance_the_noise_is_all(batch):
  m = field.replace(TINY, noise=dict(learn_variance=False, variance="small"))
  assert m.net().out == 3
  terms = jax.eval_shape(
    lambda p, d: m.terms(methods.Weights(p), batch, d),
    jax.eval_shape(lambda k: m.init(k, batch)[0], jax.random.key(0)),
    m.drawn(jax.random.key(1), batch),
  )
  assert set(terms) == {"mse"}


def test_it_learns_from_whole_images_alone(started, batch, normal):
  m = field.replace(TINY, degraded=dict(degradation="pairs"))
  assert set(m.inputs()) == {"pair"}
  low = normal(B, 8, 8, 3, seed=1)
  pair = {"pair": np.stack([low, batch["image"]], 1)}
  draws = TINY.drawn(jax.random.key(1), batch)
  found = [
    jax.jit(lambda b, m=m: m.loss(started, b, draws, 0)[0])(b)
    for m, b in ((m, pair), (TINY, batch))
  ]
  assert found[0] == found[1]
  assert m.drawn(jax.random.key(1), pair).keys() == draws.keys()


def test_dropout_is_drawn_where_there_is_one(batch):
  assert "dropout" not in TINY.drawn(jax.random.key(0), batch)
  some = field.replace(TINY, dims=dict(dropout=0.1))
  assert some.drawn(jax.random.key(0), batch)["dropout"].shape == ()
  assert "dropout" in some.shared
  raw = jax.eval_shape(
    lambda p, x: some.network(p, x, jnp.zeros(B), seed=jnp.uint32(1)),
    jax.eval_shape(lambda k: some.init(k, batch)[0], jax.random.key(0)),
    batch["image"],
  )
  assert raw.shape == (B, 8, 8, 6)


def test_the_published_network_has_the_authors_size():
  """159.6 M as the paper counts; 64 factors of the side at the last level."""
  m = difface.DifFace()
  m.inputs()
  shapes = jax.eval_shape(lambda k: m.init(k, {})[0], jax.random.key(0))
  count = sum(x.size for x in jax.tree.leaves(shapes))
  assert count == 159_788_454
  assert m.net().blocks_at == (1, 2, 2, 2, 2, 3, 4)


@pytest.mark.parametrize(
  "change, said",
  [
    (dict(size=9), "does not divide by 2"),
    (dict(dims=dict(level_blocks=(1,))), "level_blocks"),
    (dict(contraction=dict(start=5)), "contraction.start=5"),
    (dict(sampling=dict(guidance=2.0)), "sampling.guidance=2"),
    (dict(noise=dict(learn_variance=False)), "without noise.learn_variance"),
    (dict(degraded=dict(factor=2)), "degraded.factor=2"),
    (dict(sampling=dict(steps=6)), "no integer stride gives 6 of 20"),
  ],
)
def test_fields_that_do_not_go_together_are_named(change, said):
  with pytest.raises(ValueError, match=said):
    field.replace(TINY, **change).inputs()


def test_a_restorer_of_another_kind_fits_too():
  net = swinir.Dims(
    depths=(1,), heads=2, width=8, window=2, unshuffle=2, tail=8
  )
  m = field.replace(TINY, restorer=dict(net=net))
  m.inputs()
  shapes = jax.eval_shape(m.consts()["restorer"].init, jax.random.key(0))
  assert shapes["conv_first"]["kernel"].shape == (3, 3, 4 * 4, 8)
