import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.methods.parts import host as host_of
from jmim.methods.parts import joint_network

LM = dict(dims=dict(width=16, depth=2, heads=4), hidden=24, theta=50.0)
PART = field.replace(
  joint_network.JointNetwork(),
  lm=LM,
  vision=dict(width=8, depth=1, heads=2),
  vision_mlp_ratio=3.0,
)


def test_the_runtime_is_handed_on():
  rt = runtime.Runtime(scan=True)
  part = field.replace(PART, rt=rt)
  assert part.lm.rt is rt and part.sight(4).rt is rt


def test_the_vit_ends_in_the_width_of_the_model():
  net = PART.sight(5)
  assert (net.length, net.out) == (5, 16)
  assert (net.size.width, net.size.mlp_ratio) == (8, 3.0)


def test_in_loops_layers_lie_apart_and_products_are_folded():
  part = field.replace(PART, lm=dict(lora=dict(rank=2)))
  own = jax.eval_shape(lambda k: part.init(k, (5, 3), 7), jax.random.key(0))
  host = jax.eval_shape(lambda k: part.lm.fresh(k, 7), jax.random.key(0))
  fill = lambda s: np.zeros(s.shape, np.float32)
  weights = method.Weights(
    {"main": jax.tree.map(fill, own)}, {}, {"host": jax.tree.map(fill, host)}
  )
  layers = lambda net: net.language["decoder"]["blocks"]["layers"]
  once, often = (part.bound(weights, 5, 7, often=o) for o in (False, True))
  assert "lora_up" in layers(once)["attn"]["q"]
  assert isinstance(layers(often), tuple) and len(layers(often)) == 2
  assert set(layers(often)[0]["attn"]["q"]) == {"kernel", "bias"}


@pytest.mark.parametrize(
  ("fields", "text"),
  [
    (dict(vision=dict(width=9)), "network.vision.width 9"),
    (dict(lm=dict(dims=dict(width=18))), "network.lm.dims.width 18"),
  ],
)
def test_mistakes(fields, text):
  with pytest.raises(ValueError, match=text):
    field.replace(PART, **fields).check(host_of.Host())
