import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.latent import mar

TINY = mar.MAR.tiny()
B = 4
MEAN = field.replace(TINY, head=dict(kind="regression"))


def weights_of(m, seed=0):
  rng = np.random.default_rng(seed)
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), {})
  fill = lambda s: (0.2 * rng.normal(size=s.shape)).astype(s.dtype)
  return methods.Weights(jax.tree.map(fill, shapes))


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": normal(B, 12, 12, 3), "label": np.arange(B) % 3}


@pytest.fixture(scope="module")
def draws(batch):
  return TINY.drawn(jax.random.key(0), batch)


def test_draws_mask_one_number_of_tokens_in_all_rows(batch):
  n = []
  draw = jax.jit(TINY.drawn)
  for i in range(40):
    made = draw(jax.random.key(i), batch)
    n.append(int(made["n_mask"]))
    assert (np.sort(made["order"], axis=1) == np.arange(36)).all()
  assert min(n) >= 26 and max(n) <= 36 and len(set(n)) > 2
  mask, valid = TINY.network.mask(made["order"], made["n_mask"])
  assert valid.shape == (B, 10)
  assert (mask.mask.sum(1) == n[-1]).all() and (
    valid.sum(1) == 36 - n[-1]
  ).all()
  hidden = np.take_along_axis(mask.mask, made["order"], 1)
  assert (hidden[:, : n[-1]] == 1).all()


def test_a_fresh_head_s_loss_is_that_of_noise(batch, draws):
  params, extra = jax.jit(TINY.init)(jax.random.key(0), batch)
  loss, aux = jax.jit(TINY.loss)(
    methods.Weights(params, extra), batch, draws, 0
  )
  mask, _ = TINY.network.mask(draws["order"], draws["n_mask"])
  square = (np.asarray(draws["noise"]) ** 2).mean(-1)
  hidden = np.asarray(mask.mask)[:, None].repeat(2, 1)
  expected = (square * hidden).sum() / hidden.sum()
  np.testing.assert_allclose(aux["loss_mse"], expected, rtol=1e-5)
  assert abs(expected - 1) < 0.2
  np.testing.assert_allclose(loss, aux["loss_mse"] + aux["loss_vb"], rtol=1e-6)


@pytest.mark.parametrize("m", [TINY, MEAN], ids=["diffusion", "regression"])
def test_conditions_do_not_know_masked_values(m, batch, draws):
  weights = weights_of(m)
  masked = m.network.mask(draws["order"], draws["n_mask"])
  x, labels = m.tokens(weights, batch, draws), [batch["label"]]
  z = lambda x: m.vectors(weights, x, labels, masked)[0]
  hidden = masked[0].mask[..., None]
  np.testing.assert_array_equal(z(x), z(x + 5 * hidden))
  assert np.abs(z(x) - z(x + 5 * (1 - hidden))).max() > 1e-3


def test_some_labels_are_dropped(batch, draws):
  weights, run = weights_of(TINY), jax.jit(TINY.loss)
  quiet = {k: v for k, v in draws.items() if k != "dropout"}
  losses = {
    drop: run(weights, batch, quiet | {"label_drop": jnp.full(B, drop)}, 0)[0]
    for drop in (0.0, 1.0)
  }
  assert losses[0.0] != losses[1.0]
  other = batch | {"label": (batch["label"] + 1) % 3}
  dropped = quiet | {"label_drop": jnp.zeros(B)}
  assert run(weights, other, dropped, 0)[0] == losses[0.0]


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_samples_depend_on_their_number_and_label_alone(guidance):
  m = field.replace(TINY, sampling=dict(guidance=guidance))
  weights, run = weights_of(m), jax.jit(m.generate)
  key, index = jax.random.key(3), np.array([5, 2, 9])
  label = np.array([0, 1, 2])
  whole = run(weights, {"index": index, "label": label}, key)
  back = run(weights, {"index": index[::-1], "label": label[::-1]}, key)
  np.testing.assert_allclose(
    back["tokens"][::-1], whole["tokens"], rtol=1e-3, atol=1e-3
  )
  assert set(np.unique(whole["order"])) == {0, 1, 2}
  images = m.sample(weights, {"index": index, "label": label}, key)
  assert images.shape == (3, 12, 12, 3)


def test_guidance_and_temperature_matter():
  weights, key = weights_of(TINY), jax.random.key(0)
  batch = {"label": np.array([0, 1])}
  made = lambda **how: np.asarray(
    field.replace(TINY, sampling=how).generate(weights, batch, key)["tokens"]
  )
  plain = made()
  for how in ({"guidance": 2.0}, {"temperature": 0.5}, {"head_steps": 4}):
    assert np.abs(made(**how) - plain).max() > 1e-3


def test_a_regression_s_samples_differ_by_their_order_only():
  weights = weights_of(MEAN)
  one = field.replace(MEAN, sampling=dict(steps=1))
  made = one.generate(weights, {"label": np.zeros(3, int)}, jax.random.key(0))
  np.testing.assert_allclose(made["tokens"][1], made["tokens"][0], atol=1e-5)


def test_without_labels():
  m = field.replace(TINY, labels=dict(classes=0))
  image = {"image": np.zeros((2, 12, 12, 3), np.float32)}
  draws = m.drawn(jax.random.key(0), image)
  assert "label_drop" not in draws
  loss, _ = m.loss(weights_of(m), image, draws, 0)
  assert np.isfinite(loss)
  assert m.sample(weights_of(m), image, jax.random.key(0)).shape == (
    2,
    12,
    12,
    3,
  )


def test_mistakes():
  with pytest.raises(ValueError, match="size 12 does not divide by 5"):
    field.replace(TINY, patch=5).inputs()
  with pytest.raises(ValueError, match="sampling.steps 37"):
    field.replace(TINY, sampling=dict(steps=37)).inputs()
  for name in ("guidance", "temperature"):
    with pytest.raises(ValueError, match=f"sampling.{name}=2.0 with head.kind"):
      field.replace(MEAN, sampling={name: 2.0}).inputs()
