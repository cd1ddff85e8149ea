import dataclasses

import jax
import numpy as np
import pytest

from jmim.nn.nets import code_encoder

DIMS = code_encoder.Dims(widths=(4, 8), heads=2, norm_groups=2)


def test_published_sizes_have_their_parameters():
  """1,487,104 at 64 px, as the authors' file counts them."""
  net = code_encoder.Dims().net(width=512)
  shapes = jax.eval_shape(
    net.init, jax.random.key(0), np.zeros((1, 64, 64, 3), np.float32)
  )
  assert sum(x.size for x in jax.tree.leaves(shapes)) == 1_487_104
  assert shapes["params"]["out"]["kernel"].shape == (2048, 512)


def test_all_pixels_reach_the_code(fill, normal):
  net, x = DIMS.net(width=5), normal(2, 8, 8, 3)
  variables = fill(net, x)
  grad = jax.grad(lambda x: (net.apply(variables, x) ** 2).sum())(x)
  assert (np.abs(grad) > 0).all()


def test_attention_is_where_it_is_asked_for(normal):
  names = lambda **f: set(
    jax.eval_shape(
      dataclasses.replace(DIMS, **f).net(width=5).init,
      jax.random.key(0),
      normal(1, 8, 8, 3),
    )["params"]
  )
  assert "attention" in names() and "attention" not in names(attend=0)


@pytest.mark.parametrize(
  "fields, side, seen",
  [
    ({}, 6, "halved 2 times"),
    (dict(widths=()), 8, "halved 0 times"),
    (dict(attend=3), 8, "attend=3 of 2"),
    (dict(norm_groups=3), 8, "3 norm_groups"),
    (dict(heads=3), 8, "by 3 heads"),
  ],
)
def test_what_cannot_be_built_is_refused(fields, side, seen):
  with pytest.raises(ValueError, match=seen):
    dataclasses.replace(DIMS, **fields).check(side)
