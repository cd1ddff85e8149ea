import dataclasses
import math

import jax
import numpy as np
import optax
import pytest
import toys

from jmim.core import field
from jmim.core import method as methods
from jmim.core import runtime
from jmim.methods.diffusion import dit_moe
from jmim.methods.parts import flow
from jmim.parallel import sharding

B = 8
TINY = field.replace(
  dit_moe.DiTMoE.tiny(),
  noise=flow.Flow(time="noise", spare=True),
  dims={"depth": 1},
)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  image = rng.normal(size=(B, 8, 8, 3)).astype(np.float32)
  return {"image": image, "label": np.arange(B) % 3}


@pytest.fixture(scope="module")
def draws(batch):
  return TINY.drawn(jax.random.key(5), batch)


@pytest.fixture(scope="module")
def params(fill, batch):
  return fill(TINY, batch, seed=2, scale=0.2)[0]


def loss_and_grad(method, params, batch, draws):
  def loss(p):
    return method.loss(methods.Weights(p), batch, draws, 0)

  return jax.jit(jax.value_and_grad(loss, has_aux=True))(params)


def named(tree, part):
  return tree["main"]["blocks"]["layers"]["ffn"][part]


def test_the_balance_loss_is_in_the_gradient_and_not_in_the_loss(
  params, batch, draws
):
  none, some = (
    loss_and_grad(dataclasses.replace(TINY, balance=a), params, batch, draws)
    for a in (0.0, 0.5)
  )
  assert none[0][0] == some[0][0]
  assert some[0][1]["balance"] > 0 == none[0][1]["balance"]
  # The last layer's experts act through their outputs alone.
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6),
    named(none[1], "experts"),
    named(some[1], "experts"),
  )
  change = jax.tree.map(
    lambda a, b: np.abs(a - b).max(),
    named(none[1], "router"),
    named(some[1], "router"),
  )
  assert change["kernel"] > 1e-4


def test_latents_are_trained_like_images(params):
  method = field.replace(TINY, first_stage={"variant": "kl-f4"})
  rng = np.random.default_rng(3)
  moments = rng.normal(size=(B, 8, 8, 6)).astype(np.float32)
  stored = {"moments": moments, "label": np.arange(B) % 3}
  draws = method.drawn(jax.random.key(6), stored)
  weights = methods.Weights(params)
  z = method.first_stage.encode(weights, stored, draws)
  as_image = {**stored, "image": z}
  (found, _), grad = loss_and_grad(method, params, stored, draws)
  (want, _), like = loss_and_grad(TINY, params, as_image, draws)
  np.testing.assert_allclose(found, want, rtol=1e-6)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6),
    grad,
    like,
  )
  outputs = method.predict()
  assert "sample" not in outputs  # no way back to images without its weights
  for name in ("errors", "experts", "features"):
    jax.eval_shape(outputs[name], weights, stored, jax.random.key(0))


def test_experts_on_eight_devices_equal_one_device(params, batch, draws):
  def rt(data, expert, how):
    grid = np.asarray(jax.devices()[: data * expert])
    mesh = jax.sharding.Mesh(
      grid.reshape(data, 1, expert), ("data", "fsdp", "expert")
    )
    return runtime.Runtime(
      mesh=mesh, batch_axes=("data", "fsdp", "expert"), experts=how
    )

  one, many = (
    loss_and_grad(dataclasses.replace(TINY, rt=how), params, batch, draws)
    for how in (rt(1, 1, "dense"), rt(2, 4, "ragged"))
  )
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
    jax.device_get(one),
    jax.device_get(many),
  )


@pytest.mark.parametrize("weight, falls", [(1.0, True), (0.0, False)])
def test_the_balance_loss_and_nothing_else_evens_out_the_experts(
  batch, draws, weight, falls
):
  """From a router that sends most tokens to one expert."""
  method = dataclasses.replace(TINY, balance=weight, chosen=1)
  params, _ = jax.jit(method.init)(jax.random.key(1), batch)
  layers = params["main"]["blocks"]["layers"]
  layers["modulation"]["bias"] += 1.0  # every token has a mean now
  layers["ffn"]["router"]["kernel"] = (
    layers["ffn"]["router"]["kernel"].at[..., 0].add(0.15)
  )
  optimizer = optax.adam(3e-3)

  @jax.jit
  def step(state, _):
    params, moments = state
    (_, aux), grads = jax.value_and_grad(
      lambda p: method.loss(methods.Weights(p), batch, draws, 0), has_aux=True
    )(params)
    updates, moments = optimizer.update(grads, moments)
    return (optax.apply_updates(params, updates), moments), aux["load_max"]

  state = params, optimizer.init(params)
  loads = np.asarray(jax.lax.scan(step, state, None, length=60)[1])
  assert loads[0] > 0.9
  assert (loads[-5:].mean() < 0.5) == falls


SIZES = [
  ("S/2", 8, False, 199e6, 72e6),
  ("S/2", 16, False, 369e6, 72e6),
  ("B/2", 8, False, 796e6, 286e6),
  ("XL/2", 8, True, 4.17e9, 1.49e9),
  ("G/2", 16, True, 16.5e9, 3.18e9),
]


@pytest.mark.parametrize("variant, experts, norm, total, active", SIZES)
def test_parameters_of_the_published_sizes(
  variant, experts, norm, total, active
):
  method = field.replace(
    dit_moe.DiTMoE(experts=experts, qk_norm=norm, size=32, channels=4),
    dims={"variant": variant},
    labels={"classes": 1000},
  )
  batch = {"image": jax.ShapeDtypeStruct((1, 32, 32, 4), np.float32)}
  params, _ = jax.eval_shape(method.init, jax.random.key(0), batch)
  count = lambda tree: sum(math.prod(x.shape) for x in jax.tree.leaves(tree))
  found = count(params)
  idle = count(named(params, "experts")) * (1 - method.chosen / experts)
  np.testing.assert_allclose(found, total, rtol=0.005)
  np.testing.assert_allclose(found - idle, active, rtol=0.01)


def test_what_cannot_be_built_is_refused():
  for change, said in (
    ({"chosen": 5}, "chosen 5 of 4"),
    ({"sampling": {"sampler": "ddpm"}}, "'ddpm'"),
  ):
    with pytest.raises(ValueError, match=said):
      field.replace(TINY, **change).inputs()


def test_model_flops_are_those_of_the_tokens_on_any_mesh(batch):
  """Not of the room that a device keeps for all tokens of all others."""
  found = {}
  for expert in (1, 4):
    mesh = sharding.make_mesh({"data": -1, "expert": expert}, jax.devices())
    for experts in ("ragged", "dense"):
      rt = runtime.Runtime(
        mesh=mesh, batch_axes=sharding.BATCH_AXES, experts=experts
      )
      step = toys.make_step(dataclasses.replace(TINY, rt=rt), batch)
      state = jax.eval_shape(step.init, batch, {})
      found[expert, experts] = step.work(state, {}, batch).forward
  assert found[1, "ragged"] == found[4, "ragged"]
  # All experts on all tokens instead of k of E, and what mixes them.
  d, tokens = TINY.dims.size.width, B * math.prod(TINY.net.grid)
  one = 3 * 2 * tokens * d * int(TINY.dims.size.mlp_ratio * d)
  mix = 2 * tokens * TINY.chosen * (TINY.experts - d)
  more = found[1, "dense"] - found[1, "ragged"]
  assert more == (TINY.experts - TINY.chosen) * one + mix
