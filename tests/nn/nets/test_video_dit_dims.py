import dataclasses

import jax
import jax.numpy as jnp
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn.nets import video_dit
from jmim.nn.nets import video_dit_dims

DIMS = video_dit_dims.Dims()


def count(dims, channels=64):
  """Parameters of blocks, and of all."""
  told = video_dit.Told(
    text=jnp.zeros((1, 2, 6144)),
    clip=jnp.zeros((1, 2, 1024)),
    valid=jnp.zeros(1, jnp.int32),
  )
  net = dims.net(channels, "none", runtime.Runtime())
  like = jax.eval_shape(
    net.init,
    jax.random.key(0),
    jnp.zeros((1, 1, 2, 2, channels)),
    jnp.zeros(1),
    told,
  )
  sizes = {name: x.size for name, x in trees.named(like["params"]).items()}
  blocks = sum(n for name, n in sizes.items() if "/layers/" in name)
  return blocks, sum(sizes.values())


def test_published_sizes():
  """16 w^2 per block: four maps each of both attentions, an MLP of 4 w."""
  large, small = DIMS, dataclasses.replace(DIMS, variant="4B/1")
  assert (large.size.width, large.size.depth, large.widths) == (
    6144,
    48,
    (64, 32, 32),
  )
  blocks, every = count(large)
  assert blocks == 48 * (16 * 6144**2 + 10 * 6144 + 4 * 128)
  assert 29e9 < every < 30e9
  assert 4.8e9 < count(small)[1] < 5.2e9


def test_axes_are_half_and_quarters_unless_they_are_given():
  small = dataclasses.replace(DIMS, variant="Ti/2", width=40, heads=2)
  assert (small.patch, small.widths) == (2, (10, 5, 5))
  other = dataclasses.replace(small, axes=(4, 6, 10))
  other.check(8, 16)
  assert other.net(3, "none", runtime.Runtime()).axes == (4, 6, 10)


@pytest.mark.parametrize(
  "changes, message",
  [
    (dict(axes=(8, 8)), "three even widths"),
    (dict(axes=(16, 12, 2)), "sum is that of a head, 32"),
    (dict(axes=(17, 9, 6)), "three even widths"),
    (dict(width=40, heads=2), r"axes \(10, 5, 5\)"),
    (dict(heads=5), "width 96 does not divide by 5 heads"),
    (dict(variant="Ti/3"), "side 8 does not divide by patch 3"),
    (dict(variant="70B/1"), "30B, 4B, Ti"),
  ],
)
def test_mistakes(changes, message):
  dims = dataclasses.replace(DIMS, **dict(variant="Ti/2") | changes)
  with pytest.raises(ValueError, match=message):
    dims.check(8, 6)


@pytest.mark.parametrize(
  ("section", "heads", "axes"),
  [
    (dict(variant="4B/1"), 24, (64, 32, 32)),
    (dict(variant="4B/1", width=0, heads=12), 12, (128, 64, 64)),
    (dict(variant="4B/1", axes=[8, 2, 6]), 24, (8, 2, 6)),
    (dict(width=32, heads=2), 2, (8, 4, 4)),
    # Of other methods, or of older runs: what it does not tell is not known.
    (dict(variant="S/2", width=32), None, None),
    (dict(variant="S/2", heads=4), 4, None),
    (dict(width=32), None, None),
    (dict(variant=3), None, None),
    ("4B/1", None, None),
    (None, None, None),
  ],
)
def test_what_the_config_of_any_run_tells(section, heads, axes):
  wanted = {} if heads is None else {"dims.heads": heads}
  wanted |= {} if axes is None else {"dims.axes": axes}
  assert video_dit_dims.implied({"dims": section}) == wanted
  assert video_dit_dims.implied({}) == {}
