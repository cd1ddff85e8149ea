"""Batches on the devices, some ahead of need."""

import jax
import numpy as np
import pytest

from jmim.data import feed
from jmim.data import pipeline
from jmim.data import sources
from jmim.parallel import sharding

SPEC = pipeline.Spec(batch=8, size=4, threads=0)


def _source():
  images = np.broadcast_to(
    np.arange(16, dtype=np.uint8)[:, None, None, None], (16, 4, 4, 3)
  )
  return sources.ArraySource({"image": images, "label": np.arange(16)})


@pytest.fixture(scope="module")
def where():
  return sharding.batch_sharding(sharding.make_mesh({"data": -1}))


def test_batches_are_those_of_the_pipeline_split_over_the_devices(where):
  names = ("image", "label")
  stream = feed.batches(_source(), SPEC, names=names, where=where, start=3)
  plain = pipeline.training_batches(_source(), SPEC, start_step=3)
  for _ in range(3):
    batch, expected = next(stream), next(plain)
    assert set(batch) == set(names)  # the index stays on the host
    for name in names:
      np.testing.assert_array_equal(batch[name], expected[name])
      assert batch[name].sharding.is_equivalent_to(where, batch[name].ndim)
  stream.close()
  plain.close()


@pytest.mark.parametrize("ahead", [1, 3])
def test_so_many_batches_are_copied_before_they_are_asked_for(
  where, ahead, monkeypatch
):
  taken = []

  def counted(*args, **kwargs):
    for step in range(100):
      taken.append(step)
      yield {"label": np.full(8, step)}

  monkeypatch.setattr(pipeline, "training_batches", counted)
  stream = feed.batches(
    _source(), SPEC, names=("label",), where=where, ahead=ahead
  )
  for step in range(3):
    assert int(next(stream)["label"][0]) == step
    assert len(taken) == step + 1 + ahead
  stream.close()


def test_closing_ends_the_stream_behind():
  mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("data",))
  where = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
  stream = feed.batches(_source(), SPEC, names=("label",), where=where)
  next(stream)
  stream.close()
  with pytest.raises(StopIteration):
    next(stream)
