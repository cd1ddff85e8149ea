import numpy as np
import pytest
import scipy.stats

from jmim.metrics import representation


def rows(seed=0, n=40, d=6):
  return np.random.default_rng(seed).normal(size=(n, d)) + 3


def test_cka_equals_its_kernel_form_and_ignores_turns_and_scale():
  x, y = rows(0), rows(1, d=9)
  centre = np.eye(40) - 1 / 40
  k, m = (centre @ z @ z.T @ centre for z in (x, y))
  want = (k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum())
  np.testing.assert_allclose(representation.linear_cka(x, y), want, rtol=1e-9)
  turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))
  moved = 7 * x @ turn + 5
  np.testing.assert_allclose(representation.linear_cka(x, moved), 1)


def test_effective_rank_counts_equal_directions():
  rng = np.random.default_rng(0)
  basis, _ = np.linalg.qr(representation.centred(rng.normal(size=(50, 4))))
  padded = np.pad(basis, ((0, 0), (0, 3)))
  np.testing.assert_allclose(representation.effective_rank(padded), 4)
  scaled = padded * [3, 1, 1, 1, 0, 0, 0]
  want = np.exp(scipy.stats.entropy([3, 1, 1, 1]))
  np.testing.assert_allclose(representation.effective_rank(scaled), want)


@pytest.mark.parametrize("first", [0, 1])
def test_attention_distance_by_hand(first):
  t = 4 + first
  maps = np.zeros((1, 2, t, t))
  maps[0, 0, range(t), range(t)] = 1  # head 1: itself
  maps[0, 1, first:, first:] = 0.25 * (1 - 0.2 * first)  # head 2: everywhere
  maps[0, 1, :, :first] = 0.2
  got = representation.attention_distance(maps, (2, 2), 8.0)
  np.testing.assert_allclose(got[0], [0, 8 * (0 + 1 + 1 + 2**0.5) / 4])


def test_principal_colours_follow_the_largest_directions():
  rng = np.random.default_rng(0)
  line = rng.normal(size=(3, 4, 4))
  tokens = line[..., None] * rng.normal(size=7) + 1e-3 * rng.normal(
    size=(3, 4, 4, 7)
  )
  red = representation.principal_colours(tokens)[..., 0].ravel()
  inner = (red > 0) & (red < 255)
  order = scipy.stats.spearmanr(red[inner], line.ravel()[inner])[0]
  assert abs(order) > 0.99


# Mutual information of attention.


def test_attention_that_is_the_same_for_all_tells_nothing():
  row = np.random.default_rng(0).dirichlet(np.ones(9))
  maps = np.broadcast_to(row, (2, 3, 9, 9))
  got = representation.mutual_information(maps)
  assert got.shape == (2, 3)
  np.testing.assert_allclose(got, 0, atol=1e-9)
  # Even where it is on one key, whose entropy is 0.
  one = np.broadcast_to(np.eye(9)[4], (9, 9))
  assert representation.mutual_information(one) == 0


def test_attention_to_a_key_of_its_own_tells_all():
  order = np.random.default_rng(0).permutation(9)
  got = representation.mutual_information(np.eye(9)[order])
  np.testing.assert_allclose(got, 1, rtol=1e-12)


@pytest.mark.parametrize("groups", [2, 3, 6])
def test_attention_within_groups(groups):
  """I = log groups, H(q) = H(k) = log tokens."""
  own = np.arange(12) % groups
  maps = (own[:, None] == own) * groups / 12
  want = np.log(groups) / np.log(12)
  np.testing.assert_allclose(representation.mutual_information(maps), want)


def test_mutual_information_is_the_divergence_from_independence():
  rng = np.random.default_rng(0)
  maps = rng.dirichlet(np.full(5, 0.4), size=(4, 7))  # 7 queries, 5 keys
  keys = maps.mean(1, keepdims=True)
  information = (maps * np.log(maps / keys)).sum((1, 2)) / 7
  whole = np.sqrt(np.log(7) * scipy.stats.entropy(keys[:, 0], axis=1))
  np.testing.assert_allclose(
    representation.mutual_information(maps.astype(np.float32)),
    information / whole,
    rtol=1e-5,
  )


