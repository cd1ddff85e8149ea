import numpy as np
import pytest

from jmim.data.procedural import attributes
from jmim.diffusion import confusion
from jmim.diffusion import schedule

PROCESS = schedule.make("linear", 100, 1e-3, 0.2)


def pictures(seed, name):
  """Two that differ in one attribute alone, in [-1, 1]."""
  look = attributes.draw(np.random.default_rng(seed))
  values = look.values
  other = attributes.of(
    values
    | {
      "label": (look.kind + 1) % 4 if name == "label" else look.kind,
      "tint": -look.tint if name == "tint" else look.tint,
    }
  )
  return [attributes.render(x, 16) / 127.5 - 1 for x in (look, other)]


def distance(seed, name):
  x, y = pictures(seed, name)
  return np.linalg.norm(x - y)


@pytest.mark.parametrize("name", ["label", "tint"])
def test_the_best_guess_is_wrong_as_often_as_it_says(name):
  """The nearer of both, among 4000 noised pictures."""
  x, y = (p.ravel() for p in pictures(0, name))
  rng = np.random.default_rng(1)
  for t in (20, 60, 95):
    a, s = PROCESS.signal[t], PROCESS.noise[t]
    noised = a * x + s * rng.normal(size=(4000, x.size))
    near = lambda z, noised=noised, a=a: ((noised - a * z) ** 2).sum(1)
    wrong = (near(y) < near(x)).mean()
    expected = confusion.error(np.linalg.norm(x - y), PROCESS)[t]
    assert abs(wrong - expected) < 4 * np.sqrt(0.25 / 4000)


def test_it_grows_with_noise_from_none_to_a_coin():
  found = confusion.error(np.array([0.0, 1.0, 50.0]), PROCESS)
  assert (np.diff(found[1]) > 0).all() and (np.diff(found[2]) >= 0).all()
  assert (found[0] == 0.5).all()
  assert found[2, 0] < 1e-12 and found.max() <= 0.5


def test_what_is_fine_is_lost_before_what_is_coarse():
  fine, coarse = (
    confusion.lost([distance(i, name) for i in range(20)], PROCESS)
    for name in ("tint", "label")
  )
  assert fine.max() < coarse.min()
  assert confusion.lost(1e9, PROCESS) == 100
