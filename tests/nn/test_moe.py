import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.cost import flops
from jmim.nn import moe
from jmim.parallel import sharding

E, K, D, H = 4, 2, 6, 10
RAGGED = runtime.Runtime(experts="ragged")


def layer(**more):
  given = {"experts": E, "chosen": K, "hidden": H, "shared": 5, **more}
  return moe.MoE(**given)


def silu(x):
  return x / (1 + np.exp(-x))


def swiglu(x, p):
  return (silu(x @ p["gate"]) * (x @ p["up"])) @ p["down"]


def by_hand(variables, x):
  """Token by token, in float64."""
  p = jax.tree.map(lambda a: a.astype(np.float64), variables["params"])
  experts = {n: w["kernel"] for n, w in p["experts"].items()}
  shared = {n: w["kernel"] for n, w in p["shared"].items()}
  y = np.zeros(x.shape)
  for at in np.ndindex(x.shape[:2]):
    s = np.exp(x[at].astype(np.float64) @ p["router"]["kernel"])
    s /= s.sum()
    for e in np.argsort(-s)[:K]:
      y[at] += s[e] * swiglu(x[at], {n: w[e] for n, w in experts.items()})
    y[at] += swiglu(x[at], shared)
  return y


@pytest.fixture(scope="module")
def given(fill, normal):
  x = normal(8, 5, D)
  return fill(layer(), x, scale=0.5), x


@pytest.mark.parametrize(
  "how", [{}, {"rt": RAGGED}, {"capacity": float(E)}], ids=str
)
def test_equals_the_sum_over_experts_token_by_token(given, how):
  variables, x = given
  module = layer(**how)
  y, found = jax.jit(lambda v, x: module.apply(v, x, ("dropped",)))(
    variables, x
  )
  np.testing.assert_allclose(y, by_hand(variables, x), atol=2e-6)
  assert found["dropped"] == 0


def test_both_dispatches_have_the_same_gradient(given):
  variables, x = given

  def grad(rt):
    def loss(v, x):
      y, found = layer(rt=rt).apply(v, x, ("balance",))
      return (y**2).sum() + found["balance"]

    return jax.jit(jax.grad(loss, (0, 1)))(variables, x)

  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    grad(runtime.Runtime()),
    grad(RAGGED),
  )


def mesh_runtime(data, expert, batch_axes):
  grid = np.asarray(jax.devices()).reshape(data, 1, expert)
  mesh = jax.sharding.Mesh(grid, ("data", "fsdp", "expert"))
  return runtime.Runtime(experts="ragged", mesh=mesh, batch_axes=batch_axes)


def placed(rt, variables, x):
  """Experts over the expert axis, the batch over its axes."""
  put = lambda a, *spec: jax.device_put(
    a, jax.sharding.NamedSharding(rt.mesh, moe.P(*spec))
  )
  params = dict(variables["params"])
  params["experts"] = jax.tree.map(
    lambda w: put(w, "expert"), params["experts"]
  )
  return {"params": params}, put(x, rt.batch_axes)


@pytest.mark.parametrize(
  "more", [{}, {"capacity": 0.75}], ids=["dropless", "capacity"]
)
@pytest.mark.parametrize(
  "batch_axes", [("data", "fsdp", "expert"), ("data", "fsdp")], ids=str
)
def test_four_ways_of_experts_on_eight_devices_equal_one_device(
  given, batch_axes, more
):
  variables, x = given

  def run(rt, variables, x):
    def loss(v, x):
      y, found = layer(rt=rt, **more).apply(v, x, ("balance", "load"))
      return (y**2).sum() + found["balance"], (y, found["load"])

    fn = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
    return fn, fn(variables, x)

  _, alone = run(runtime.Runtime(), variables, x)
  rt = mesh_runtime(2, 4, batch_axes)
  where = placed(rt, variables, x)
  fn, many = run(rt, *where)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    many,
    alone,
  )
  if not more:  # tokens really travel
    assert "all-to-all" in fn.lower(*where).compile().as_text()


def one_sided(variables, expert=2):
  """All tokens of positive sum to one expert."""
  kernel = np.zeros((D, E), np.float32)
  kernel[:, expert] = 20.0
  params = {**variables["params"], "router": {"kernel": kernel}}
  return {"params": params}


