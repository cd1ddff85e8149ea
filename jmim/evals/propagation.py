"""Video-object segmentation by label propagation (DINO's protocol), J&F.

    a_ij = exp(<f_i, f_j> / T)  unit tokens; i of the context, j of frame t;
                                only |i - j| <= r on the grid, the k largest
    s_j  = sum_i a_ij s_i / sum_i a_ij

The context is frame 0, whose masks are given, and the last n frames with
their own s. facebookresearch/dino@7c446df5b9, eval_video_segmentation: n = 7,
r = 12, k = 5, T = 0.1; s is upsampled bilinearly, each object's map scaled to
0 .. 1, argmax. J and F as DAVIS 2017: mean over objects and over all frames
but the first and the last. Nothing is trained. `still_jf` is what repeating
the masks of frame 0 would score.

The data set gives `video` uint8 [t, h, w, 3] and masks [t, h, w] (0 is the
background), such as the built-in `shapes/moving`. Frames are resized to the
size the method reads; masks are compared at the size of the data.
"""

import dataclasses

import cv2
import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import stored
from jmim.metrics import dense
from jmim.runlog import readings


def propagate(
  tokens: np.ndarray,
  first: np.ndarray,
  last: int,
  radius: int,
  k: int,
  temperature: float,
) -> np.ndarray:
  """Soft masks of every frame on the token grid.

  Args:
    tokens: [t, h, w, d] features.
    first: [h, w, c] masks of frame 0.
    last: frames before the current one in the context, besides frame 0.
    radius: of the neighbourhood, in tokens.
    k: context tokens whose masks each token takes.
    temperature: T.

  Returns:
    [t, h, w, c] float32; frame 0 is `first`.
  """
  t, h, w, d = tokens.shape
  x = tokens.reshape(t, h * w, d).astype(np.float32)
  x /= np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12)
  row, column = np.divmod(np.arange(h * w), w)
  apart = lambda a: abs(a[:, None] - a)
  near = (apart(row) <= radius) & (apart(column) <= radius)
  soft = [first.reshape(h * w, -1).astype(np.float32)]
  for frame in range(1, t):
    past = [0, *range(max(1, frame - last), frame)]
    weight = np.concatenate(
      [np.exp(x[i] @ x[frame].T / temperature) * near for i in past]
    )
    few = min(k, len(weight))
    kth = -np.partition(-weight, few - 1, axis=0)[few - 1]
    weight = np.where(weight >= kth, weight, 0)
    weight /= weight.sum(0)
    soft.append(weight.T @ np.concatenate([soft[i] for i in past]))
  return np.stack(soft).reshape(t, h, w, -1)


def harden(soft: np.ndarray, side: tuple[int, int]) -> np.ndarray:
  """[t, h, w, c] soft masks -> [t, *side] ids, as DINO does."""
  ids = []
  for frame in soft:
    frame = frame - frame.min((0, 1))
    frame = frame / np.maximum(frame.max((0, 1)), 1e-12)
    planes = [
      cv2.resize(plane, side[::-1], interpolation=cv2.INTER_LINEAR)
      for plane in np.moveaxis(frame, -1, 0)
    ]
    ids.append(np.argmax(planes, axis=0))
  return np.stack(ids)


def score(truth: np.ndarray, guess: np.ndarray) -> tuple[float, float]:
  """(J, F) in percent: mean over objects of frame 0, inner frames.

  Args:
    truth: [t, h, w] ids, 0 for the background.
    guess: the same.
  """
  j, f = [], []
  for thing in np.unique(truth[0][truth[0] > 0]):
    for a, b in zip(truth[1:-1] == thing, guess[1:-1] == thing, strict=True):
      j.append(dense.region(a, b))
      f.append(dense.boundary(a, b))
  return 100.0 * float(np.mean(j)), 100.0 * float(np.mean(f))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """J, F and their mean in percent, over clips of the evaluation split."""

  reads = ((r"jf|j|f", readings.PERCENT),)

  predict: str = field.value("tokens", "patch tokens [b, h, w, d]")
  data: str = field.value("shapes/moving", "data set; '': the run's own")
  data_dir: str = field.value("", "folder of the data set; '': ~/.cache/jmim")
  video: str = field.value("video", "clips in the data set")
  target: str = field.value("instance", "masks in the data set")
  last: int = field.value(7, "frames of context besides the first", low=0)
  radius: int = field.value(12, "radius of the neighbourhood, in tokens", low=0)
  k: int = field.value(5, "context tokens whose masks a token takes", low=1)
  temperature: float = field.value(0.1, "T of the affinity", above=0)
  limit: int = field.value(50, "clips; 0: all", low=0)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields jf, j, f, still_jf and a picture of the first clip."""
    context = stored.elsewhere(context, self.data, self.data_dir)
    count = len(context.sources["eval"])
    clips = np.arange(min(self.limit, count) if self.limit else count)
    scores, still, picture = [], [], None
    for clip in clips:
      video, truth = (
        stored.annotation(context, "eval", [clip], name)[0]
        for name in (self.video, self.target)
      )
      guess = self._track(context, video, truth)
      scores.append(score(truth, guess))
      still.append(score(truth, np.repeat(truth[:1], len(truth), 0)))
      if picture is None:
        picture = draw.sheet(
          {
            "frame": video,
            "truth": draw.classes(truth),
            "propagated": draw.classes(guess),
          }
        )
    j, f = np.mean(scores, axis=0)
    yield "jf", float((j + f) / 2)
    yield "j", float(j)
    yield "f", float(f)
    yield "still_jf", float(np.mean(still))
    yield "clip", picture
    yield "examples", len(clips)

  def _track(
    self, context: contexts.Context, video: np.ndarray, truth: np.ndarray
  ) -> np.ndarray:
    """[t, H, W] ids of the frames of `video`, from those of frame 0."""
    inputs = context.method.inputs()
    # A method of several views gets the same frame for each.
    name = "image" if "image" in inputs else "views"
    side = inputs[name].shape[-2]
    frames = np.stack(
      [
        cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
        for frame in video
      ]
    )
    views = inputs[name].shape[:-3]
    batch = {
      name: np.broadcast_to(
        frames.reshape(len(frames), *[1] * len(views), *frames.shape[1:]),
        (len(frames), *views, *frames.shape[1:]),
      )
    }
    tokens = context.apply(self.predict, batch, self.weights, whole=True)
    h, w = tokens.shape[1:3]
    rows, columns = (
      ((np.arange(n) + 0.5) * side / n).astype(int)
      for n, side in zip((h, w), truth.shape[1:], strict=True)
    )
    ids = truth[0][np.ix_(rows, columns)]
    first = ids[..., None] == np.arange(truth[0].max() + 1)
    soft = propagate(
      tokens,
      first,
      last=self.last,
      radius=self.radius,
      k=self.k,
      temperature=self.temperature,
    )
    return harden(soft, truth.shape[1:])
