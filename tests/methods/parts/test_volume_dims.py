import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.methods.parts import volume_dims

DIMS = volume_dims.VolumeDims(widths=(4, 6), depths=(1, 2), hidden=8)


def test_the_network_has_what_the_section_says():
  rt = runtime.Runtime(scan=True)
  part = volume_dims.VolumeDims(
    widths=(4, 6),
    depths=(1, 2),
    hidden=8,
    slices=2,
    states=3,
    side=5,
    expand=1,
    rank=7,
    kernel=5,
    rt=rt,
  )
  net = part.network(3)
  size = net.size
  assert (size.widths, size.depths, size.slices) == ((4, 6), (1, 2), 2)
  assert (size.states, size.side, size.expand, size.rank) == (3, 5, 1, 7)
  assert (net.hidden, net.out, net.kernel, net.rt) == (8, 3, 5, rt)


@pytest.mark.parametrize(
  ("changes", "shape", "said"),
  [
    (dict(widths=(), depths=()), (8, 40, 40), "one number of each per stage"),
    (dict(depths=(1,)), (8, 40, 40), "one number of each per stage"),
    (dict(depths=(0, 1)), (8, 40, 40), "positive"),
    ({}, (8, 42, 40), "multiples of 4"),
    ({}, (8, 48, 48), "dims.slices=5"),
    (dict(kernel=4), (8, 40, 40), "dims.kernel=4"),
  ],
)
def test_sizes_that_cannot_be_built_are_errors(changes, shape, said):
  sizes = dict(widths=(4, 6), depths=(1, 2)) | changes
  with pytest.raises(ValueError, match=said):
    volume_dims.VolumeDims(**sizes).check(shape)


def test_what_can_be_built_is_none():
  DIMS.check((8, 40, 40))


def test_outputs_are_those_of_the_network(fill, normal):
  x = normal(2, 4, 8, 8)
  part = volume_dims.VolumeDims(
    widths=(4, 6), depths=(1, 1), hidden=8, slices=2, states=3
  )
  net = part.network(3)
  params = fill(net, x[..., None])["params"]
  found = jax.jit(lambda p, x: part.outputs(net, p, x))(params, x)
  made = jax.jit(net.apply)({"params": params}, x[..., None])
  np.testing.assert_array_equal(found["out"], made["out"])
  np.testing.assert_array_equal(found["voxels"], made["map"])
  want = np.asarray(made["level1"]).mean((1, 2, 3))
  np.testing.assert_allclose(found["features"], want, atol=1e-5)
