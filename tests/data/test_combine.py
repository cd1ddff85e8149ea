"""Several sources mixed, one kept in memory."""

import itertools

import numpy as np

from jmim.data import combine
from jmim.data import labels
from jmim.data import pipeline
from jmim.data import sources


class _Slow(sources.ArraySource):
  reads = 0

  def __getitem__(self, i):
    self.reads += 1
    return super().__getitem__(i)


def test_the_cache_reads_once_and_keeps_to_its_bound():
  source = _Slow({"image": [b"x" * 100] * 10})
  cached = combine.Cached(source, 450)
  for _ in range(3):
    for i in range(10):
      assert cached[i] == {"image": b"x" * 100}
  assert source.reads == 4 + 3 * 6
  assert cached.name(3) == source.name(3) and len(cached) == 10


def test_a_mixture_trains_on_its_parts_by_weight():
  parts = [
    sources.ArraySource(
      {"image": np.full((n, 8, 8, 3), value, np.uint8), "label": np.arange(n)}
    )
    for n, value in ((5, 10), (40, 200))
  ]
  mixture = combine.Mixture(parts, (1, 3))
  assert mixture.num_classes is None
  spec = pipeline.Spec(batch=100, size=8, threads=0)
  stream = pipeline.training_batches(mixture, spec)
  batches = list(itertools.islice(stream, 100))
  stream.close()
  values = np.concatenate([b["image"][:, 0, 0, 0] for b in batches])
  index = np.concatenate([b["index"] for b in batches])
  assert (values == 10).sum() == 2500
  np.testing.assert_array_equal(values == 10, index < 5)
  assert "label" not in batches[0]


def test_what_is_cached_still_shows_its_labels_at_once():
  source = sources.ArraySource({"label": [[2], [0]]})
  cached = combine.Cached(source, 1000)
  assert cached.column("label").tolist() == [2, 0]
  assert cached.column("tokens") is None and not cached.fault
  odd = sources.ArraySource({"label": [0.5, 1.0]})
  assert "fractional" in combine.Cached(odd, 1000).fault
  both = combine.Mixture([source, odd], [1, 1])
  assert "fractional" in labels.fault(combine.Cached(both, 1000))