@pytest.mark.parametrize("devices", [1, 8])
def test_all_tokens_to_one_expert_are_all_computed_and_reported(given, devices):
  variables, x = given
  x, variables = np.abs(x) + 0.1, one_sided(variables)
  rt = RAGGED if devices == 1 else mesh_runtime(2, 4, ("data", "expert"))
  module = layer(chosen=1, rt=rt)
  where = (variables, x) if devices == 1 else placed(rt, variables, x)
  taps = ("load", "entropy", "balance")
  y, found = jax.jit(lambda v, x: module.apply(v, x, taps))(*where)
  p = variables["params"]
  pick = {n: w["kernel"][2] for n, w in p["experts"].items()}
  shared = {n: w["kernel"] for n, w in p["shared"].items()}
  np.testing.assert_allclose(y, swiglu(x, pick) + swiglu(x, shared), atol=1e-5)
  np.testing.assert_array_equal(found["load"], [0, 0, 1, 0])
  np.testing.assert_allclose(found["balance"], E, rtol=1e-5)
  assert found["entropy"] < 1e-3


def test_a_capacity_drops_the_last_of_a_queue_and_says_so(given):
  variables, x = given
  x, variables = np.abs(x) + 0.1, one_sided(variables)
  module = layer(chosen=1, capacity=1.0)
  y, found = jax.jit(lambda v, x: module.apply(v, x, ("dropped",)))(
    variables, x
  )
  full, _ = layer(chosen=1).apply(variables, x)
  p = variables["params"]["shared"]
  only = swiglu(x, {n: w["kernel"] for n, w in p.items()})
  room = math.ceil(x.shape[1] / E)
  np.testing.assert_allclose(y[:, :room], full[:, :room], atol=1e-5)
  np.testing.assert_allclose(y[:, room:], only[:, room:], atol=1e-5)
  np.testing.assert_allclose(found["dropped"], 1 - room / x.shape[1])


def test_first_choices_come_before_second_ones():
  chosen = jnp.array([[[0, 1], [1, 0], [0, 1]]])
  np.testing.assert_array_equal(
    moe.queue(chosen, 2)[0], [[0, 1], [0, 2], [1, 2]]
  )


def test_permuted_experts_with_their_router_change_nothing(given):
  variables, x = given
  order = np.array([2, 0, 3, 1])
  params = dict(variables["params"])
  params["router"] = {"kernel": params["router"]["kernel"][:, order]}
  params["experts"] = jax.tree.map(lambda w: w[order], params["experts"])
  apply = jax.jit(lambda v, x: layer(rt=RAGGED).apply(v, x)[0])
  np.testing.assert_allclose(
    apply({"params": params}, x), apply(variables, x), atol=1e-6
  )


def test_one_expert_with_score_1_is_a_plain_swiglu(fill, normal):
  module, x = layer(experts=1, chosen=1, shared=0), normal(2, 3, D)
  variables = fill(module, x)
  pick = variables["params"]["experts"]
  wanted = swiglu(x, {n: w["kernel"][0] for n, w in pick.items()})
  np.testing.assert_allclose(module.apply(variables, x)[0], wanted, atol=1e-6)


def test_router_starts_as_kaiming_uniform():
  kernel = layer().init(jax.random.key(0), jnp.zeros((1, 2, 400)))
  router = np.asarray(kernel["params"]["router"]["kernel"])
  bound = 1 / math.sqrt(400)
  assert 0.98 * bound < np.abs(router).max() <= bound
  np.testing.assert_allclose(router.std(), bound / math.sqrt(3), rtol=0.05)


def test_flops_of_sorted_dispatch_are_those_of_the_chosen_experts(given):
  variables, x = given
  module = layer(rt=RAGGED, shared=0)
  params = {k: v for k, v in variables["params"].items() if k != "shared"}
  tokens = math.prod(x.shape[:2])
  found = flops.count(lambda v, x: module.apply(v, x)[0], {"params": params}, x)
  # The weighted sum is a product too.
  assert found == 2 * tokens * (D * E + K * 3 * D * H + K * D)


def test_a_method_puts_experts_on_their_axis():
  from jmim.methods.diffusion import dit_moe  # noqa: PLC0415

  rt = mesh_runtime(2, 4, ("data", "fsdp"))
  method = dataclasses.replace(dit_moe.DiTMoE.tiny(), rt=rt)
  layout = sharding.Layout(rt.mesh, axes=method.axes())
  name = "params/main/blocks/layers/ffn/experts/up/kernel"
  kernel = jax.ShapeDtypeStruct((2, 4, 32, 128), np.float32)
  spec, missed = layout.place(name, kernel)
  assert spec[1] == "expert" and not missed