def test_attention_among_patches_leaves_the_prefix_out():
  maps = np.random.default_rng(0).dirichlet(np.ones(6), size=(2, 6))
  got = representation.among_patches(maps, (2, 2))
  inner = maps[:, 2:, 2:]
  np.testing.assert_allclose(got, inner / inner.sum(-1, keepdims=True))


# Masked tokens.


def test_heterogeneity_of_equal_orthogonal_and_opposite_tokens():
  e = np.eye(4)
  visible = 3 * e[[0, 0]]
  for masked, want in (
    (7 * e[[0, 0, 0]], 0),
    (e[[1, 2, 3]], 1),
    (-e[[0]], 2),
    (e[[0, 1]], 0.5),
  ):
    got = representation.heterogeneity(masked, visible)
    np.testing.assert_allclose(got, want, atol=1e-12)
  batch = np.stack([e[[1, 2]], e[[0, 0]]]), np.stack([visible] * 2)
  np.testing.assert_allclose(representation.heterogeneity(*batch), [1, 0])


def test_entropy_of_no_preference_is_1_and_of_a_choice_near_0():
  rng = np.random.default_rng(0)
  masked = rng.normal(size=(2, 3, 4))
  equal = np.broadcast_to(rng.normal(size=4), (2, 5, 4))
  np.testing.assert_allclose(representation.row_entropy(masked, equal), 1)
  e = np.eye(6)
  found = representation.row_entropy(e[:2], e, temperature=0.01)
  np.testing.assert_allclose(found, 0, atol=1e-6)
  # One visible token: nothing to prefer.
  np.testing.assert_array_equal(
    representation.row_entropy(masked, masked[:, :1]), np.ones((2, 3))
  )


def test_entropy_of_one_match_among_orthogonal_tokens():
  """p = (e^(1/tau), 1, .., 1) / (e^(1/tau) + v - 1)."""
  v, tau = 5, 0.5
  p = np.array([np.exp(1 / tau), *[1.0] * (v - 1)])
  want = scipy.stats.entropy(p) / np.log(v)
  masked = 9 * np.eye(v)[:3]  # lengths do not matter
  got = representation.row_entropy(masked, np.eye(v), temperature=tau)
  np.testing.assert_allclose(got, [want] * 3)


def test_measures_of_masked_tokens_do_not_depend_on_order():
  rng = np.random.default_rng(0)
  masked, visible = rng.normal(size=(3, 4)), rng.normal(size=(6, 4))
  turn, other = rng.permutation(3), rng.permutation(6)
  np.testing.assert_allclose(
    representation.row_entropy(masked[turn], visible[other]),
    representation.row_entropy(masked, visible)[turn],
  )
  np.testing.assert_allclose(
    representation.heterogeneity(masked[turn], visible[other]),
    representation.heterogeneity(masked, visible),
  )


# Coding rate.


def test_rate_of_equal_and_of_orthogonal_tokens():
  heads, t, d = 3, 8, 4
  rng = np.random.default_rng(0)
  line = np.broadcast_to(rng.normal(size=(2, heads, 1, d)), (2, heads, t, d))
  line = line * np.arange(1, t + 1)[:, None]  # lengths do not matter
  want = heads * np.log(1 + d / 0.01) / 2  # Z'Z = t u u'
  np.testing.assert_allclose(representation.coding_rate(line), [want] * 2)
  axes = np.tile(np.eye(d), (heads, t // d, 1))  # Z'Z = (t / d) I
  want = heads * d * np.log(1 + 1 / 0.25) / 2
  np.testing.assert_allclose(representation.coding_rate(axes, 0.25), want)


def test_rate_is_that_of_the_gram_matrix_of_the_tokens():
  z = np.random.default_rng(0).normal(size=(2, 3, 7, 4))
  unit = z / np.linalg.norm(z, axis=-1, keepdims=True)
  gram = np.einsum("bhtd,bhsd->bhts", unit, unit)
  logs = np.linalg.slogdet(np.eye(7) + 4 / (7 * 0.01) * gram)[1]
  np.testing.assert_allclose(
    representation.coding_rate(z), logs.sum(1) / 2, rtol=1e-9
  )
