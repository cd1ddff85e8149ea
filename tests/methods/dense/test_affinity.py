import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import method
from jmim.methods.dense import affinity

TINY = affinity.Affinity.tiny()
RNG = np.random.default_rng(0)
SIDE = TINY.size
X = np.mgrid[:SIDE, :SIDE][1]


def test_a_place_has_the_label_of_most_of_its_pixels():
  seeds = jnp.asarray(RNG.integers(0, 3, (2, SIDE, SIDE)))
  found = np.asarray(TINY.labels(seeds))
  cells = np.asarray(seeds).reshape(2, 4, 4, 4, 4).swapaxes(2, 3)
  cells = cells.reshape(2, 4, 4, 16)
  for value in (0, 1):
    most = (cells == value).sum(-1) > 8
    np.testing.assert_array_equal(found == value, most)
  assert (found == TINY.ignore).any()


def test_it_learns_where_things_end():
  """Halves of two colours, hardly any noise: affinity falls at the edge."""
  seeds = jnp.broadcast_to(jnp.asarray(X >= SIDE // 2, int), (2, SIDE, SIDE))
  image = jnp.where(seeds[..., None] == 1, 0.5, -0.5) * jnp.ones(3)
  image = image + 0.05 * jnp.asarray(RNG.normal(size=image.shape), "f4")
  batch = {"image": image, "seeds": seeds}
  params, _ = TINY.init(jax.random.key(0), batch)
  optimizer = optax.adam(3e-3)

  def loss(params):
    return TINY.loss(method.Weights(params), batch, {}, 0)[0]

  @jax.jit
  def step(params, state):
    value, grads = jax.value_and_grad(loss)(params)
    updates, state = optimizer.update(grads, state)
    return optax.apply_updates(params, updates), state, value

  state, values = optimizer.init(params), []
  for _ in range(60):
    params, state, value = step(params, state)
    values.append(float(value))
  assert values[-1] < 0.3 * values[0]
  a = np.asarray(
    TINY.predict()["affinity"](method.Weights(params), batch, None)
  )
  a = a[0].reshape(4, 4, 4, 4)
  assert a[1, 0, 1, 1] > 0.8 and a[1, 2, 1, 3] > 0.8 and a[1, 1, 1, 2] < 0.5


def test_heads_learn_faster_and_every_kind_of_network_fits():
  (group,) = TINY.groups()
  assert group.lr == 10 and group.decay == 1
  vit = dataclasses.replace(
    TINY,
    net=field.replace(
      affinity.dense_features.Plain(),
      dims=dict(variant="Ti/4", width=16, depth=2, heads=2),
    ),
  )
  weights = toydiffusion.fresh(vit)
  out = jax.eval_shape(
    vit.predict()["affinity"], weights, {"image": jnp.zeros((2, 16, 16, 3))}, 0
  )
  assert out.shape == (2, 16, 16)


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(stride=5), "stride=5"),
    (dict(widths=(1, 2, 3)), "network of 2 maps"),
    (dict(widths=()), "widths"),
    (dict(classes=3), "ignore=2"),
  ],
)
def test_fields_that_do_not_go_together(fields, said):
  with pytest.raises(ValueError, match=said):
    dataclasses.replace(TINY, **fields).inputs()
