"""Weights over a host: what a run keeps of them, and on which host."""

import json

import hostkit
import numpy as np
import pytest

import jmim
from jmim.checkpoints import identity
from jmim.checkpoints import store as checkpoint
from jmim.convert import exporting
from jmim.convert import mounting
from jmim.core import config as configs
from jmim.core import errors
from jmim.modes import evaluate
from jmim.modes import train

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  """(folder, workdir, recipe, two hosts [path, tree])."""
  folder = tmp_path_factory.mktemp("hosted")
  hosts = [hostkit.save_host(folder / f"{i}.npz", i) for i in range(2)]
  workdir, config = hostkit.run(folder, hosts[0][0])
  return folder, workdir, config, hosts


def on(tree, model):
  """Features of the images on a host's tree, by hand."""
  added = model.weights.params["main"]["added"]["dense"]["bias"]
  x = model.preprocess(IMAGES).reshape(len(IMAGES), -1)
  return x @ tree["dense"]["kernel"] + tree["dense"]["bias"] + added


def test_a_checkpoint_holds_the_own_part_only(made):
  _, workdir, _, hosts = made
  store = checkpoint.Checkpoints(workdir, write=False)
  arrays = store.meta(store.latest())["arrays"]
  store.close()
  kept = {n for n in arrays if n.startswith(("params/", "ema/"))}
  assert kept == {
    "params/main/added/dense/bias",
    "ema/main/added/dense/bias",
  }
  assert not [n for n in arrays if "kernel" in n]
  assert identity.read(workdir) == {"host": identity.digest(hosts[0][1])}


def test_a_run_is_on_the_host_that_it_was_trained_on(made):
  _, workdir, config, hosts = made
  model = jmim.load(workdir)
  bias = model.weights.params["main"]["added"]["dense"]["bias"]
  assert np.abs(bias).min() > 0
  want = on(hosts[0][1], model)
  np.testing.assert_allclose(model("features", IMAGES), want, rtol=1e-4)
  other = jmim.load(workdir, host=hosts[1][0])
  want = on(hosts[1][1], other)
  np.testing.assert_allclose(other("features", IMAGES), want, rtol=1e-4)


def test_another_host_under_its_name_is_refused(made, tmp_path):
  folder, workdir, config, hosts = made
  path = folder / "0.npz"
  before = path.read_bytes()
  path.write_bytes((folder / "1.npz").read_bytes())
  longer = configs.override(config, ["train.total_steps=3"])
  try:
    for attempt in (
      lambda: jmim.load(workdir),
      lambda: train.run(longer, workdir),
      lambda: evaluate.run(config, workdir),
    ):
      with pytest.raises(errors.UserError, match="another host") as e:
        attempt()
      assert e.value.key == "method.host.path"
  finally:
    path.write_bytes(before)


def test_an_export_has_the_hash_of_its_host_and_is_mounted(made, tmp_path):
  _, workdir, _, hosts = made
  exporting.run(workdir, "safetensors", tmp_path / "part")
  note = json.loads((tmp_path / "part" / "jmim.json").read_text())
  assert note["consts"] == {"host": identity.digest(hosts[0][1])}
  part = jmim.load(tmp_path / "part")
  for source in (workdir, tmp_path / "part"):
    out = tmp_path / f"on_{source.name}"
    lines = mounting.run(source, hosts[1][0], out)
    assert identity.digest(hosts[1][1]) in lines[0]
    assert lines[1].startswith("own: 3 numbers, 1.54% of the host's 195")
    mounted = jmim.load(out)
    np.testing.assert_allclose(
      mounted("features", IMAGES), on(hosts[1][1], part), rtol=1e-4
    )
  again = jmim.load(out, host=hosts[0][0])
  np.testing.assert_array_equal(
    again("features", IMAGES), part("features", IMAGES)
  )


def test_a_host_of_another_shape_is_refused(made, tmp_path):
  _, workdir, _, _ = made
  wide, _ = hostkit.save_host(tmp_path / "wide.npz", 0, width=4)
  for attempt in (
    lambda: mounting.run(workdir, wide, tmp_path / "out"),
    lambda: jmim.load(workdir, host=wide),
  ):
    with pytest.raises(errors.UserError, match="shape of dense/bias"):
      attempt()
  with pytest.raises(errors.UserError, match="no file"):
    mounting.run(workdir, str(tmp_path / "gone.npz"), tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_what_is_no_part_is_refused(made, tmp_path):
  _, workdir, _, hosts = made
  with pytest.raises(errors.UserError, match="no run and no export") as e:
    mounting.run(tmp_path, hosts[1][0], tmp_path / "out")
  assert e.value.key == "--part"
  note = {"family": "mae", "config": {}}
  (tmp_path / "jmim.json").write_text(json.dumps(note))
  with pytest.raises(errors.UserError, match="in the layout mae"):
    mounting.run(tmp_path, hosts[1][0], tmp_path / "out")
