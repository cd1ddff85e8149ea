import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn import attention
from jmim.nn import hooks
from jmim.nn import sizes
from jmim.nn.nets import unet
from jmim.nn.nets import vit

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 4, 3)).astype(np.float32)
T = np.array([3.0, 700.0])
CONTEXT = RNG.normal(size=(2, 3, 6)).astype(np.float32)
NET = unet.UNet(
  width=8,
  multipliers=(1, 2),
  blocks=1,
  attend_at=(2,),
  heads=2,
  groups=4,
  transformer=1,
)
SELF, CROSS = (
  "middle_attention/self_0/attend",
  "middle_attention/cross_0/attend",
)


@pytest.fixture(scope="module")
def variables(fill):
  return fill(NET, X, T, None, CONTEXT)


def apply(variables, x=X):
  return NET.apply(variables, x, T, None, CONTEXT)


def test_what_is_not_asked_for_changes_neither_program_nor_names(
  variables, monkeypatch
):
  """Against the network as it was, with functions where names are now."""
  now = str(jax.make_jaxpr(apply)(variables))
  names = set(
    trees.named(
      jax.eval_shape(NET.init, jax.random.key(0), X, T, None, CONTEXT)
    )
  )

  class Plain:
    def __new__(cls, rt, name):
      del name
      return lambda *args, **kwargs: attention.attend(*args, rt=rt, **kwargs)

  monkeypatch.setattr(attention, "Attend", Plain)
  assert str(jax.make_jaxpr(apply)(variables)) == now
  before = jax.eval_shape(NET.init, jax.random.key(0), X, T, None, CONTEXT)
  assert set(trees.named(before)) == names
  assert not any("attend" in n.split("/") for n in names)


def test_q_k_v_and_output_of_every_attention_have_a_name(variables):
  with hooks.seen("*/attend") as calls:
    found, taps = NET.apply(variables, X, T, None, CONTEXT, method="tapped")
  assert len(calls) == 2 * len(taps.attention)
  for name, tokens in taps.attention.items():
    (call,) = calls[f"{name}/attend"]
    q, k, v = call.args
    y = attention.attend(q, k, v)
    np.testing.assert_array_equal(call.output, y)
    flat = jnp.moveaxis(y, 1, 2).reshape(tokens.shape)
    above, part = name.split("/")
    proj = variables["params"][above][part]["proj"]
    made = flat @ proj["kernel"] + proj["bias"]
    np.testing.assert_allclose(made, tokens, atol=1e-5)
  assert calls[CROSS][0].args[1].shape == (2, 2, 3, 8)
  np.testing.assert_array_equal(found, apply(variables))


def test_an_output_or_arguments_are_exchanged(variables):
  plain = apply(variables)

  @jax.jit
  def moved(variables, by):
    with hooks.edited({"middle_1": hooks.after(lambda h: h + by)}):
      return apply(variables)

  np.testing.assert_allclose(moved(variables, 0.0), plain, atol=1e-6)
  assert np.abs(moved(variables, 1.0) - plain).max() > 1e-3
  # A bias that is the same for all keys, and values of nothing.
  told = lambda *args, **more: (args, more | {"bias": jnp.ones(())})
  with hooks.edited({SELF: hooks.before(told)}):
    np.testing.assert_allclose(apply(variables), plain, atol=1e-5)
  silent = lambda q, k, v, **more: ((q, k, 0 * v), more)
  with hooks.edited({SELF: hooks.before(silent)}):
    _, taps = NET.apply(variables, X, T, None, CONTEXT, method="tapped")
  bias = variables["params"]["middle_attention"]["self_0"]["proj"]["bias"]
  tokens = taps.attention["middle_attention/self_0"]
  np.testing.assert_allclose(tokens, tokens * 0 + bias, atol=1e-6)


def test_passes_are_read_in_their_order(variables):
  with hooks.seen("middle_1") as calls:
    apply(variables)
    apply(variables, -X)
  first, second = (c.output for c in calls["middle_1"])
  assert np.abs(first - second).max() > 1e-3


def test_a_name_that_nothing_has_is_a_mistake(variables):
  with pytest.raises(ValueError, match="middle_7.*middle_1"):
    with hooks.edited({"middle_7": hooks.after(lambda h: h)}):
      apply(variables)
  step = jax.jit(apply)
  step(variables)
  with pytest.raises(ValueError, match="no module at all"):
    with hooks.seen("middle_1"):
      step(variables)  # traced before


def net(**options):
  return vit.ViT(
    size=sizes.Size(width=8, depth=3, heads=2, mlp_ratio=1.0),
    patch=2,
    grid=(2, 2),
    rt=runtime.Runtime(**options),
  )


def test_layers_of_a_stack_have_numbers_where_they_are_unrolled(fill):
  model = net()
  variables = fill(model, X)
  plain = model.apply(variables, X)["latent"]
  with hooks.seen("*/attend", "*/layers_1") as calls:
    model.apply(variables, X)
  attends = [n for n in calls if n.endswith("attend")]
  assert [n.split("/")[1] for n in attends] == [f"layers_{i}" for i in range(3)]
  skip = {"*/layers_1": lambda call: (call.args[0], {})}
  with hooks.edited(skip):
    assert np.abs(model.apply(variables, X)["latent"] - plain).max() > 1e-4
  scanned = net(scan=True)
  with pytest.raises(ValueError, match="are scanned"):
    with hooks.seen("*/layers_1"):
      scanned.apply(variables, X)
