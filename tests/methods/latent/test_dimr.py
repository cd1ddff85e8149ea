import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import boxes
from jmim.methods.latent import dimr
from jmim.training import optim

TINY = dimr.DiMR.tiny()


@pytest.fixture(scope="module")
def given(fill, normal):
  batch = {"image": normal(2, 8, 8, 3), "label": jnp.asarray([0, 2])}
  weights = methods.Weights(fill(TINY, batch, scale=0.6)[0])
  return weights, batch, TINY.drawn(jax.random.key(1), batch)


def test_the_loss_weighs_branches_by_their_places(given):
  weights, batch, draws = given
  loss, aux = jax.jit(TINY.loss)(weights, batch, draws, 0)
  np.testing.assert_allclose(loss, aux["loss_0"] / 4 + aux["loss_1"], rtol=1e-5)
  equal = field.replace(TINY, dims=dict(loss_weights=(1.0, 0.5)))
  found, _ = jax.jit(equal.loss)(weights, batch, draws, 0)
  np.testing.assert_allclose(
    found, aux["loss_0"] + aux["loss_1"] / 2, rtol=1e-5
  )


def test_the_network_s_time_is_linear_and_ends_at_noise():
  t = jnp.arange(TINY.noise.times)
  n = np.arange(1, 21)
  np.testing.assert_allclose(TINY.tau(t), (8 * n / 20 - 4) / 4, atol=1e-6)


def test_low_errors_are_of_little_noise(given):
  weights, batch, _ = given
  key = jax.random.key(3)
  draws = TINY.drawn(key, batch)
  found = jax.jit(TINY.errors)(weights, batch, key)
  few = np.asarray(draws["t"]) // 5
  assert (few + 1 <= TINY.noise.times / 5).all()
  for name, t in (("mse", draws["t"]), ("low", few)):
    wanted = TINY.terms(weights, batch, draws | {"t": jnp.asarray(t)})[-1]
    np.testing.assert_allclose(found[name], wanted, rtol=1e-5)


def test_branches_show_what_they_believe_the_image_is(given):
  weights, batch, _ = given
  key = jax.random.key(3)
  found = jax.jit(TINY.estimates)(weights, batch, key)
  assert set(found) == {"noisy", "branch0", "branch1"}
  draws = TINY.drawn(key, batch)
  _, a, s = TINY.noise.add(batch["image"], draws["t"], draws["noise"])
  terms = TINY.terms(weights, batch, draws)
  # x0' - x0 = s / a (eps - e), of means over r x r the same over r.
  for k, r in enumerate((2, 1)):
    clean = boxes.boxed(batch["image"], r) / r
    off = (a / s * (found[f"branch{k}"] - clean)) ** 2
    np.testing.assert_allclose(off.mean((1, 2, 3)) * r * r, terms[k], rtol=1e-3)


def test_everything_is_decayed_but_how_parameters_follow_time(given):
  leaves = optim.leaf_settings({"main": given[0].params["main"]}, TINY.groups())
  from_path = jax.tree_util.tree_flatten_with_path(
    leaves, is_leaf=lambda x: isinstance(x, optim.Leaf)
  )[0]
  decays = {
    jax.tree_util.keystr(p, simple=True, separator="/"): x.decay
    for p, x in from_path
  }
  free = {n for n, d in decays.items() if d == 0}
  assert free and set(decays.values()) == {0.0, 1.0}
  assert free == {n for n in decays if n.endswith(("/slope", "/offset"))}


def test_samples_follow_their_label_and_guidance(given):
  weights, batch, _ = given
  key = jax.random.key(0)

  def draw(label=(0, 2), **sampling):
    m = field.replace(TINY, sampling=sampling)
    given = {"label": jnp.asarray(label)}
    return np.asarray(jax.jit(m.sample)(weights, given, key))

  plain = draw()
  assert plain.shape == (2, 8, 8, 3) and np.isfinite(plain).all()
  other = draw(label=(0, 1))
  np.testing.assert_allclose(other[0], plain[0], atol=1e-4)
  assert np.abs(other[1] - plain[1]).max() > 1e-4
  constant = draw(guidance=3.0)
  grows = draw(guidance=3.0, guidance_power=1.0)
  assert np.abs(constant - plain).max() > 1e-4
  assert np.abs(grows - constant).max() > 1e-4


def test_without_labels(fill, normal):
  m = field.replace(TINY, labels=dict(classes=0))
  batch = {"image": normal(2, 8, 8, 3)}
  weights = methods.Weights(fill(m, batch)[0])
  assert "label_embed" not in weights.params["main"]["branch0"]
  loss, _ = m.loss(weights, batch, m.drawn(jax.random.key(0), batch), 0)
  assert np.isfinite(loss)


def test_a_last_branch_of_patches_may_predict_at_the_side_of_its_map(
  fill, normal
):
  m = field.replace(TINY, dims=dict(patches=(4, 2), unfolded=False))
  batch = {"image": normal(2, 8, 8, 3), "label": jnp.asarray([0, 2])}
  weights = methods.Weights(fill(m, batch)[0])
  draws = m.drawn(jax.random.key(0), batch)
  _, preds = m.denoised(weights, batch, draws)
  assert [p.shape[1] for p in preds] == [2, 4]
  boxes_of = lambda r: boxes.boxed(draws["noise"], r)
  wanted = sum(
    ((p - boxes_of(r)) ** 2).mean() / r**2
    for p, r in zip(preds, (4, 2), strict=True)
  )
  found, _ = m.loss(weights, batch, draws, 0)
  np.testing.assert_allclose(found, wanted, rtol=1e-5)
  assert set(m.predict()) == {"errors", "branches"}
  with pytest.raises(ValueError, match="dims.unfolded=False"):
    m.diffuser(weights)


def test_mistakes():
  with pytest.raises(ValueError, match="loss_weights .* 2 branches"):
    field.replace(TINY, dims=dict(loss_weights=(1.0,))).inputs()
