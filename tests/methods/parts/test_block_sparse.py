import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import schedule
from jmim.diffusion import solvers
from jmim.methods.parts import block_sparse
from jmim.methods.parts import guided
from jmim.nn import attention
from jmim.nn import block_masks
from jmim.nn import sparse
from jmim.nn import streaming

RULE = block_sparse.BlockSparse(sparsity=0.6, block=4, threshold=0.3)
TOKENS = 39


@pytest.fixture
def qkv(normal):
  return lambda seed: [
    2 * normal(2, 4, TOKENS, 8, seed=seed + i) for i in range(3)
  ]


@pytest.mark.parametrize(
  ("searches", "wanted"),
  [
    (
      (10, 30),
      [
        ("dense", 0, 9),
        ("search", 9, 10),
        ("sparse", 10, 29),
        ("refresh", 29, 30),
        ("sparse", 30, 50),
      ],
    ),
    (
      (0, 30),
      [
        ("search", 0, 1),
        ("sparse", 1, 29),
        ("refresh", 29, 30),
        ("sparse", 30, 50),
      ],
    ),
    (
      (1, 2, 50),
      [
        ("search", 0, 1),
        ("refresh", 1, 2),
        ("sparse", 2, 49),
        ("refresh", 49, 50),
      ],
    ),
  ],
)
def test_segments_of_a_path(searches, wanted):
  rule = dataclasses.replace(RULE, searches=searches)
  assert list(rule.segments(50)) == wanted


def check(sampler="euler", eta=0.0, steps=50, **changes):
  sampling = guided.Guided(sampler=sampler, eta=eta, steps=steps)
  table = solvers.make(sampler, schedule.straight(steps), eta=eta)
  dataclasses.replace(RULE, **changes).check(sampling, table)


def test_what_does_not_go_together_is_named():
  check()
  for searches in ((), (30, 10), (10, 51), (0, 1), (5, 5), (-1, 4)):
    with pytest.raises(ValueError, match=r"sparse\.searches .*steps 50"):
      check(searches=searches)
  with pytest.raises(ValueError, match=r"sparse\.sparsity 0\.2: below 1/3"):
    check(sparsity=0.2)
  check(sparsity=0.2, selection="rows")
  with pytest.raises(ValueError, match=r"sampling\.sampler 'heun'"):
    check("heun", steps=30)
  check("ddim")
  with pytest.raises(ValueError, match=r"sampling\.eta 0\.5"):
    check("ddim", eta=0.5)


def noise_of(selection):
  rng = np.random.default_rng(7)
  n = RULE.layout(TOKENS).video
  return rng.normal(size=(2, 4, n, n)) if selection == "random" else None


@pytest.mark.parametrize("selection", block_sparse.SELECTIONS)
def test_phases(qkv, selection):
  """A search is dense; a refresh, by the old lse, is sparse at once."""
  rule = dataclasses.replace(RULE, selection=selection)
  layout = rule.layout(TOKENS)
  q, k, v = qkv(0)
  noise = noise_of(selection)
  out, state = rule.attend(q, k, v=v, state=noise, phase="search")
  np.testing.assert_allclose(out, attention.attend(q, k, v), atol=1e-5)
  mask = rule.mask(state.kept, state.count, TOKENS)
  base = rule.base(TOKENS)
  assert (np.asarray(mask).sum((1, 2, 3)) == 4 * base * layout.video).all()
  out, same = rule.attend(q, k, v=v, state=state, phase="sparse")
  wanted = sparse.masked(q, k, v, mask=mask, layout=layout)
  np.testing.assert_allclose(out, wanted, atol=1e-5)
  assert same is state
  # Another call.
  q, k, v = qkv(5)
  out, new = rule.attend(q, k, v=v, state=state, phase="refresh")
  np.testing.assert_array_equal(new.lse, state.lse)
  sums = streaming.block_sums(q, k, lse=state.lse, block=4)
  fresh = rule.mask(*rule.choose(sums, TOKENS, noise), TOKENS)
  np.testing.assert_array_equal(rule.mask(new.kept, new.count, TOKENS), fresh)
  blind = selection in block_sparse.BLIND
  assert (np.asarray(fresh) == np.asarray(mask)).all() == blind
  wanted = sparse.masked(q, k, v, mask=fresh, layout=layout)
  np.testing.assert_allclose(out, wanted, atol=1e-5)


def test_heads_keep_unequal_numbers(qkv):
  q, k, v = qkv(0)
  _, state = RULE.attend(q, k, v=v, state=None, phase="search")
  number = block_masks.counts(RULE.sparsity, RULE.layout(TOKENS).video)
  assert set(np.unique(state.count)) == {number.few, number.many}
  assert state.noise is None


def test_no_block_is_kept_for_what_the_other_half_sees(qkv):
  """Rows of a batch, so both halves of guidance, have masks of their own."""
  q, k, v = qkv(0)
  _, state = RULE.attend(q, k, v=v, state=None, phase="search")
  changed = [jnp.asarray(a).at[1].multiply(-0.5) for a in (q, k, v)]
  _, other = RULE.attend(*changed[:2], v=changed[2], state=None, phase="search")
  for name in ("lse", "kept", "count"):
    np.testing.assert_array_equal(
      getattr(other, name)[0], getattr(state, name)[0]
    )
  assert (np.asarray(other.kept[1]) != np.asarray(state.kept[1])).any()
