"""From a config to a step, with toy methods and a folder of tiny images."""

import dataclasses
import json

import jax
import numpy as np
import PIL.Image
import pytest
import toys

from jmim.core import config as configs
from jmim.core import errors
from jmim.data import feed
from jmim.methods.mim import mae
from jmim.session import assemble
from jmim.session import build


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """40 images of 2 x 2 pixels in one class."""
  root = tmp_path_factory.mktemp("images")
  rng = np.random.default_rng(0)
  for split, n in (("train", 40), ("test", 8)):
    (root / split / "a").mkdir(parents=True)
    for i in range(n):
      pixels = rng.integers(0, 256, (2, 2), dtype=np.uint8)
      PIL.Image.fromarray(pixels).save(root / split / "a" / f"{i}.png")
  return root


def config(folder, *items):
  made = configs.base()
  made.method.type = "toys"  # the last class there: two players
  made.data.update(
    name="folder",
    data_dir=str(folder),
    batch=16,
    size=2,
    channels=1,
    mean=(0.5,),
    std=(0.5,),
    flip=False,
  )
  made.train.total_epochs = 10.0
  made.evals = configs.section(knn=configs.section(type="knn"))
  return configs.override(made, items)


def test_players_take_their_settings_from_the_config(folder):
  parts = assemble.make(
    config(
      folder,
      "optim.lr=0.5",
      "optim.lr_batch=8",
      "optim.players.discriminator.name=sgd",
      "optim.players.discriminator.lr=0.01",
      "optim.players.discriminator.freeze=('bias',)",
      "schedule.name=constant",
    )
  )
  batch = {"image": jax.ShapeDtypeStruct((16, 2, 2, 1), np.uint8)}
  step = assemble.make_step(parts)
  rates = {p: float(o.schedule(1)) for p, o in step.optimizers.items()}
  # lr is per 8 examples, the batch has 16.
  assert rates == pytest.approx({"generator": 1.0, "discriminator": 0.02})
  state = jax.eval_shape(step.init, batch, {})
  leaves = {p: len(jax.tree.leaves(s)) for p, s in state.opt.items()}
  assert leaves == {"generator": 5, "discriminator": 1}


def test_a_toy_of_two_players_trains_on_real_files(folder):
  parts = assemble.make(
    config(folder, "optim.players.generator.lr=0.0", "ema.decay=0.9")
  )
  where = jax.sharding.NamedSharding(
    parts.mesh, jax.sharding.PartitionSpec(("data", "fsdp"))
  )
  batches = feed.batches(parts.sources["train"], parts.spec, ("image",), where)
  first = next(batches)
  step = assemble.make_step(parts)
  state = new = jax.jit(step.init)(first, {})
  run = jax.jit(step)
  for _ in range(3):
    new, metrics = run(new, {}, next(batches))
    assert all(np.isfinite(v) for v in metrics.values())
  batches.close()
  np.testing.assert_array_equal(new.extra["plays"], [3, 3])
  moved = {
    p: bool(
      np.any(
        state.params[p]["dense"]["kernel"] != new.params[p]["dense"]["kernel"]
      )
    )
    for p in toys.Adversarial.players
  }
  assert moved == {"generator": False, "discriminator": True}


def test_durations_are_resolved_with_the_data(folder):
  parts = assemble.make(
    config(
      folder,
      "schedule.warmup_epochs=1",
      "train.checkpoint_images=80",
      "train.keep_every_epochs=0.01",
      "evals.knn.every_epochs=2",
      "optim.lr=1.0",
    )
  )
  # 40 images, batch 16: 2.5 steps an epoch.
  assert (parts.examples, parts.batch, parts.total) == (40, 16, 25)
  assert parts.checkpoint_every == 5
  assert parts.keep_every == 1  # shorter than a step: each, not none
  assert parts.evaluators["knn"][1] == 5
  schedule = assemble.make_step(parts).optimizers["generator"].schedule
  assert float(schedule(1)) == pytest.approx(1 / 2.5)


