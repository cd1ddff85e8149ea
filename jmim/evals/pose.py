"""Poses with several hypotheses: errors of the best, of all, of the mean.

    mpjpe      mean distance of the joints [mm], poses around their pelvis
    pa_mpjpe   the same of poses that are moved, turned and scaled first
    pck        joints nearer than 150 mm [%]
    cps        area under (threshold -> poses all of whose joints are nearer),
               1 to 300 mm, of poses aligned

each `_best` (of every pose the hypothesis that is best by that measure, as the
field reports them), `_mean` (the mean estimate) and `_average` (mean over the
hypotheses). `mpjpe_best_of_<n>`: of the first n. `shuffled_mpjpe_best`: against
the pose of the example before (of the first: the last), as if it had that one's
condition.

Hard examples have a heatmap whose deviation, of what is above a tenth of its
peak, exceeds `hard` pixels (H36MA: of a Gaussian fitted to it, 5 of 64);
`hard_...` and `clear_...` are of either. `std_ambiguous` and `std_clear` [mm]
are deviations of joints whose heatmap is as wide and whose is not (knees may
be, hips are not: `std_clear_same` is of joints that are ambiguous elsewhere);
`std_depth` and `std_plane` of z, and of x and y, in clear examples.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np

from jmim.core import field
from jmim.evals.lib import base
from jmim.evals.lib import context as contexts
from jmim.evals.lib import draw
from jmim.evals.lib import predict
from jmim.evals.lib import skeletons
from jmim.metrics import poses as metrics
from jmim.runlog import readings

Rows = dict[str, np.ndarray]  # measure -> [b]
MILLIMETRES = readings.Reading("mm", readings.LOWER)
BETTER = {"mpjpe": np.min, "pa_mpjpe": np.min, "pck": np.max, "cps": np.max}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluator(base.Evaluator):
  """MPJPE, PA-MPJPE, PCK, CPS, deviations, and a sheet of skeletons."""

  reads = (
    (r"shuffled_.*", readings.Reading("mm")),
    (r"(hard_|clear_)?(pa_)?mpjpe_.*", MILLIMETRES),
    (r"(hard_|clear_)?pck_.*", readings.PERCENT),
    (r"(hard_|clear_)?cps_.*", readings.Reading("mm", readings.HIGHER)),
    (r"std_.*", readings.Reading("mm")),
  )

  predict: str = field.value(
    "poses", "dict with hypotheses, mean, target, spread, places, map"
  )
  limit: int = field.value(0, "examples; 0: all", low=0)
  hard: float = field.value(
    5.0, "deviation of a heatmap that is ambiguous [pixels]", above=0.0
  )
  counts: tuple = field.value(
    (1, 5, 20, 50), "numbers of hypotheses that `mpjpe_best_of_...` are of"
  )
  pck_joints: tuple = field.value((), "joints of PCK, pelvis 0; (): all")
  cps_joints: tuple = field.value((), "joints of CPS, pelvis 0; (): all")
  within: float = field.value(150.0, "radius of PCK [mm]", above=0.0)
  shown: int = field.value(8, "examples in the sheet; 0: none", low=0)
  drawn: int = field.value(10, "hypotheses of each in the sheet", low=1)

  def run(self, context: contexts.Context) -> base.Results:
    """Yields the numbers above, those of hard examples, and the sheet."""
    parts, deviations, others, first, last = [], [], [], None, None
    for out, _ in context.outputs(
      self.predict, "eval", self.limit or None, self.weights
    ):
      every = np.isfinite(out["hypotheses"]).all((1, 2, 3))
      every &= np.isfinite(out["mean"]).all((1, 2))
      predict.require_finite(every, "poses to be measured")
      parts.append(self._measures(out))
      deviations.append(self._deviations(out))
      others.append(_beside(out, last))
      first, last = out if first is None else first, out["target"][-1:]
    rows = _joined(parts)
    yield from _means(rows, "")
    if len(rows["hard"]) > 1:  # the first, too, has one before it: the last
      one = {k: first[k][:1] for k in ("hypotheses", "target")}
      others.append(_beside(one, last))
      yield "shuffled_mpjpe_best", float(np.concatenate(others).mean())
    hard = rows["hard"] > 0
    for name, chosen in (("hard", hard), ("clear", ~hard)):
      if chosen.any():
        kept = {k: x[chosen] for k, x in rows.items() if k.endswith("_best")}
        yield from _means(kept, f"{name}_")
    yield from _spreads(_joined(deviations))
    yield "examples", len(hard)
    yield "hard_examples", int(hard.sum())
    if self.shown and skeletons.placed(first["spread"]).all():
      yield "skeletons", self._sheet(first)

  def _measures(self, out: Mapping[str, np.ndarray]) -> Rows:
    """Of the examples of a batch."""
    made, truth = out["hypotheses"], out["target"]
    each = self._scores(made, truth[:, None])
    found = {f"{k}_best": BETTER[k](x, axis=1) for k, x in each.items()}
    found |= {f"{k}_average": x.mean(1) for k, x in each.items()}
    mean = self._scores(out["mean"], truth)
    found |= {f"{k}_mean": x for k, x in mean.items()}
    for n in self.counts:
      if n <= made.shape[1]:
        found[f"mpjpe_best_of_{n}"] = each["mpjpe"][:, :n].min(1)
    hard = (out["spread"] > self.hard).any(1)
    return found | {"hard": hard.astype(float)}

  def _scores(self, made: np.ndarray, truth: np.ndarray) -> Rows:
    """Measure -> [...] of poses [..., j, 3]."""
    every = range(truth.shape[-2])
    pck, cps = (list(x or every) for x in (self.pck_joints, self.cps_joints))
    fit = metrics.aligned(made, truth)
    return {
      "mpjpe": metrics.mpjpe(made, truth),
      "pa_mpjpe": metrics.mpjpe(fit, truth),
      "pck": 100 * metrics.pck(made, truth, pck, self.within),
      "cps": metrics.cps(fit, truth, cps),
    }

  def _deviations(self, out: Mapping[str, np.ndarray]) -> Rows:
    """std [b, j, 3] of hypotheses; wide, known [b, j] whether a map is."""
    std = np.float64(out["hypotheses"]).std(1)
    wide, known = out["spread"] > self.hard, out["spread"] >= 0
    return {"std": std, "wide": wide, "known": known}

  def _sheet(self, out: Mapping[str, np.ndarray]) -> np.ndarray:
    """Hypotheses over the heatmaps they were made of."""
    some = {k: x[: self.shown] for k, x in out.items()}
    picture = skeletons.over(
      some["map"],
      some["hypotheses"][:, : self.drawn],
      some["target"],
      places=some["places"],
      seen=some["spread"] >= 0,
    )
    pairs = min(len(picture), 4)
    return draw.sheet({"hypotheses": picture}, pairs=pairs, scale=1)


def _beside(
  out: Mapping[str, np.ndarray], before: np.ndarray | None
) -> np.ndarray:
  """[b] MPJPE of the best hypothesis against the example before.

  Args:
    out: of a batch.
    before: [1, j, 3] true pose before its first; None: none, and [b - 1].
  """
  made, other = out["hypotheses"], out["target"][:-1]
  if before is None:
    made = made[1:]
  else:
    other = np.concatenate([before, other])
  return metrics.mpjpe(made, other[:, None]).min(1)


def _joined(parts: list[Rows]) -> Rows:
  """Of all batches."""
  return {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def _means(rows: Rows, prefix: str) -> base.Results:
  """The mean of each measure."""
  for name, x in rows.items():
    if name != "hard":
      yield prefix + name, float(x.mean())


def _spreads(rows: Rows) -> base.Results:
  """Deviations of hypotheses, by joint and by axis; see the top."""
  std, wide, known = rows["std"], rows["wide"], rows["known"]
  whole = np.sqrt((std**2).sum(-1))  # [n, j] along all axes
  clear = known & ~wide
  both = wide.any(0) & clear.any(0)
  if both.any():
    yield "std_ambiguous", float(whole[wide].mean())
    yield "std_clear", float(whole[clear].mean())
    # As often each joint as it is ambiguous.
    joints = (whole * clear).sum(0)[both] / clear.sum(0)[both]
    times = wide.sum(0)[both]
    yield "std_clear_same", float((joints * times).sum() / times.sum())
  plain = std[~wide.any(1)][:, known.any(0)]
  if plain.size:
    yield "std_depth", float(plain[..., 2].mean())
    yield "std_plane", float(plain[..., :2].mean())
