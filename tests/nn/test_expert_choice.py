import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special

from jmim.core import runtime
from jmim.nn import expert_choice
from jmim.parallel import sharding

B, T, E, D, H = 8, 9, 4, 6, 10


def layer(**more):
  given = {"experts": E, "capacity": 2.0, "hidden": H, **more}
  return expert_choice.ExpertChoice(**given)


def gelu(x):
  return x * 0.5 * (1 + scipy.special.erf(x / 2**0.5))


def by_hand(variables, x, count):
  """Expert by expert and token by token, in float64."""
  p = jax.tree.map(lambda a: a.astype(np.float64), variables["params"])
  up, down = (p["experts"][n]["kernel"] for n in ("up", "down"))
  y, x = np.zeros(x.shape), x.astype(np.float64)
  for b in range(len(x)):
    s = np.exp(x[b] @ p["router"]["kernel"])
    s /= s.sum(1, keepdims=True)
    for e in range(E):
      for t in np.argsort(-s[:, e])[:count]:
        y[b, t] += s[t, e] * (gelu(x[b, t] @ up[e]) @ down[e])
  return y


@pytest.fixture(scope="module")
def given(fill, normal):
  x = normal(B, T, D)
  return fill(layer(), x, scale=0.5), x


def test_equals_the_sum_expert_by_expert(given):
  variables, x = given
  y, _ = jax.jit(layer().apply)(variables, x)
  np.testing.assert_allclose(y, by_hand(variables, x, 4), atol=2e-6)


@pytest.mark.parametrize(
  "tokens, capacity, count",
  [(9, 2.0, 4), (9, 1.0, 2), (4, 2.0, 2), (10, 1.3, 3), (3, 1.3, 0)],
)
def test_places_are_an_integer_part_of_what_is_present(tokens, capacity, count):
  assert expert_choice.places(tokens, E, capacity) == count


def test_an_expert_takes_all_tokens_at_most():
  assert expert_choice.places(4, E, 4.0) == 4
  with pytest.raises(ValueError, match="capacity 5"):
    expert_choice.places(4, E, 5.0)


def test_experts_without_a_token_give_nothing(given):
  """As topk of 0 in the authors' code."""
  variables, x = given
  y, found = layer(capacity=0.1).apply(variables, x, ("chosen", "taken"))
  assert found["chosen"].shape == (B, E, 0)
  assert not np.asarray(found["taken"]).any() and not np.asarray(y).any()


def test_every_expert_takes_exactly_its_places(given):
  variables, x = given
  taps = ("chosen", "weights", "taken", "scores")
  for tokens, count in ((9, 4), (4, 2)):
    _, found = layer().apply(variables, x[:, :tokens], taps)
    assert found["chosen"].shape == (B, E, count)
    sets = np.sort(found["chosen"], -1)
    assert (np.diff(sets, axis=-1) > 0).all()  # each token once
    assert (found["taken"].sum(1) == E * count).all()
    # Nobody who was left out was liked better.
    for b in range(B):
      for e in range(E):
        s = np.asarray(found["scores"][b, :, e])
        left = np.delete(s, found["chosen"][b, e])
        assert left.max() <= found["weights"][b, e].min()


def test_tokens_compete_within_their_example_only(given):
  variables, x = given
  whole, _ = layer().apply(variables, x)
  alone, _ = layer().apply(variables, x[2:3])
  np.testing.assert_allclose(whole[2:3], alone, atol=1e-6)
  # In any order, each with its own result.
  turned, _ = layer().apply(variables, x[:, ::-1])
  np.testing.assert_allclose(turned[:, ::-1], whole, atol=1e-6)


def test_a_token_that_nobody_takes_is_zero(given):
  variables, x = given
  y, found = layer(capacity=0.5).apply(variables, x, ("taken",))
  left = np.asarray(found["taken"]) == 0
  assert left.any() and not np.asarray(y)[left].any()
  assert np.abs(np.asarray(y)[~left]).min() > 0


def test_the_router_learns_through_the_weights(given):
  variables, x = given
  grad = jax.jit(jax.grad(lambda v: (layer().apply(v, x)[0] ** 2).sum()))
  found = grad(variables)["params"]
  assert all(np.abs(g).max() > 1e-3 for g in jax.tree.leaves(found))


def test_experts_on_eight_devices_equal_one_device(given):
  variables, x = given
  grid = np.asarray(jax.devices()).reshape(2, 1, 4)
  mesh = jax.sharding.Mesh(grid, ("data", "fsdp", "expert"))
  rt = runtime.Runtime(mesh=mesh, batch_axes=("data", "fsdp", "expert"))
  module = layer(rt=rt)
  split = jax.tree.map(
    jax.device_put, variables, sharding.Layout(mesh).tree(variables)
  )
  kernel = split["params"]["experts"]["up"]["kernel"]
  assert kernel.sharding.spec[0] == "expert"
  y, _ = jax.jit(module.apply)(split, jnp.asarray(x))
  np.testing.assert_allclose(y, layer().apply(variables, x)[0], atol=1e-5)
