import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import adaln

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 5, 8)).astype(np.float32)
COND = RNG.normal(size=(2, 8)).astype(np.float32)


def test_modulation_is_scale_and_shift_about_one():
  shift, scale = RNG.normal(size=(2, 2, 8))
  found = adaln.modulate(X, shift, scale)
  np.testing.assert_allclose(
    found, X * (1 + scale[:, None]) + shift[:, None], rtol=1e-5
  )
  np.testing.assert_allclose(
    adaln.modulate(X, None, scale), X * (1 + scale[:, None]), rtol=1e-6
  )


def test_the_last_modulation_is_of_the_condition_and_nothing_at_first(fill):
  class Last(nn.Module):
    @nn.compact
    def __call__(self, x, cond):
      return adaln.last(runtime.Runtime(), x, cond)

  cond = RNG.normal(size=(2, 3)).astype(np.float32)
  variables = Last().init(jax.random.key(0), X, cond)
  assert variables["params"]["modulation"]["kernel"].shape == (3, 16)
  np.testing.assert_array_equal(Last().apply(variables, X, cond), X)
  variables = fill(Last(), X, cond)
  own = variables["params"]["modulation"]
  shift, scale = np.split(cond @ own["kernel"] + own["bias"], 2, axis=-1)
  want = X * (1 + scale[:, None]) + shift[:, None]
  np.testing.assert_allclose(Last().apply(variables, X, cond), want, atol=1e-5)


@pytest.mark.parametrize("own", [3, 1])
def test_single_modulations_are_told_plus_a_table(own):
  cond = RNG.normal(size=(2, own, 8)).astype(np.float32)

  class Rows(nn.Module):
    @nn.compact
    def __call__(self, cond):
      return adaln.single(self, 3, cond)

  table = RNG.normal(size=(3, 8)).astype(np.float32)
  found = Rows().apply({"params": {"table": table}}, cond)
  for row in range(3):
    want = cond[:, min(row, own - 1)] + table[row]
    np.testing.assert_allclose(found[row], want, rtol=1e-6)
  fresh = Rows().init(jax.random.key(0), np.zeros((1, 1, 4096), np.float32))[
    "params"
  ]
  np.testing.assert_allclose(fresh["table"].std(), 1 / 64, rtol=0.05)


@pytest.mark.parametrize("shift, parts", [(True, 6), (False, 4)])
def test_a_block_starts_as_the_identity(shift, parts):
  block = adaln.AdaBlock(heads=2, shift=shift)
  variables = jax.jit(block.init)(jax.random.key(0), X, cond=COND)
  kernel = variables["params"]["modulation"]["kernel"]
  assert kernel.shape == (8, parts * 8) and not np.asarray(kernel).any()
  np.testing.assert_array_equal(block.apply(variables, X, cond=COND)[0], X)


def test_gates_scale_what_a_block_adds(fill):
  block = adaln.AdaBlock(heads=2)
  variables = fill(block, X, cond=COND)
  mods = variables["params"]["modulation"]
  mods["kernel"][:] = 0
  mods["bias"][:] = 0
  mods["bias"][40:] = 1.0  # the second gate alone
  one = block.apply(variables, X, cond=COND)[0] - X
  mods["bias"][40:] = 2.0
  two = block.apply(variables, X, cond=COND)[0] - X
  assert np.abs(one).max() > 0.01
  np.testing.assert_allclose(two, 2 * one, atol=1e-5)


def test_a_token_behind_the_mask_is_seen_by_no_other(fill):
  block = adaln.AdaBlock(heads=2, act="gelu")
  variables = fill(block, X, cond=COND)
  mask = jnp.asarray([[True] * 4 + [False]] * 2)
  other = X.copy()
  other[:, 4] *= -1
  run = lambda x, **more: block.apply(variables, x, cond=COND, **more)[0]
  np.testing.assert_allclose(
    run(other, mask=mask)[:, :4], run(X, mask=mask)[:, :4], atol=1e-6
  )
  assert np.abs(run(other) - run(X))[:, :4].max() > 1e-3


def test_the_condition_may_be_of_another_width(fill):
  block = adaln.AdaBlock(heads=2)
  variables = fill(block, X, cond=COND[:, :3])
  kernel = variables["params"]["modulation"]["kernel"]
  assert kernel.shape == (3, 6 * 8)
  moved = block.apply(variables, X, cond=COND[:, :3] + 1)[0]
  still = block.apply(variables, X, cond=COND[:, :3])[0]
  assert np.abs(moved - still).max() > 1e-2


def test_the_activation_is_the_one_asked_for(fill):
  tanh, erf = (adaln.AdaBlock(heads=2, act=a) for a in ("gelu_tanh", "gelu"))
  variables = fill(tanh, X, cond=COND)
  a, b = (m.apply(variables, X, cond=COND)[0] for m in (tanh, erf))
  assert 0 < np.abs(a - b).max() < 1e-2


def test_a_token_block_sees_the_condition_and_gives_its_token_away(fill):
  block = adaln.TokenBlock(heads=2)
  variables = fill(block, X, cond=COND)
  found = block.apply(variables, X, cond=COND)[0]
  other = block.apply(variables, X, cond=-COND)[0]
  assert found.shape == X.shape
  assert np.abs(found - other).max() > 1e-3
  # Other tokens reach a token, as the condition does: it is one of them.
  turned = block.apply(variables, X[:, ::-1], cond=COND)[0]
  np.testing.assert_allclose(turned[:, ::-1], found, atol=1e-5)


def test_times_have_embeddings_of_their_own(fill):
  embed = adaln.TimeEmbed(width=8, hidden=16, waves=32)
  t = jnp.arange(20.0)
  variables = fill(embed, t)
  found = np.asarray(embed.apply(variables, t))
  distance = np.abs(found[:, None] - found[None]).max(-1) + np.eye(20)
  assert distance.min() > 1e-3


def test_a_table_of_labels_has_a_row_for_none():
  table = adaln.label_table(5, 8, runtime.Runtime())
  variables = table.init(jax.random.key(0), np.array([0]))
  assert variables["params"]["embedding"].shape == (6, 8)
