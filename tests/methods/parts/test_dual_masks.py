import jax
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import dual_masks

KEY = jax.random.key(0)


def draw(part, batch=2, grid=(4, 4, 6)):
  draws = part.draw(randomness.Keys(KEY), batch, grid)
  return jax.tree.map(np.asarray, draws)


@pytest.mark.parametrize(
  "grid, ratio, counts",
  [
    ((8, 14, 14), 0.5, (160, 784)),
    ((8, 16, 16), 0.5, (208, 1024)),
    ((8, 14, 14), 0.0, (160, 1408)),
    ((8, 14, 14), 0.75, (160, 392)),
  ],
)
def test_counts_of_the_published_sizes(grid, ratio, counts):
  assert dual_masks.Masks(decoder_ratio=ratio).counts(grid) == counts


@pytest.mark.parametrize("mask", ["tube", "random"])
@pytest.mark.parametrize("ratio", [0.0, 0.25, 0.5])
def test_what_is_drawn_has_the_counts(mask, ratio):
  part = dual_masks.Masks(mask=mask, mask_ratio=0.75, decoder_ratio=ratio)
  draws, (seen, decoded) = draw(part), part.counts((4, 4, 6))
  np.testing.assert_array_equal((~draws["hidden"]).sum(1), seen)
  np.testing.assert_array_equal((~draws["left"]).sum(1), decoded)
  steps = draws["hidden"].reshape(2, 4, -1)
  assert (steps == steps[:, :1]).all() == (mask == "tube")
  if not ratio:
    np.testing.assert_array_equal(draws["left"], ~draws["hidden"])


def test_examples_differ():
  draws = draw(dual_masks.Masks(mask_ratio=0.5), batch=16)
  assert len({row.tobytes() for row in draws["hidden"]}) > 10
  assert len({row.tobytes() for row in draws["left"]}) == 4  # four phases


def test_cells_that_do_not_fit_the_grid_are_named():
  for grid in ((4, 3, 4), (4, 4, 3)):
    with pytest.raises(ValueError, match="decoder_ratio 0.5"):
      dual_masks.Masks().check(grid)
    dual_masks.Masks(decoder_ratio=0.0).check(grid)
