"""The arithmetic of a claim, on results that are written by hand."""

import json
import pathlib

import numpy as np
import pytest

from jmim.core import field
from jmim.data.procedural import described
from jmim.methods.edit import diffumask_masks
from jmim.tools import claim

ROOT = pathlib.Path(__file__).resolve().parents[2]
N, SIDE = 4, 32


class Net:
  """A model whose output is a function."""

  config = {"data": {"data_dir": "D"}}

  def __init__(self, run):
    self.run = run

  def __call__(self, *asked):
    return self.run(*asked)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  """(the claim's module, workdir of a procedure, instances)."""
  spec = claim.importlib.util.spec_from_file_location(
    "claim_words", ROOT / "configs" / "claims" / "diffumask.py"
  )
  module = claim.importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  rng, rows = np.random.default_rng(0), []
  for _ in range(N):
    thing, _ = described.draw_one(rng)
    rows.append(described.render([thing], described.draw_ground(rng), SIDE))
  image, instance = map(np.stack, zip(*rows, strict=True))
  truth = instance > 0
  mask = truth.copy()
  mask[1] = False
  level = np.where(truth, 0.6, 0.2).astype(np.float32)
  level[2] = np.where(truth[2], 0.45, 0.2)  # 0.5 is too much for this one
  workdir = tmp_path_factory.mktemp("words")
  where = workdir / "applied" / "a" / "train"
  where.mkdir(parents=True)
  for i in range(2):
    part = slice(2 * i, 2 * i + 2)
    np.savez(
      where / f"part_{i:05d}.npz",
      image=image[part],
      word_map=level[part],
      mask=mask[part].astype(np.uint8),
      index=np.arange(N)[part],
    )
  small = field.replace(
    diffumask_masks.Masks(thresholds=(0.4, 0.55), least=4),
    crf=dict(near=1.0, place=8.0, steps=2),
  )
  section = {"type": "edit.diffumask_masks", **field.settings(small)}
  (workdir / "config.json").write_text(json.dumps({"procedure": section}))
  return module, workdir, instance


def test_the_truth_is_what_pixels_show(made):
  module, workdir, instance = made
  found = module.results(workdir)
  np.testing.assert_array_equal(found["truth"], instance > 0)
  assert module.iou(workdir) == pytest.approx(0.75)


def test_the_box_is_one_for_all(made):
  module, workdir, instance = made
  found = module.box(workdir)
  area = (instance > 0).mean()
  assert 0.1 < found < 0.9 and 0.1 < area < 0.4


def test_fixed_thresholds_are_of_all_images(made):
  """0.4 fits all maps; 0.5 and 0.55 lose the third thing."""
  module, workdir, _ = made
  found = module.fixed(workdir)
  assert sorted(found) == [0.4, 0.5, 0.55]
  assert found[0.4] > 0.95
  for g in (0.5, 0.55):
    assert found[g] == pytest.approx(0.75 * found[0.4], abs=0.03)


def test_segmenters_are_judged_on_real_scenes(made, monkeypatch):
  module, _, _ = made
  rows = []
  for i in range(5):
    rng = np.random.default_rng(i)
    thing, _ = described.draw_one(rng)
    image, instance = described.render([thing], np.full(3, 50.0), SIDE)
    rows.append({"image": image, "instance": instance, "label": thing.colour})

  def load(workdir):
    def net(name, images):
      assert name == "segment/guess"
      at = [
        next(i for i, r in enumerate(rows) if r["image"] is x) for x in images
      ]
      things = np.stack([rows[i]["instance"] for i in at])
      colours = np.array([rows[i]["label"] for i in at])[:, None, None]
      right = np.where(things > 0, 1 + colours, 0)
      return right if workdir == "good" else 0 * right

    return Net(net)

  monkeypatch.setattr(module.jmim, "load", load)
  monkeypatch.setattr(module.sources, "build", lambda *asked: rows)
  assert module.miou("good") == 100
  colours = {r["label"] for r in rows}
  ground = np.mean([r["instance"] == 0 for r in rows])
  assert module.miou("bad") == pytest.approx(100 * ground / (1 + len(colours)))
