"""What the card says of both passes; the goldens have the numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.dense import diffews
from jmim.nn import hooks

M = diffews.DiffewS.tiny()
RNG = np.random.default_rng(0)
B, N = 2, M.episode.shots


def images(*shape):
  return jnp.asarray(RNG.normal(size=(*shape, *M.shape)), jnp.float32)


BATCH = {
  "scenes": images(B, 1 + N),
  "masks": jnp.asarray(RNG.integers(2, size=(B, 1 + N, 8, 8))),
  "label": jnp.array([1, 4]),
}


@pytest.fixture(scope="module")
def weights():
  """No leaf is zero: last layers and gates would hide what is before them."""
  shapes, _ = jax.eval_shape(M.init, jax.random.key(0), BATCH)
  fill = lambda s: jnp.asarray(0.3 * RNG.normal(size=s.shape), jnp.float32)
  return methods.Weights(jax.tree.map(fill, shapes))


@pytest.fixture(scope="module")
def bank():
  return jax.jit(M.bank)


@pytest.fixture(scope="module")
def query():
  return jax.jit(lambda *args: M.query(*args)[0])


def test_an_empty_bank_is_the_plain_network(weights, query):
  z = images(B)
  params = {"params": weights.params["main"]["net"]}
  told = jnp.zeros((B, M.prompt.tokens, M.prompt.context))
  t = jnp.full(B, M.prompt.time)
  plain = jax.jit(M.net.apply)(params, z, t, context=told)
  np.testing.assert_allclose(query(weights, z, {}), plain, atol=1e-6)


def test_a_bank_of_the_querys_own_tokens_changes_nothing(weights, query):
  z = images(B)
  pred, taps = jax.jit(M.query)(weights, z, None)
  again = query(weights, z, taps.bank)
  np.testing.assert_allclose(again, pred, atol=1e-5)


def test_the_order_of_the_shots_does_not_matter(weights, bank, query):
  z, z_mask, asked = images(B, N), images(B, N), images(B)
  found = query(weights, asked, bank(weights, z, z_mask))
  turned = query(weights, asked, bank(weights, z[:, ::-1], z_mask[:, ::-1]))
  np.testing.assert_allclose(turned, found, atol=1e-5)
  other = query(weights, asked, bank(weights, z, -z_mask))
  assert np.abs(other - found).max() > 1e-3


def test_a_shot_that_is_not_shown_is_as_if_it_were_not_there(
  weights, bank, query
):
  z, z_mask, asked = images(B, N), images(B, N), images(B)
  shown = jnp.array([[True, False], [False, True]])
  found = query(weights, asked, bank(weights, z, z_mask, shown=shown))
  pick = jnp.array([0, 1])
  alone = lambda x: x[jnp.arange(B), pick][:, None]
  one = query(weights, asked, bank(weights, alone(z), alone(z_mask)))
  np.testing.assert_allclose(found, one, atol=1e-5)


def test_the_second_stem_starts_as_the_first_repeated_and_halved():
  params, _ = jax.jit(M.init)(jax.random.key(0), BATCH)
  net = params["main"]["net"]
  z = images(B)
  see = lambda x, stem: jax.lax.conv_general_dilated(
    x,
    net[stem]["kernel"],
    (1, 1),
    "SAME",
    dimension_numbers=("NHWC", "HWIO", "NHWC"),
  )
  both = see(jnp.concatenate([z, z], -1), diffews.STEM)
  np.testing.assert_allclose(both, see(z, "conv_in"), atol=1e-5)
  np.testing.assert_array_equal(
    net[diffews.STEM]["bias"], net["conv_in"]["bias"]
  )


def draws():
  return {"shots": jnp.array([1, 2]), "order": jnp.array([[0.2, 0.7]] * B)}


def test_supports_never_see_the_query_and_learn_through_the_bank(weights):
  def seen(scenes):
    with hooks.seen("*/attend") as calls:
      M.loss(weights, BATCH | {"scenes": scenes}, draws(), 0)
    passes = {name: [c.output for c in both] for name, both in calls.items()}
    return {name: both[0] for name, both in passes.items()}

  other = BATCH["scenes"].at[:, 0].set(images(B))
  one, two = jax.jit(seen)(BATCH["scenes"]), jax.jit(seen)(other)
  for name, output in one.items():
    np.testing.assert_array_equal(two[name], output, name)

  loss = lambda params: M.loss(methods.Weights(params), BATCH, draws(), 0)[0]
  grads = jax.jit(jax.grad(loss))(weights.params)["main"]["net"]
  assert np.abs(grads[diffews.STEM]["kernel"]).max() > 1e-5


def test_the_loss_is_zero_at_minus_the_masks_latent():
  z = images(B)
  assert M.error(-z, z) == 0 and M.error(z, z) == pytest.approx(
    4 * float((z**2).mean()), rel=1e-5
  )


def test_masks_that_are_predicted_exactly_are_found(weights, monkeypatch):
  """In pixels the latent of a mask is its image."""

  def exact(self, weights, z, bank):
    del weights, z
    _, masks = self.episode.testing(BATCH)
    return -masks[:, 0], bank

  monkeypatch.setattr(diffews.DiffewS, "query", exact)
  found = jax.jit(M.segment)(weights, BATCH, None)
  np.testing.assert_array_equal(found["mask"], found["truth"])
  np.testing.assert_array_equal(found["truth"], BATCH["masks"][:, 0] > 0)
  np.testing.assert_array_equal(found["image"], BATCH["scenes"][:, 0])


def test_outputs_differ_by_what_is_shown(weights):
  each = {n: jax.jit(f)(weights, BATCH, None) for n, f in M.predict().items()}
  names = ["segment", "segment_all", "segment_alone", "segment_other"]
  assert list(each) == names
  for a in each.values():
    np.testing.assert_array_equal(a["truth"], each["segment"]["truth"])
  other = each["segment_other"]["support"]
  np.testing.assert_array_equal(other, each["segment"]["support"][::-1])


@pytest.mark.parametrize(
  "fields, seen",
  [
    (dict(dims=dict(dropout=0.1)), "dims.dropout"),
    (dict(first_stage=dict(variant="kl-f8", read="moments")), "read='images'"),
    (dict(channels=4), "3 channels"),
    (dict(episode=dict(shots=7)), "episode.shots=7"),
  ],
)
def test_what_cannot_be_is_refused(fields, seen):
  if "first_stage" in fields:
    fields = fields | {"channels": 4}
  with pytest.raises(ValueError, match=seen):
    field.replace(M, **fields).inputs()


def test_a_first_stage_is_sampled_in_training_and_its_mean_afterwards():
  m = field.replace(
    M, size=2, channels=4, first_stage=dict(variant="kl-f8", width=8, blocks=1)
  )
  m = field.replace(m, dims=dict(attend_at=(2,)))
  shape = (1, 2, 16, 16, 3)
  scenes = jnp.asarray(RNG.normal(size=shape), jnp.float32)
  stage = jax.jit(m.first_stage.net.init)(jax.random.key(0))
  weights = methods.Weights({}, {}, {"first_stage": stage})
  encode = jax.jit(m.encode)
  mean = encode(weights, scenes, -scenes)
  noise = jnp.zeros((1, 2, 2, *m.shape))
  same = encode(weights, scenes, -scenes, noise=noise)
  np.testing.assert_array_equal(same[0], mean[0])
  drawn = encode(weights, scenes, -scenes, noise=noise.at[:, 1].set(1.0))
  np.testing.assert_array_equal(drawn[0], mean[0])
  assert np.abs(drawn[1] - mean[1]).min() > 0
  other = encode(weights, -scenes, scenes)
  np.testing.assert_allclose(other[0], mean[1], atol=1e-5)
