"""Attention of a frozen model's words, and what is made of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.methods.latent import ldm
from jmim.methods.parts import word_maps
from jmim.nn import hooks
from jmim.nn import resize

RNG = np.random.default_rng(0)
OWNER = field.replace(
  ldm.LDM.tiny(), dims=dict(attend_at=(1, 2)), first_stage=dict(variant="none")
)
WEIGHTS = toydiffusion.fresh(OWNER)
SOURCE = OWNER.diffuser(WEIGHTS)
B, L = 2, OWNER.condition.tokens
BATCH = {"tokens": jnp.asarray(RNG.integers(1, 9, (B, L)))}


def attention(heads, side, tokens=4, b=2):
  logits = RNG.normal(size=(b, heads, side * side, tokens))
  return jax.nn.softmax(jnp.asarray(2 * logits, "f4"), -1)


def test_layers_of_a_side_are_averaged_over_all_their_heads():
  a, b, c = attention(1, 4), attention(3, 4), attention(2, 2)
  maps = word_maps.by_side([a, b, c], (8, 8))
  assert {r: m.shape for r, m in maps.items()} == {
    4: (2, 4, 4, 4),
    2: (2, 2, 2, 4),
  }
  both = jnp.concatenate([a, b], 1).mean(1).reshape(2, 4, 4, 4)
  np.testing.assert_allclose(maps[4], both, atol=1e-6)
  np.testing.assert_allclose(maps[2].sum(-1), 1, atol=1e-6)


def test_maps_have_the_aspect_of_what_is_diffused():
  maps = word_maps.by_side([attention(1, 4)], (4, 16))  # 16 = 2 x 8 places
  assert maps[2].shape == (2, 2, 8, 4)


def test_a_words_map_is_the_mean_of_maps_of_greatest_value_1():
  maps = word_maps.by_side([attention(2, 4), attention(1, 2)], (4, 4))
  marks = jnp.array([[0, 1, 1, 0], [0, 0, 0, 1]])
  shares = {4: jnp.array([0.5, 0.0]), 2: jnp.array([0.5, 1.0])}
  found = np.asarray(word_maps.word(maps, marks, shares, size=(9, 9)))

  def of(i, r, s):
    up = resize.images(maps[r][i : i + 1, ..., s, None], (9, 9))[0, ..., 0]
    return np.asarray(up / up.max())

  first = [(of(0, 4, s) + of(0, 2, s)) / 2 for s in (1, 2)]
  np.testing.assert_allclose(found[0], sum(first) / 2, atol=1e-5)
  np.testing.assert_allclose(found[1], of(1, 2, 3), atol=1e-5)
  assert found[1].max() == pytest.approx(1, abs=1e-6) and found.max() <= 1


def test_of_no_word_there_is_no_map():
  maps = word_maps.by_side([attention(2, 4)], (4, 4))
  shares = {4: jnp.ones(2)}
  marks = jnp.array([[0, 0, 0, 0], [1, 0, 0, 0]])
  found = word_maps.word(maps, marks, shares, size=(4, 4))
  assert not found[0].any() and found[1].max() == pytest.approx(1, abs=1e-6)


def test_shares_by_class():
  found = word_maps.shares([(4, 2), (8,)], jnp.array([1, 0]))
  assert list(found) == [2, 4, 8]
  np.testing.assert_allclose(
    [found[r] for r in (2, 4, 8)], [[0, 0.5]] * 2 + [[1, 0]]
  )


def test_the_pass_that_is_told_is_looked_at_and_averaged_over_steps():
  """Against the network called by itself, unguided, at each state."""
  table = solvers.ddim(SOURCE.levels(3))
  x = jax.random.normal(jax.random.key(0), (B, *SOURCE.shape))
  told, nothing = SOURCE.tell(BATCH)
  denoise = word_maps.watched(SOURCE, told, nothing, scale=3.0)
  end, maps = jax.jit(lambda x: word_maps.sampled(table, denoise, x))(x)
  plain = SOURCE.denoise(told, nothing, scale=3.0)
  wanted, path = sampler.sample(table, plain, x=x, callback=sampler.trajectory)
  np.testing.assert_allclose(end, wanted, atol=1e-4)
  states = jnp.concatenate([x[None], path["x"][:-1]])
  assert len(states) == len(table) == 4  # 20 times in steps of 6
  total = {4: 0.0, 2: 0.0}
  for state, time in zip(states, table.level.time, strict=True):
    with hooks.seen("*cross*/attend") as calls:
      SOURCE.network(state, jnp.full(B, time), told)
    assert len(calls) == 7  # two going down, the middle, four going up
    for name, (call,) in calls.items():
      q, k, _ = call.args
      p = jax.nn.softmax(
        jnp.einsum("bhtd,bhsd->bhts", q, k) / q.shape[-1] ** 0.5
      )
      side = round(p.shape[2] ** 0.5)
      assert name.startswith(("down0", "up0")) == (side == 4)
      total[side] = total[side] + p.sum(1).reshape(B, side, side, L) / 4
  heads = 2 * np.array([3, 4])  # layers of a side, two heads each
  for side, count in zip((4, 2), heads, strict=True):
    np.testing.assert_allclose(maps[side], total[side] / count, atol=1e-5)


def test_what_is_there_is_told_by_one_call():
  maps = jax.eval_shape(lambda: word_maps.once(SOURCE))
  assert {r: m.shape[-1] for r, m in maps.items()} == {4: L, 2: L}
  with pytest.raises(ValueError, match="cross"):
    word_maps.once(toydiffusion.make())
