import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import method
from jmim.data import sources
from jmim.evals import dense
from jmim.evals import propagation


def scenes(n, seed, size=8):
  """Two bright or dark halves; which, the masks say; depth goes with it."""
  rng = np.random.default_rng(seed)
  bright = rng.integers(0, 2, (n, 2, 2))
  semantic = bright.repeat(size // 2, 1).repeat(size // 2, 2)
  noise = rng.integers(0, 60, (n, size, size, evalkit.CHANNELS))
  images = (noise + 150 * semantic[..., None]).astype(np.uint8)
  return sources.ArraySource(
    {
      "image": images,
      "semantic": semantic.astype(np.uint8),
      "depth": (1.0 + 2.0 * semantic).astype(np.float32),
    }
  )


def context(**kwargs):
  data = {"train": scenes(40, 0), "eval": scenes(21, 1)}
  return evalkit.context(data=data, size=8, **kwargs)


def test_segmentation_is_learned_and_every_test_pixel_counts():
  values = dict(dense.Evaluator(lrs=(0.1, 1e-6), epochs=10.0).run(context()))
  assert values["miou"] == values["miou_lr0.1"] > 85
  assert values["blind_pixel_accuracy"] < 65 < values["pixel_accuracy"]
  assert values["examples"] == 21 and values["miou_lr1e-06"] < values["miou"]
  assert values["sheet"].ndim == 3


def test_depth_is_learned():
  evaluator = dense.Evaluator(
    task="depth", target="depth", lrs=(0.1, 1e-6), epochs=10.0
  )
  values = dict(evaluator.run(context()))
  assert values["rmse"] == values["rmse_lr0.1"] < 0.6 * values["blind_rmse"]
  assert values["abs_rel"] < values["blind_abs_rel"]


def test_devices_and_evaluation_batch_do_not_matter():
  evaluator = dense.Evaluator(lrs=(0.1,), epochs=4.0)
  one, eight = (
    dict(evaluator.run(context(batch=b, devices=d)))
    for b, d in ((5, 1), (16, 8))
  )
  np.testing.assert_allclose(one["miou"], eight["miou"], rtol=1e-5)


def test_the_loss_is_the_mean_over_pixels_that_count():
  evaluator, rng = dense.Evaluator(lrs=(0.1,)), np.random.default_rng(0)
  params, extra = dense.linear.init(
    dense.jax.random.key(0), {"tokens": 5}, 1, 3
  )
  tokens = rng.normal(size=(2, 2, 2, 5)).astype(np.float32)
  targets = rng.integers(0, 3, (2, 4, 4))
  targets[1], targets[0, 2] = 255, 255

  def loss(y):
    y = dense.jnp.asarray(y)
    return evaluator._loss(params, extra, {"tokens": tokens}, y)[0]

  found, _ = dense.maps(params, extra, tokens=tokens, train=True, side=(4, 4))
  logits = np.asarray(found[0, 0], np.float64)
  logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
  keep = targets[0] != 255
  picked = np.take_along_axis(logs[keep], targets[0][keep][:, None], 1)
  np.testing.assert_allclose(loss(targets), -picked.mean(), rtol=1e-5)
  assert loss(np.full_like(targets, 255)) == 0


def test_another_data_set_can_be_probed(monkeypatch):
  asked = []

  def build(name, split, data_dir):
    asked.append((name, split, data_dir))
    return scenes(40, 0) if split == "train" else scenes(21, 1)

  monkeypatch.setattr(dense.stored.sources, "build", build)
  own = evalkit.context(size=8)  # images without masks
  evaluator = dense.Evaluator(lrs=(0.1,), data="shapes/x", data_dir="there")
  values = dict(evaluator.run(own))
  assert set(asked) == {("shapes/x", s, "there") for s in ("train", "test")}
  here = dict(dense.Evaluator(lrs=(0.1,)).run(context()))
  assert values["miou"] == here["miou"]
  assert "semantic" not in own.sources["eval"][0]  # the run's own is as it was


def test_missing_annotations_and_cropped_images_are_refused():
  with pytest.raises(errors.UserError, match="semantic"):
    dict(dense.Evaluator(target="normals").run(context()))
  cropped = context()
  cropped.spec = dense.dataclasses.replace(cropped.spec, eval_crop="center")
  with pytest.raises(errors.UserError, match="eval_crop"):
    dict(dense.Evaluator().run(cropped))


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

  def tokens(self, params, batch):
    return super().tokens(params, {"image": batch["views"][:, 0]})


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
