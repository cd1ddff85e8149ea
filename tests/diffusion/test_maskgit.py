import chainnet
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.data.procedural import markov
from jmim.diffusion import chains
from jmim.diffusion import maskgit

V, L, MASK = 3, 8, 3
CHAIN = markov.make(V)
SCHEDULES = ("cosine", "uniform", "log", "exp", "pow2", "pow.5", "pow2.5")


def net(x):
  return chains.conditionals(CHAIN.initial, CHAIN.transition, x, MASK)


def decode(start, calls, key=0, net=net, **options):
  run = lambda k, x: maskgit.maskgit_decode(
    k, net, x, MASK, num_iter=calls, **options
  )
  return jax.device_get(jax.jit(run)(jax.random.key(key), start))


def theirs(ratio, unknown, schedule):
  """mask_schedule.py of google-research/maskgit, of a Python number."""
  if schedule == "uniform":
    share = 1.0 - ratio
  elif "pow" in schedule:
    share = 1.0 - ratio ** float(schedule.replace("pow", ""))
  elif schedule == "cosine":
    share = jax.lax.cos(np.pi / 2.0 * ratio)
  elif schedule == "log":
    share = -jnp.log2(ratio) / jnp.log2(unknown)
  else:
    share = 1 - jnp.exp2(-jnp.log2(unknown) * (1 - ratio))
  return jnp.clip(share, 1e-6, 1.0)


def expected_counts(schedule, unknown, calls):
  """By their rule, one call after the other and nothing compiled."""
  found, hidden = [], unknown
  for i in range(calls):
    share = theirs((i + 1) / calls, unknown, schedule)
    hidden = max(1, min(hidden - 1, int(jnp.floor(unknown * share))))
    found.append(hidden)
  return found


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_counts_are_exact_and_known_tokens_stay(schedule):
  start = np.full((3, L), MASK)
  start[0, 2], start[1, :5] = 1, [0, 1, 2, 0, 1]
  made = decode(start, 4, schedule=schedule)
  for row in range(3):
    unknown = int((start[row] == MASK).sum())
    left = (made.left[:, row] == MASK).sum(-1)
    assert left.tolist() == expected_counts(schedule, unknown, 4)
  known = start != MASK
  for tokens in (*made.drawn, *made.left, made.tokens):
    assert (tokens[known] == start[known]).all()
  assert (made.drawn < V).all() and (made.tokens == made.drawn[-1]).all()
  # What one call leaves is what the next has.
  kept = made.left[:-1] != MASK
  assert (made.drawn[1:][kept] == made.left[:-1][kept]).all()


@pytest.mark.parametrize(
  "schedule, unknown, calls",
  [
    ("uniform", 12, 6),
    ("uniform", 9, 9),
    ("pow2", 25, 5),
    ("pow3", 27, 3),
    ("cosine", 16, 6),
    ("log", 16, 8),
    ("exp", 16, 4),
  ],
)
def test_counts_at_the_edge_of_a_number(schedule, unknown, calls):
  """Of these a rate times N is a whole number, but for its rounding."""
  differ = jnp.arange(unknown)[:, None] * jnp.arange(V) / unknown  # no ties
  made = decode(
    np.full((1, unknown), MASK),
    calls,
    schedule=schedule,
    net=lambda x: jnp.broadcast_to(differ, (*x.shape, V)),
  )
  left = (made.left[:, 0] == MASK).sum(-1)
  assert left.tolist() == expected_counts(schedule, unknown, calls)


def test_of_equal_scores_none_is_masked_again():
  """Their rule: confidence < sorted confidence[n]."""
  logits = jnp.log(jnp.array([0.5, 0.3, 0.2]))
  start = np.full((1, 4), MASK)
  tokens = jnp.array([[0, 1, 1, 2]])
  noise = 1e3 * jax.nn.one_hot(tokens, V), jnp.zeros((1, 4))
  for n, masked in ((1, [3]), (2, [3]), (3, [1, 2, 3])):
    _, left = maskgit.step(
      noise,
      jnp.broadcast_to(logits, (1, 4, V)),
      start,
      mask_id=MASK,
      share=jnp.array([n / 4]),
      unknown=jnp.array([4]),
      tau=0.0,
      keep_fn=maskgit.confidence,
    )
    assert np.flatnonzero(left[0] == MASK).tolist() == masked


