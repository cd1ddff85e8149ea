import json

import evalkit
import jax
import numpy as np
import pytest

from jmim.data import sources
from jmim.evals import fid
from jmim.evals.lib import extract
from jmim.tools import make_fid_stats


@pytest.fixture
def flags(tmp_path, monkeypatch):
  """Flags for 30 images of 6 x 6 under the encoder of a run."""
  params, _ = evalkit.Everything().init(jax.random.key(0), None)
  evalkit.workdir(tmp_path / "run", "evalkit", params, size=4)
  made = lambda name, split, data_dir: evalkit.source(40, 0, size=6)
  monkeypatch.setattr(sources, "build", made)
  return [
    "--name=blocks",
    "--split=test",
    "--size=4",
    "--crop=center",
    "--limit=30",
    "--batch=8",
    f"--encoder={tmp_path / 'run'}",
    f"--out={tmp_path / 'stats.npz'}",
  ], tmp_path


def test_the_file_holds_statistics_and_the_whole_protocol(flags, capsys):
  argv, folder = flags
  assert make_fid_stats.main(argv) == 0
  network = extract.from_run(str(folder / "run"))
  assert network.name in capsys.readouterr().out
  reference = fid.load(folder / "stats.npz")
  assert reference.extractor == network.name
  assert reference.protocol["images"] == 30 == len(reference.features)
  assert reference.protocol["data"] == "blocks"
  assert reference.protocol["size"] == 4 and reference.protocol["crop"] == (
    "center"
  )
  mean, covariance = reference.moments["features"]
  features = reference.features.astype(np.float64)
  np.testing.assert_allclose(mean, features.mean(0), rtol=1e-5)
  np.testing.assert_allclose(
    covariance, np.cov(features.T), rtol=1e-3, atol=1e-8
  )
  with np.load(folder / "stats.npz") as stored:
    assert "git" in json.loads(str(stored["protocol"]))


def test_images_of_another_size_without_a_crop_are_one_error(flags, capsys):
  argv, _ = flags
  assert make_fid_stats.main([*argv, "--crop=none"]) == 2
  assert "6 x 6 pixels" in capsys.readouterr().err
