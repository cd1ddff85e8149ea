"""A frozen restorer: where it is, and what it is shown."""

import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import restorers
from jmim.methods.restore import difface

TINY = difface.DifFace.tiny()


def shapes(m):
  return (m.shape, m.degraded, m.holes)


def test_without_a_path_there_is_none():
  m = field.replace(TINY, restorer=dict(host=dict(path="")))
  assert m.restorer.consts(*shapes(m)) == {} and not m.restorer.known
  assert TINY.restorer.known


def test_it_must_have_learned_from_images_in_0_to_1():
  const = TINY.restorer.consts(*shapes(TINY))["restorer"]
  assert const.key == "method.restorer.host.path"
  assert const.agrees["data.mean"][1] == (0.0,) * 3
  assert const.agrees["data.std"][1] == (1.0,) * 3


def test_an_estimate_is_cut_and_sees_the_mask(normal):
  assert restorers.seen(*shapes(TINY)) == (8, 8, 4)
  const = TINY.restorer.consts(*shapes(TINY))["restorer"]
  consts = {"restorer": jax.jit(const.init)(jax.random.key(0))}
  weights = methods.Weights({}, consts=consts)
  shown = normal(2, 8, 8, 4)
  made = TINY.restorer.estimate(weights, shown, 3, 1)
  assert made.shape == (2, 8, 8, 3)
  assert made.min() == 0 and made.max() == 1
  masked = shown.copy()
  masked[..., 3] += 1
  other = TINY.restorer.estimate(weights, masked, 3, 1)
  assert np.abs(made - other).max() > 1e-3


@pytest.mark.parametrize(
  "change, said",
  [
    (
      dict(degraded=dict(degradation="bicubic", factor=2)),
      "holes.boxes=1 with degraded.factor=2",
    ),
    (dict(holes=dict(sides=(0.5, 0.1))), "holes.sides"),
  ],
)
def test_what_cannot_be_is_refused(change, said):
  m = field.replace(TINY, **change)
  with pytest.raises(ValueError, match=said):
    m.restorer.check(*shapes(m))
