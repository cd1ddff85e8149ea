"""--mode=apply with a run of a tiny UNet, in process."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
import stuckkit
import tinyrun

from jmim.core import config as configs
from jmim.core import errors
from jmim.core import field
from jmim.core import procedure
from jmim.data import pipeline
from jmim.data import sources
from jmim.modes import apply
from jmim.modes import dry_run
from jmim.modes import train
from jmim.session import applying
from jmim.session import assemble
from jmim.session import batches as feeds
from jmim.session import lock
from jmim.session import samples


@dataclasses.dataclass(frozen=True, kw_only=True)
class Halfway(procedure.Procedure):
  """Images moved towards the mean of others; `mean` is fitted."""

  fits = True
  asked = ("share",)

  source: procedure.Needs = field.part(procedure.Needs, "any diffusion model")
  share: float = field.value(0.5, "share of the way", low=0.0, high=1.0)

  def models(self):
    return {"source": self.source}

  def inputs(self, models):
    image = procedure.Input(models["source"].diffuser.image)
    return {"image": image}

  def collect(self, models, batch, draws):
    return {"z": models["source"].diffuser.encode(batch["image"])}

  def fit(self, rows):
    total, n = 0.0, 0
    for row in rows:
      total, n = total + row["z"].astype(np.float64).sum(0), n + len(row["z"])
    return {"mean": total / n}

  def fitted_like(self, rows):
    return {"mean": rows["z"].update(shape=rows["z"].shape[1:])}

  def apply(self, models, fitted, batch, draws):
    source = models["source"].diffuser
    z = source.encode(batch["image"])
    moved = (1 - self.share) * z + self.share * jnp.float32(fitted["mean"])
    return {"image": source.decode(moved), "norm": (moved**2).mean((1, 2, 3))}

  def pictures(self):
    return ("image",)


def data_of(config, data_dir):
  config.data.update(data_dir=data_dir, batch=16, **tinyrun.DIGITS)
  config.hardware.compile_cache = ""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  """(data_dir, workdir) of a run of two steps."""
  data_dir = str(tmp_path_factory.mktemp("data"))
  config = configs.base()
  data_of(config, data_dir)
  config.method = configs.section(
    type="diffusion.dit",
    size=8,
    channels=1,
    dims=configs.section(variant="S/4", width=16, depth=1, heads=2),
    labels=configs.section(classes=10),
    noise=configs.section(times=20),
    sampling=configs.section(steps=2),
  )
  config.train.update(total_steps=2, log_steps=1)
  config.ema.decay = 0.9
  config.evals = configs.section()
  workdir = tmp_path_factory.mktemp("run")
  train.run(config, workdir)
  return data_dir, workdir


@pytest.fixture
def recipe(source):
  """The config of SDEdit with that run."""
  data_dir, workdir = source
  config = configs.procedure()
  data_of(config, data_dir)
  config.procedure = configs.section(
    type="edit.img2img",
    source=configs.section(path=str(workdir)),
    steps=3,
    sampler="ddpm",
    told="random",
    guidance=2.0,
  )
  config.apply.num = 20
  config.evals = configs.section(
    change=configs.section(type="restoration", predict="apply", examples=4)
  )
  return config


def held(workdir, split="eval"):
  (folder,) = (workdir / "applied").iterdir()
  paths = sorted((folder / split).glob("part_*.npz"))
  parts = [np.load(p) for p in paths]
  joined = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
  order = np.argsort(joined["index"])
  return folder, {k: x[order] for k, x in joined.items()}


def measured(workdir):
  """The one line of metrics.jsonl, of the last start."""
  return json.loads((workdir / "metrics.jsonl").read_text())


def test_results_are_written_resumed_and_continued(recipe, tmp_path, capsys):
  apply.run(recipe, tmp_path)
  shown = capsys.readouterr().out
  assert "source: diffusion.dit" in shown and "20 of them new" in shown
  folder, first = held(tmp_path)
  assert first["image"].dtype == np.uint8 and first["image"].std() > 1
  assert first["image"].shape == (20, 8, 8, 1)
  assert len(set(first["index"])) == 20 and max(first["index"]) > 20
  assert len(set(first["label"])) > 3
  picture = PIL.Image.open(folder / "eval" / "part_00000.png")
  assert picture.size[0] > 100
  line = measured(tmp_path)
  assert line["eval"] == "change" and 0 < line["change/psnr"] < 60
  assert line["change/examples"] == 20
  assert list((tmp_path / "images").glob("change_sheet*.png"))
  about = json.loads((folder / "protocol.json").read_text())
  assert len(about["models"]["source"]) == 64
  # More of them, in other batches: the first ones are as they were.
  more = configs.override(recipe, ["apply.num=30", "data.batch=8"])
  apply.run(more, tmp_path)
  assert "10 of them new" in capsys.readouterr().out
  _, all_of_them = held(tmp_path)
  assert len(all_of_them["index"]) == 30
  assert measured(tmp_path)["change/examples"] == 30
  same = np.isin(all_of_them["index"], first["index"])
  found = np.float32(all_of_them["image"][same])
  np.testing.assert_allclose(found, first["image"], atol=1)
  apply.run(more, tmp_path)
  assert " 0 of them new" in capsys.readouterr().out
  (folder / "eval" / "part_00001.npz").write_bytes(b"PK cut by a crash")
  apply.run(more, tmp_path)
  shown = capsys.readouterr().out
  assert "part_00001.npz is damaged" in shown and "4 of them new" in shown


def test_several_results_of_an_example_are_measured_and_drawn(
  recipe, source, tmp_path
):
  """Codes decoded from two starts; with the evaluator of edits."""
  recipe.procedure = configs.section(
    type="edit.cycle_diffusion",
    source=configs.section(path=str(source[1])),
    code=configs.section(steps=4, spacing="offset", eta=1.0),
    search=configs.section(skip=(3, 0), keep="all"),
  )
  recipe.evals = configs.section(edits=configs.section(type="edits"))
  recipe.apply.num = 8
  apply.run(recipe, tmp_path)
  _, rows = held(tmp_path)
  assert rows["image"].shape == (8, 2, 8, 8, 1)
  line = measured(tmp_path)
  # Told their own class, they come back but for what 8 bits round.
  for key in ("edits/psnr_image_0", "edits/psnr_image_1"):
    assert key not in line or line[key] > 45
  assert line["edits/examples"] == 8
  assert list((tmp_path / "images").glob("edits_sheet*.png"))


def test_results_are_a_data_set_of_the_next_run(recipe, tmp_path, capsys):
  config = configs.override(
    recipe,
    [
      "apply.store=edited",
      "apply.splits=('train', 'eval')",
      "procedure.strength=0.0",
      f"data.data_dir={tmp_path}",
    ],
  )
  apply.run(config, tmp_path / "made")
  assert "stored: " in capsys.readouterr().out
  for split, name in (("train", "train"), ("test", "eval")):
    stored = sources.build("edited", split, str(tmp_path))
    _, rows = held(tmp_path / "made", name)
    assert len(stored) == 20 and stored.num_classes == 10
    got = {int(stored[i]["index"]): stored[i] for i in range(20)}
    for i, index in enumerate(rows["index"]):
      assert got[index]["label"] == rows["label"][i]
      assert got[index]["origin"] == index
  apply.run(config, tmp_path / "made")
  assert "stored before" in capsys.readouterr().out
  other = configs.override(config, ["seed=1"])
  with pytest.raises(errors.UserError, match="is there") as e:
    apply.run(other, tmp_path / "made")
  assert e.value.key == "apply.store"


def test_an_example_may_have_several_results(recipe, tmp_path):
  once = configs.override(
    recipe, ["apply.num=5", "apply.store=", f"data.data_dir={tmp_path}"]
  )
  apply.run(once, tmp_path / "made")
  folder, first = held(tmp_path / "made")
  n = len(sources.build("digits/plain", "test", str(tmp_path)))
  again = configs.override(once, ["apply.repeats=3", "apply.store=several"])
  apply.run(again, tmp_path / "made")
  same, rows = held(tmp_path / "made")
  assert same == folder and len(rows["index"]) == 15
  of = rows["index"] % n
  assert sorted(of) == sorted(3 * first["index"].tolist())
  np.testing.assert_array_equal(rows["image"][:5], first["image"])
  for i in first["index"]:
    three = np.float32(rows["image"][of == i])
    assert len(three) == 3 and (three[0] != three[1]).any()
    assert (three[1] != three[2]).any()
  assert measured(tmp_path / "made")["change/examples"] == 15
  stored = sources.build("several", "test", str(tmp_path))
  origins = [stored[i]["origin"] for i in range(15)]
  assert sorted(origins) == sorted(of)
  assert stored[0]["index"] % n == stored[0]["origin"]


def test_a_fit_is_made_once(recipe, source, tmp_path, capsys):
  config = configs.override(recipe, ["evals.change=None", "apply.num=8"])
  config.procedure = configs.section(
    type=__name__, source=configs.section(path=str(source[1]))
  )
  apply.run(config, tmp_path)
  assert "fit written to" in capsys.readouterr().out
  (path,) = (tmp_path / "fitted").glob("*.npz")
  with np.load(path) as fitted:
    mean = fitted["mean"]
  train_split = sources.build("digits/plain", "train", source[0])
  assert mean.shape == (8, 8, 1) and mean.dtype == np.float64
  assert len(train_split) > 100
  # Where it ends is all that is asked for: the fit stays.
  apply.run(configs.override(config, ["procedure.share=1.0"]), tmp_path)
  assert "fit read from" in capsys.readouterr().out
  folders = sorted((tmp_path / "applied").iterdir())
  assert len(folders) == 2
  whole = [np.load(next((f / "eval").glob("*.npz")))["image"] for f in folders]
  still = [x for x in whole if not np.ptp(x, axis=0).max()]
  assert len(still) == 1  # share 1: all are the mean
  pixels = np.round((mean * 0.5 + 0.5) * 255)
  np.testing.assert_allclose(still[0][0], pixels, atol=1)
  # Other examples to fit on are another fit.
  apply.run(configs.override(config, ["apply.fit_num=10"]), tmp_path)
  assert "fit written to" in capsys.readouterr().out


def a_batch(kennel, patch):
  items = kennel.items_after(1, pipeline.evaluation_batches)
  patch.setattr(pipeline, "evaluation_batches", items)


def a_device(kennel, patch):
  begin = applying.Work.__init__

  def made(self, *args, **more):
    begin(self, *args, **more)
    self._apply = kennel.after(1, self._apply)

  patch.setattr(applying.Work, "__init__", made)


def a_file(kennel, patch):
  patch.setattr(samples, "write", kennel.never_returns)


@pytest.mark.parametrize(
  "stuck, what",
  [
    (a_batch, "no batch for 1 s, waiting for a batch (the disk"),
    (a_device, "no output apply of eval for 1 s, waiting for the devices"),
    (a_file, "no file for 1 s, waiting for results to be written"),
  ],
)
def test_what_is_stuck_ends_it(
  recipe, tmp_path, monkeypatch, capfd, stuck, what
):
  kennel = stuckkit.kennel(monkeypatch)
  stuck(kennel, monkeypatch)
  with pytest.raises(stuckkit.Bitten):
    apply.run(recipe, tmp_path)
  said = capfd.readouterr().err
  assert set(kennel.codes) == {5} and kennel.limits == [8]
  assert what in said and "in never_returns" in said


def test_who_has_lost_the_workdir_writes_nothing_more(
  recipe, tmp_path, monkeypatch
):
  """It was suspended while another took the workdir, and wakes up."""
  results, other = applying.Work.results, []

  def slow(self, *args):
    for i, rows in enumerate(results(self, *args)):
      if i:
        (tmp_path / lock.NAME).unlink()
        other.append(lock.Lock(tmp_path))
      yield rows

  monkeypatch.setattr(applying.Work, "results", slow)
  with pytest.raises(errors.UserError, match="is being written by"):
    apply.run(recipe, tmp_path)
  assert len(list((tmp_path / "applied").rglob("part_*.npz"))) == 1
  other[0].check()  # it is still its own
  other[0].release()


def wrong(recipe, tmp_path, *items):
  with pytest.raises(errors.UserError) as e:
    apply.run(configs.override(recipe, items), tmp_path / "new")
  assert not (tmp_path / "new").exists()
  return e.value.key


def test_mistakes_leave_no_trace(recipe, source, tmp_path):
  at = lambda *items: wrong(recipe, tmp_path, *items)
  assert at("procedure.source.path=") == "procedure.source.path"
  assert at(f"procedure.source.path={tmp_path}/no") == "procedure.source.path"
  assert at("procedure.source.sha256=12ab") == "procedure.source.sha256"
  assert at("procedure.steps=21") == "procedure.steps"
  key = at("procedure.told=label", "procedure.label=10")
  assert key == "procedure.label"
  assert at("data.mean=(0.4,)") == "data.mean"
  assert at("data.size=16") == "data.size"
  assert at("data.batch=12") == "data.batch"
  assert at("apply.splits=('test',)") == "apply.splits"
  assert at("evals.change.predict=sample") == "evals.change.predict"
  with pytest.raises(errors.UserError) as e:
    apply.run(recipe, source[1])
  assert e.value.key == "--workdir"


def test_evaluators_are_checked_before_anything_is_computed(recipe, tmp_path):
  """By their own rules too: the fitted part is known by its shape."""
  at = lambda *items: wrong(recipe, tmp_path, *items)
  assert at("evals.change.predict=apply/imgae") == "evals.change.predict"
  find = dict(type="retrieval", predict="apply/image", id="label")
  recipe.evals.find = configs.section(**find, reference=False)
  assert at("evals.find.id=person") == "evals.find.id"
  assert at("evals.find.k=(0,)") == "evals.find.k"
  assert at("evals.find.predict=apply") == "evals.find.predict"
  recipe.evals.find = configs.section(type="knn", predict="apply/image")
  assert at("evals.find.train_split=train") == "evals.find.train_split"


def test_a_dry_run_needs_neither_run_nor_data(recipe, source, tmp_path):
  text = (
    "from jmim.core import run_config\n"
    f"get_config = lambda arg=None: run_config.load({str(source[1])!r})\n"
  )
  (tmp_path / "recipe.py").write_text(text)
  config = configs.override(
    recipe,
    [
      "procedure.source.path=",
      f"procedure.source.recipe={tmp_path / 'recipe.py'}",
      "data.data_dir=nowhere",
    ],
  )
  made = dry_run.report(config, jax.devices()[:2])
  assert made["batch"] == 16 and made["devices"] == 2
  assert made["procedure"]["type"] == "edit.img2img"
  assert made["flops"]["model_per_image"] > 1000


@pytest.fixture(scope="module")
def edits(source, tmp_path_factory):
  """data_dir with `edits`: two of each of 16 and of another 8 digits."""
  data_dir, workdir = source
  config = configs.procedure()
  data_of(config, data_dir)
  config.data.update(train_split="train[:16]", eval_split="train[16:24]")
  config.procedure = configs.section(
    type="edit.img2img",
    source=configs.section(path=str(workdir)),
    steps=3,
    strength=0.4,
    told="random",
  )
  config.apply.update(splits=("train", "eval"), repeats=2, store="edits")
  apply.run(config, tmp_path_factory.mktemp("edits"))
  return data_dir


def test_origins_are_learnt_of_edits(edits, tmp_path):
  config = configs.base()
  data_of(config, edits)
  config.data.update(name="edits", eval_split="train", batch=8)
  config.data.update(group="origin", members=2)
  config.method = configs.section(
    type="edit.oripid",
    size=8,
    channels=1,
    features=4,
    members=2,
    head=configs.section(classes=16),
    first_stage=configs.section(variant="none"),
  )
  config.train.update(total_steps=2, log_steps=1)
  parts = assemble.make(config)
  batches = feeds.Batches(parts, [])
  origins = []
  for _ in range(2):  # an epoch
    batch = jax.device_get(next(batches))
    assert batch["image"].shape == (8, 2, 8, 8, 1)
    assert (batch["image"][:, 0] != batch["image"][:, 1]).any((1, 2, 3)).all()
    origins += batch["origin"].tolist()
  batches.close()
  assert sorted(origins) == list(range(16))
  config.ema.decay = 0.9
  config.evals = configs.section(
    asked=configs.section(
      type="retrieval",
      weights="ema",
      queries="edits",
      gallery="digits/plain",
      gallery_split="train[16:80]",
      id="origin",
      gallery_id="index",
      examples=2,
    )
  )
  train.run(config, tmp_path)
  lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
  found = next(x for x in map(json.loads, lines) if "asked/map" in x)
  assert found["asked/queries"] == 16 and found["asked/gallery"] == 64
  assert 0 < found["asked/map"] <= 100
  assert list((tmp_path / "images").glob("asked_sheet*.png"))
