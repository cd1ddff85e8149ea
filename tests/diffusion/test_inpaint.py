import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.diffusion import inpaint
from jmim.diffusion import sampler
from jmim.diffusion import solvers


def test_a_rectangle_in_the_centre_is_not_kept():
  keep = inpaint.outside((4, 8, 3), 0.5)
  assert keep.shape == (4, 8, 1) and keep.dtype == bool
  filled = np.argwhere(~keep[..., 0])
  assert filled.min(0).tolist() == [1, 2] and filled.max(0).tolist() == [2, 5]
  assert (~keep).sum() == 2 * 4


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_nothing_or_everything_in_a_hole_is_an_error(share):
  words = "everything" if share == 1 else "nothing"
  with pytest.raises(ValueError, match=f"hole={share:g} .* 4 x 4 .* {words}"):
    inpaint.outside((4, 4), share)


def test_what_is_kept_is_on_its_path_at_every_level():
  source = toydiffusion.pixels()
  z, noise, start = jax.random.normal(jax.random.key(0), (3, 2, 4, 4, 2))
  keep, levels = inpaint.outside(source.shape, 0.5), source.levels(5)
  put = inpaint.keeping(keep, z, noise)

  def seen(level, x, out):
    x, _ = put(level, x, out)
    return x, x

  end, states = sampler.sample(
    solvers.ddim(levels), source.denoise(), start, callback=seen
  )
  place = np.broadcast_to(keep, z.shape)
  for i, x in enumerate(states):
    known = levels.signal[i + 1] * z + levels.noise[i + 1] * noise
    np.testing.assert_allclose(x[place], known[place], atol=1e-6)
    assert float(jnp.abs(x - known)[~place].min()) > 0
  np.testing.assert_array_equal(end[place], z[place])