def test_counts_of_the_paper():
  counts = maskgit.counts("cosine", 256, 8)
  assert counts.tolist() == [256, 251, 236, 212, 181, 142, 97, 49, 0]
  last = maskgit.mask_ratio("cosine", jnp.float32(1), 256)
  found = maskgit.mask_count(last, jnp.array([256]), jnp.array([49]))
  assert found.tolist() == [1]  # the last call: what was drawn is the result
  every = maskgit.counts("cosine", 64, 64)
  assert (np.diff(every) < 0).all()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_schedules_fall_from_one_to_nothing(schedule):
  ratio = np.linspace(1e-3, 1, 50)
  share = maskgit.mask_ratio(schedule, ratio, 64)
  assert (np.diff(share) <= 0).all() and (share <= 1).all()
  assert share[-1] == 1e-6
  single = maskgit.mask_ratio(schedule, jnp.asarray(ratio), 64)
  np.testing.assert_allclose(single, share, atol=1e-5)


def test_fully_known_rows_stay_and_short_ones_end():
  start = np.array([[0, 1, 2, 0, 1, 2, 0, 1], [0, 1, 2, MASK, 0, 0, 0, 0]])
  made = decode(start, 3, schedule="log")
  assert (made.tokens[0] == start[0]).all()
  assert (made.tokens != MASK).all()
  one = decode(np.full((2, 1), MASK), 2, schedule="exp")
  assert (one.tokens != MASK).all()


def test_one_call_is_independent_sampling():
  n = 20_000
  tokens = decode(np.full((n, 2), MASK), 1).tokens
  shares = chainnet.shares(tokens, V)
  independent = np.outer(CHAIN.initial, CHAIN.initial).ravel()
  np.testing.assert_allclose(shares, independent, atol=0.012)


def test_one_token_per_call_in_random_order_is_exact():
  n, length = 20_000, 4
  made = decode(
    np.full((n, length), MASK),
    length,
    schedule="uniform",
    keep_fn=maskgit.at_random,
  )
  _, p = chainnet.sequences(CHAIN, length)
  np.testing.assert_allclose(chainnet.shares(made.tokens, V), p, atol=0.012)
  order = (made.left[0] != MASK).mean(0)
  np.testing.assert_allclose(order, 1 / length, atol=0.015)


def test_without_noise_the_surest_are_kept():
  made = decode(np.full((64, L), MASK), 3, tau=0.0)
  logp = jax.nn.log_softmax(net(jnp.full((64, L), MASK)))
  sure = jnp.take_along_axis(logp, made.drawn[0][..., None], -1)[..., 0]
  kept = made.left[0] != MASK
  for row, keep in zip(np.asarray(sure), kept, strict=True):
    assert row[keep].min() >= row[~keep].max() - 1e-6


def test_large_noise_makes_the_order_random():
  kept = decode(np.full((4000, L), MASK), 2, tau=1e4, schedule="uniform")
  share = (kept.left[0] != MASK).mean(0)
  np.testing.assert_allclose(share, share.mean(), atol=0.04)


def test_a_row_depends_on_its_key_and_tokens_alone():
  keys = jax.random.split(jax.random.key(1), 4)
  start = np.full((4, L), MASK)
  start[1, 3] = 2
  decoded = lambda k, x: maskgit.maskgit_decode(k, net, x, MASK, num_iter=4)
  run = jax.jit(lambda k, x: decoded(k, x).tokens)
  whole = run(keys, start)
  np.testing.assert_array_equal(run(keys[::-1], start[::-1]), whole[::-1])


def test_mistakes():
  for name in ("cos", "pow", "pow0", "powx", "pow-1"):
    with pytest.raises(ValueError, match=f"schedule '{name}'"):
      maskgit.check(name)
  with pytest.raises(ValueError, match="0 iterations"):
    decode(np.full((1, 2), MASK), 0)
  with pytest.raises(ValueError, match="9 iterations for 8 tokens"):
    maskgit.counts("cosine", 8, 9)
