import evalkit
import numpy as np
import pytest

from jmim.core import method
from jmim.data import sources
from jmim.evals import propagation


def slow_propagate(x, first, last, radius, k, temperature):
  """The definition, token by token."""
  t, h, w, _ = x.shape
  x = x / np.linalg.norm(x, axis=-1, keepdims=True)
  soft = [first.astype(float)]
  for f in range(1, t):
    past = sorted({0} | set(range(max(1, f - last), f)))
    new = np.zeros(first.shape)
    for y in range(h):
      for z in range(w):
        votes = []
        for p in past:
          for y0 in range(max(0, y - radius), min(h, y + radius + 1)):
            for z0 in range(max(0, z - radius), min(w, z + radius + 1)):
              a = np.exp(x[p, y0, z0] @ x[f, y, z] / temperature)
              votes.append((a, soft[p][y0, z0]))
        votes = sorted(votes, key=lambda v: -v[0])[:k]
        new[y, z] = sum(a * s for a, s in votes) / sum(a for a, _ in votes)
    soft.append(new)
  return np.stack(soft)


def test_propagation_equals_its_definition():
  rng = np.random.default_rng(0)
  tokens = rng.normal(size=(4, 4, 5, 6))
  first = np.eye(3)[rng.integers(0, 3, (4, 5))]
  for last, radius in ((2, 1), (7, 12)):
    got = propagation.propagate(
      tokens, first, last=last, radius=radius, k=3, temperature=0.1
    )
    want = slow_propagate(
      tokens, first, last=last, radius=radius, k=3, temperature=0.1
    )
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_scores_leave_out_the_first_and_the_last_frame():
  truth = np.zeros((4, 12, 12), int)
  truth[:, 2:6, 2:6], truth[:, 8:11, 8:11] = 1, 2
  guess = truth.copy()
  guess[0], guess[-1] = 0, 0
  assert propagation.score(truth, guess) == (100.0, 100.0)
  guess[1][truth[1] == 2] = 0
  j, f = propagation.score(truth, guess)
  assert j == f == 75.0  # one of two objects in one of two frames


class Siamese(evalkit.Everything):
  """The same method, reading the first of two views."""

  def inputs(self):
    shape = super().inputs()["image"].shape
    return {"views": method.Input((2, *shape))}

  def tokens(self, weights, batch, key=None):
    return super().tokens(weights, {"image": batch["views"][:, 0]})


@pytest.mark.parametrize("model", [evalkit.Everything, Siamese])
def test_colours_that_move_are_tracked_better_than_nothing_moves(model):
  size, frames = 16, 5  # the method reads 32: frames are enlarged
  video = np.full((2, frames, size, size, 3), 90, np.uint8)
  masks = np.zeros((2, frames, size, size), np.uint8)
  for t in range(frames):
    video[:, t, 2 * t : 2 * t + 6, 4:10] = (250, 10, 10)
    masks[:, t, 2 * t : 2 * t + 6, 4:10] = 1
  data = sources.ArraySource(
    {"image": video[:, 0], "video": video, "instance": masks}
  )
  context = evalkit.context(
    data={"train": data, "eval": data}, size=32, model=model
  )
  values = dict(propagation.Evaluator(data="").run(context))
  assert values["jf"] > 80 > values["still_jf"] + 20
  assert values["examples"] == 2 and values["clip"].ndim == 3


def test_soft_masks_become_the_ids_of_the_largest():
  soft = np.zeros((1, 2, 2, 3), np.float32)
  soft[0, 0, 0, 2] = soft[0, 0, 1, 1] = 0.3
  soft[0, 1, :, 0] = 1.0
  # Each map is scaled to 0 .. 1 before: 0.3 of map 1 is as much as 1 of map 0.
  found = propagation.harden(soft, (4, 4))
  assert found.shape == (1, 4, 4)
  assert found[0, 0, 0] == 2 and found[0, 0, -1] == 1 and found[0, -1, 0] == 0