@pytest.mark.parametrize(
  ("entry", "words"),
  [
    ({"vector": toys.method.Input((3,))}, "'vector', which the method reads"),
    ({"image": toys.method.Input((2, 2, 1), range=(0.0, 1.0))}, "'image' with"),
    ({"label": toys.method.Input((), np.int32, 0)}, "1 classes in the data, 0"),
  ],
)
def test_what_the_method_reads_is_looked_for_in_an_example(
  folder, monkeypatch, entry, words
):
  monkeypatch.setattr(toys.Adversarial, "init", lambda self, key, b: ({}, {}))
  monkeypatch.setattr(toys.Adversarial, "inputs", lambda self: entry)
  monkeypatch.setattr(toys.Adversarial, "players", ())
  with pytest.raises(errors.UserError, match=words):
    assemble.make(config(folder))


def test_the_config_that_is_kept_is_complete(folder):
  given = config(folder, "method.latent=5")
  kept = assemble.make(given).config
  assert kept.method.latent == 5 and kept.method.size == 2
  assert kept.evals.knn.temperature == 0.07
  assert "rt" not in kept.method
  again = assemble.make(kept).config
  assert json.loads(again.to_json()) == json.loads(kept.to_json())
  assert "size" not in given.method  # the given one is not changed


def test_hardware_changes_nothing_else(folder):
  plain = assemble.make(config(folder))
  other = assemble.make(
    config(
      folder, "hardware.mesh.fsdp=8", "hardware.scan=on", "hardware.dtype=bf16"
    )
  )
  assert dataclasses.replace(other.method, rt=plain.method.rt) == plain.method
  assert other.mesh.shape["fsdp"] == other.mesh.size == 8
  assert other.method.rt.scan and not plain.method.rt.scan


def test_a_method_that_reads_what_there_is_not(folder, monkeypatch):
  inputs = {"video": toys.method.Input((4, 2, 2, 1))}
  monkeypatch.setattr(toys.Adversarial, "inputs", lambda self: inputs)
  with pytest.raises(errors.UserError, match="reads 'video'") as e:
    assemble.make(config(folder))
  assert e.value.key == "method.type"


def test_a_model_needs_no_data(folder):
  made = config(folder, "data.data_dir=/nowhere", "hardware.mesh.fsdp=2")
  model = assemble.prepare(made)
  kernel = model.shapes["generator"]["dense"]["kernel"]
  assert kernel.shape == (3, 4) and model.method.rt.mesh is model.mesh
  assert model.mesh.shape["fsdp"] == 2
  with pytest.raises(errors.UserError, match="fsdp=3|mesh"):
    assemble.prepare(config(folder, "hardware.mesh.fsdp=3"))


def test_rules_of_the_layout_are_tried_before_anything_is_read(folder):
  rules = "hardware.shard_rules=(('kernel',('nowhere',)),)"
  with pytest.raises(errors.UserError) as e:
    assemble.prepare(config(folder, "data.data_dir=/nowhere", rules))
  assert e.value.key == "hardware.shard_rules"


def test_a_method_may_name_axes_that_the_mesh_lacks(folder, monkeypatch):
  axes = (("kernel", ("nowhere", "fsdp")),)
  monkeypatch.setattr(toys.Adversarial, "axes", lambda self: axes)
  model = assemble.prepare(config(folder, "hardware.mesh.fsdp=4"))
  where = model.layout.tree({"params": model.shapes})["params"]
  spec = where["generator"]["dense"]["kernel"].spec  # [3, 4]
  assert spec == jax.sharding.PartitionSpec(None, "fsdp")


def test_parts_are_sections_of_the_config_that_is_kept():
  method = mae.MAE.tiny()
  given = configs.base()
  # A run from before there were parts: flat keys.
  given.method = configs.section(type="mim.mae", width=32, decoder_width=16)
  kept = build.resolved(given, method, {})
  assert kept.method.type == "mim.mae" and kept.method.dims.width == 32
  assert kept.method.decoder_dims.width == 16
  assert "width" not in kept.method and "decoder_width" not in kept.method
  json.loads(kept.to_json())


def test_frozen_networks_are_shapes_where_nothing_is_read():
  const = toys.method.Const(
    "/nowhere.npz", lambda key: {"w": jax.numpy.ones(3)}
  )

  class Frozen(toys.Momentum):
    def consts(self):
      return {"teacher": const}

  shapes = assemble.make_consts(Frozen(), {}, empty=True)
  assert shapes["teacher"]["w"] == jax.ShapeDtypeStruct((3,), np.float32)
  with pytest.raises(errors.UserError, match="no file"):
    assemble.make_consts(Frozen(), {}, empty=False)
