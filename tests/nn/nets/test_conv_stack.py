"""Stacks of convolutions: what is between them, and enlargement before."""

import jax
import numpy as np
import pytest

from jmim.nn import resize
from jmim.nn.nets import conv_stack

SMALL = conv_stack.Dims(layers=3, width=4)


def test_a_stack_that_says_nothing_gives_the_image(normal):
  net, x = SMALL.net(3, times=2), normal(2, 4, 6, 4)
  shapes = jax.eval_shape(net.init, jax.random.key(0), x)
  zeros = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)
  made = net.apply(zeros, x)
  # Bicubic as torch has it; of the mask beside nothing is added.
  expected = resize.images(x, (8, 12))[..., :3]
  np.testing.assert_allclose(made, expected, atol=1e-6)


def test_srcnn_is_three_convolutions(normal, fill):
  dims = conv_stack.SRCNN(widths=(4, 2), sides=(3, 1, 5))
  dims.check(8)
  net, x = dims.net(1), normal(1, 6, 6, 1)
  params = fill(net, x)["params"]
  y = x[0].astype(np.float64)
  for i, side in enumerate(dims.sides):
    kernel, r = params[f"conv{i}"]["kernel"], side // 2
    wide = np.pad(np.maximum(y, 0) if i else y, ((r, r), (r, r), (0, 0)))
    y = params[f"conv{i}"]["bias"] + sum(
      wide[a : a + 6, b : b + 6] @ kernel[a, b]
      for a in range(side)
      for b in range(side)
    )
  made = net.apply({"params": params}, x)
  np.testing.assert_allclose(made[0], y, atol=1e-4)


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(sides=(9, 5)), "one side more"),
    (dict(sides=(9, 2, 5)), "odd"),
  ],
)
def test_kernels_that_cannot_be(fields, said):
  with pytest.raises(ValueError, match=said):
    conv_stack.SRCNN(**fields).check(16)
