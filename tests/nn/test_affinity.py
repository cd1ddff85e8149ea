import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn import affinity

H, W, R = 9, 11, 5
RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(2, H, W, 6)).astype(np.float32)
IGNORE = 255


def their_pairs(h, w, radius=R):
  """The authors' `get_indices_of_pairs`: [n] first, [k, n] second places."""
  around = [(0, x) for x in range(1, radius)]
  for y in range(1, radius):
    row = [(y, x) for x in range(-radius + 1, radius)]
    around += [(y, x) for y, x in row if x * x + y * y < radius * radius]
  full, edge = np.arange(h * w).reshape(h, w), radius - 1
  tall, wide = h - edge, w - 2 * edge
  first = full[:-edge, edge:-edge].ravel()
  second = [
    full[dy : dy + tall, edge + dx : edge + dx + wide].ravel()
    for dy, dx in around
  ]
  return first, np.stack(second)


def test_affinities_are_the_authors_where_they_have_them():
  a = np.asarray(affinity.edges(FEATURES, R)).reshape(2, -1, H * W)
  first, second = their_pairs(H, W)
  x = FEATURES.reshape(2, H * W, -1)
  wanted = np.exp(-np.abs(x[:, first][:, None] - x[:, second]).mean(-1))
  assert a.shape[1] == len(second) == 34
  np.testing.assert_allclose(a[:, :, first], wanted, atol=1e-6)


def test_the_matrix_holds_every_pair_once():
  a = affinity.edges(FEATURES, R)
  m = np.asarray(affinity.matrix(a, R))
  y, x = np.divmod(np.arange(H * W), W)
  near = np.hypot(y - y[:, None], x - x[:, None]) < R
  flat = FEATURES.reshape(2, H * W, -1)
  away = np.abs(flat[:, :, None] - flat[:, None]).mean(-1)
  np.testing.assert_allclose(m, np.exp(-away) * near, atol=1e-6)


def test_the_loss_is_the_authors():
  """Where all pairs that count are among theirs."""
  h, w = 13, 17
  features = RNG.normal(size=(1, h, w, 4)).astype(np.float32)
  labels = RNG.integers(0, 3, (1, h, w))
  labels[RNG.random(labels.shape) < 0.2] = IGNORE
  first, second = their_pairs(h, w)
  kept = np.zeros((34, h * w), bool)
  kept[:, first] = True
  kinds = affinity.pairs(jnp.asarray(labels), R, IGNORE)
  kinds = tuple(k & kept.reshape(1, 34, h, w) for k in kinds)
  a = affinity.edges(features, R)
  found, told = affinity.loss(a, kinds)
  flat, x = labels.reshape(-1), features.reshape(h * w, -1)
  aff = np.exp(-np.abs(x[first] - x[second]).mean(-1))
  one, two = flat[first][None], flat[second]
  valid = (one < IGNORE) & (two < IGNORE)
  groups = (
    (one == two) & (one == 0),
    (one == two) & (one != 0) & valid,
    (one != two) & valid,
  )
  cost = (-np.log(aff + 1e-5), -np.log(aff + 1e-5), -np.log(1 + 1e-5 - aff))
  means = [
    (g * c).sum() / (g.sum() + 1e-5) for g, c in zip(groups, cost, strict=True)
  ]
  np.testing.assert_allclose(
    [told[n] for n in ("ground", "thing", "apart")], means, rtol=1e-5
  )
  wanted = means[0] / 4 + means[1] / 4 + means[2] / 2
  np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_nothing_known_costs_nothing():
  labels = jnp.full((2, H, W), IGNORE)
  a = affinity.edges(FEATURES, R)
  assert float(affinity.loss(a, affinity.pairs(labels, R, IGNORE))[0]) == 0


def test_a_walk_keeps_what_is_even_and_spreads_what_is_not():
  """T^(2^t) by doubling is t' steps; a map of one value is a fixed point."""
  m = affinity.matrix(affinity.edges(FEATURES, R), R)
  step = np.asarray(jax.jit(affinity.transition)(m, 8.0, 0))
  far = np.asarray(jax.jit(affinity.transition)(m, 8.0, 3))
  np.testing.assert_allclose(step.sum(1), 1, atol=1e-5)
  np.testing.assert_allclose(far, np.linalg.matrix_power(step, 8), atol=1e-5)
  even = jnp.full((2, H, W), 0.45)
  np.testing.assert_allclose(affinity.walked(even, far), even, atol=1e-5)
  maps = RNG.random((2, H, W)).astype(np.float32)
  after = np.asarray(affinity.walked(maps, far))
  wanted = np.einsum("bi,bij->bj", maps.reshape(2, -1), far)
  np.testing.assert_allclose(after.reshape(2, -1), wanted, atol=1e-5)
  assert (np.ptp(after, axis=(1, 2)) < np.ptp(maps, axis=(1, 2))).all()


def test_a_walk_stays_within_its_part():
  """Two halves of unlike features: what is marked in one fills it."""
  features = np.zeros((1, H, W, 1), np.float32)
  features[:, :, W // 2 :] = 6.0
  seed = np.zeros((1, H, W), np.float32)
  seed[:, :3, :3] = 1.0
  t = affinity.transition(
    affinity.matrix(affinity.edges(features, R), R), 8.0, 8
  )
  after = np.asarray(affinity.walked(seed, t))[0]
  own, other = after[:, : W // 2], after[:, W // 2 :]
  np.testing.assert_allclose(own, 9 / own.size, rtol=0.2)
  assert other.max() < 1e-3
