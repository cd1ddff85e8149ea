"""A folder of 1,000 images of which 37 are broken, in ten different ways."""

import io
import itertools
import logging
import pathlib

import numpy as np
import pytest
import tinyrun
from PIL import Image

from jmim.core import config as configs
from jmim.core import errors
from jmim.data import jpeg
from jmim.data import pipeline
from jmim.data import sources
from jmim.modes import train
from jmim.runlog import writer

_N, _BROKEN = 1000, 37


def _encode(number, kind="jpeg", size=(40, 36)):
  rng = np.random.default_rng(number)
  image = np.full((*size, 3), number % 251, np.uint8)
  image[::5] = rng.integers(0, 256, image[::5].shape)
  file = io.BytesIO()
  Image.fromarray(image).save(file, kind)
  return file.getvalue()


def _without_tables(data):
  """A JPEG whose quantisation table is said to be something else."""
  return data.replace(b"\xff\xdb", b"\xff\xee", 1)


WAYS = (
  lambda d, png: b"",
  lambda d, png: d[:1],
  lambda d, png: d[:10],
  lambda d, png: d[: len(d) // 20],
  lambda d, png: b"<html>404 not found</html>",
  lambda d, png: b"\0" * len(d),
  lambda d, png: d[::-1],
  lambda d, png: _without_tables(d),
  lambda d, png: png[: len(png) // 2],
  lambda d, png: png[:40] + bytes(200) + png[240:],
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """The source, and the indices of the broken files."""
  path = tmp_path_factory.mktemp("broken")
  broken = np.random.default_rng(0).choice(_N, _BROKEN, replace=False)
  ways = dict(zip(broken.tolist(), itertools.cycle(WAYS)))
  for i in range(_N):
    data = _encode(i)
    if i in ways:
      data = ways[i](data, _encode(i, "png"))
    (path / f"{i:04}.jpg").write_bytes(data)
  return sources.build("folder", "", str(path)), set(ways)


def _decoders():
  turbo = pytest.param(
    "turbo",
    marks=pytest.mark.skipif(not jpeg.available(), reason="no libjpeg-turbo"),
  )
  return ["pillow", turbo]


@pytest.mark.parametrize("decoder", _decoders())
def test_all_broken_files_are_named_and_no_other_is_lost(
  folder, caplog, decoder
):
  source, broken = folder
  spec = pipeline.Spec(
    batch=100,
    size=32,
    host_crop="resized",
    decoder=decoder,
    threads=2,
    on_bad_record="skip",
  )
  stream = pipeline.training_batches(source, spec)
  with caplog.at_level(logging.WARNING):
    batches = list(itertools.islice(stream, 10))  # one epoch
  stream.close()
  seen = set(np.concatenate([b["index"] for b in batches]).tolist())
  assert seen == set(range(_N)) - broken
  named = [r.getMessage() for r in caplog.records if "skipped" in r.msg]
  assert len(named) == _BROKEN
  for i in broken:
    assert sum(f"{i:04}.jpg" in text for text in named) == 1


@pytest.mark.slow
def test_a_run_trains_on_what_is_left(folder, tmp_path, caplog, monkeypatch):
  source, broken = folder
  config = tinyrun.toy("")
  config.data.update(
    name="folder",
    data_dir=str(pathlib.Path(source.name(0)).parent),
    batch=200,
    host_crop="resized",
    eval_crop="center",
    on_bad_record="skip",
  )
  config.evals = configs.section()
  config.train.total_steps = 5  # one epoch
  seen, real = [], pipeline.training_batches

  def recorded(*args, **options):
    stream = real(*args, **options)
    try:
      for batch in stream:
        seen.append(batch["index"])
        yield batch
    finally:
      stream.close()

  monkeypatch.setattr(pipeline, "training_batches", recorded)
  with caplog.at_level(logging.WARNING):
    train.run(config, tmp_path)
  assert set(np.concatenate(seen[:5]).tolist()) == set(range(_N)) - broken
  named = [r.getMessage() for r in caplog.records if "skipped" in r.msg]
  assert len(named) == _BROKEN
  assert all(any(f"{i:04}.jpg" in text for text in named) for i in broken)
  last = writer.read(tmp_path)[-1]
  assert last["step"] == 5


def test_more_than_the_stated_share_stops_the_run(folder):
  source, _ = folder
  spec = pipeline.Spec(
    batch=100,
    size=32,
    host_crop="resized",
    threads=0,
    on_bad_record="skip",
    max_bad_share=0.02,
  )
  stream = pipeline.training_batches(source, spec)
  with pytest.raises(errors.UserError, match="21 of 1000") as caught:
    for _ in range(10):
      next(stream)
  assert caught.value.key == "data.max_bad_share"
