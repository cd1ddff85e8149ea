import types

import numpy as np

from jmim.evals import segments
from jmim.metrics import segments as measures

SHAPE, STORED = (4, 6, 6), (6, 6, 8)


def stored():
  """Four blocks; the middle is what evaluation sees."""
  cells = np.ones(STORED, np.uint8)
  cells[:, :3, 4:], cells[:, 3:, :4], cells[:, 3:, 4:] = 2, 3, 4
  return [{"cells": cells}, {"cells": np.where(cells == 2, 1, cells)}]


def context(affinity):
  """Two volumes whose outputs are functions of the true affinities."""
  source = stored()
  middle = [x["cells"][1:5, :, 1:7] for x in source]

  def outputs(name, split, limit, weights, entries):
    assert (name, split, weights) == ("affinities", "eval", "raw")
    assert set(entries) == {"index", "volume"}
    true = [np.moveaxis(measures.affinities(c), 0, -1) for c in middle]
    batch = {
      "index": np.arange(2),
      "volume": np.stack([40 * c for c in middle]).astype(np.uint8),
    }
    yield np.stack([affinity(t) for t in true]), batch

  return types.SimpleNamespace(outputs=outputs, sources={"eval": source})


def test_true_affinities_score_as_the_truth_does():
  values = dict(segments.Evaluator().run(context(lambda a: a)))
  for name in segments.NAMES:
    assert values[name] == 0 == values[f"{name}_t0.5"]
  # All in one: the entropies of four quarters, and of a half and two quarters.
  np.testing.assert_allclose(values["one_voi_merge"], (2 + 1.5) / 2)
  assert values["one_voi_split"] == 0 == values["alone_voi_merge"]
  assert values["alone_arand"] == 1 and values["examples"] == 2
  assert values["sheet"].dtype == np.uint8


def test_the_best_threshold_is_the_one_without_a_suffix():
  """Affinities of 0.4 across borders: only thresholds above keep them."""
  network = lambda a: 0.4 + 0.5 * a
  values = dict(segments.Evaluator().run(context(network)))
  assert values["voi_t0.3"] > 0.5 and values["voi_t0.5"] == 0
  assert values["voi"] == 0 and values["voi_t0.7"] == 0
  assert values["arand_t0.3"] > values["arand"] == 0
