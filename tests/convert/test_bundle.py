"""A whole Stable Diffusion as three runs: a file, a folder, the library's."""

import json

import jax
import kit
import numpy as np
import peers
import pytest

from jmim.checkpoints import models
from jmim.convert import bundle
from jmim.convert import files
from jmim.convert import options
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import field

STAGE = dict(variant="kl-f8", width=8, blocks=1)
WORDS = dict(
  vocabulary=10,
  length=6,
  start=8,
  end=9,
  pad=9,
  width=16,
  depth=3,
  heads=2,
  layer=2,
)
IDS = np.array([[8, 1, 4, 9, 9, 9], [8, 2, 5, 7, 3, 9]])


def recipe():
  """A tiny network told by a text, in latents of 8 x 8."""
  config = configs.base()
  config.data.update(name="folder", size=64, mean=(0.5,) * 3, std=(0.5,) * 3)
  config.method = configs.section(
    type="latent.ldm",
    size=8,
    channels=4,
    dims=dict(
      width=16,
      multipliers=(1, 2),
      blocks=1,
      attend_at=(2,),
      heads=2,
      dropout=0.0,
      norm_groups=8,
    ),
    first_stage=STAGE | dict(path="VAE", scale=0.2),
    condition=dict(task="text", transformer=1, text=WORDS | dict(path="TEXT")),
  )
  return config


def parts():
  """Random arrays of the three, with the names of each family."""
  method = kit.discovery.make(recipe().method)
  net = kit.export("ldm", method)
  made = lambda kind, **fields: kit.discovery.make(
    configs.section(type=kind, **fields)
  )
  stage = made("latent.autoencoder_kl", size=64, dims=STAGE, latent_scale=0.2)
  towers = options.NO_IMAGES
  text = made("text.clip", **towers, text=WORDS | dict(projection=16, layer=1))
  return {
    "net": net,
    "first_stage": kit.export("ldm_first_stage", stage),
    "text": kit.export("hf_clip_text", text),
  }


@pytest.fixture(scope="module")
def written():
  return parts()


@pytest.fixture(scope="module")
def file(tmp_path_factory, written):
  """As the authors have it: all in one, without a projection of texts."""
  inside = {
    "net": "",
    "first_stage": "first_stage_model.",
    "text": "cond_stage_model.transformer.",
  }
  arrays = {
    inside[name] + n: x
    for name, part in written.items()
    for n, x in part.theirs.items()
    if "loss." not in n and "text_projection" not in n
  }
  path = tmp_path_factory.mktemp("sd") / "model.npz"
  files.write_npz(path, arrays.items())
  return path


def test_a_file_becomes_three_runs_that_know_each_other(
  tmp_path, written, file
):
  lines = bundle.run(str(file), recipe(), tmp_path / "SD")
  assert any(line.startswith("text: stays fresh") for line in lines)
  model = models.of_run(tmp_path / "SD" / "net")
  method, weights = model.method, model.weights
  assert method.condition.text.layer == 2
  assert method.condition.text.path == str(tmp_path / "SD" / "text")
  assert method.first_stage.scale == 0.2 and model.config.data.size == 64
  named = kit.trees.named
  for name, tree in (
    ("net", {"params": weights.params}),
    ("text", {"params": {"main": {"text": weights.consts["text"]}}}),
    ("first_stage", {"params": {"autoencoder": weights.consts["first_stage"]}}),
  ):
    ours = written[name].ours
    for leaf, x in named(tree).items():
      np.testing.assert_array_equal(x, ours[leaf], leaf)
  # They are used as one: an image comes of a text.
  made = field.replace(method, sampling=dict(steps=1, guidance=2.0))
  batch = {"tokens": IDS, "index": np.arange(2)}
  shape = jax.eval_shape(made.predict()["sample"], weights, batch, key())
  assert shape.shape == (2, 64, 64, 3)


def key():
  return jax.random.key(0)


def test_a_version_is_told_by_the_names_of_its_text_encoder(
  tmp_path, monkeypatch
):
  loaded = []

  def load(name):
    loaded.append(name)
    return recipe()

  monkeypatch.setattr(bundle.configs, "load", load)
  for version, name in ((1, "transformer.text_model."), (2, "model.ln_final.")):
    path = tmp_path / f"{version}.npz"
    names = {f"cond_stage_model.{name}bias": np.zeros(2)}
    files.write_npz(path, names.items())
    found = bundle.of_file(str(path), None, tmp_path / "out")
    assert loaded.pop() == bundle.RECIPE.format(version)
    assert found["net"].family == {1: "ldm", 2: "ldm2"}[version]
    assert found["text"].config.data.size == 32
    assert found["first_stage"].config.method.latent_scale == 0.2
    text = found["text"].config.method.text
    assert (text.layer, text.projection, text.path) == (1, 16, "")


@pytest.mark.parametrize("version", [1, 2])
def test_the_recipe_is_of_the_size_of_both_versions(version):
  config = configs.load(bundle.RECIPE.format(version))
  method = kit.discovery.make(config.method)
  bundle._check("latent.ldm", method)
  made = method.consts()["text"]
  shapes = jax.eval_shape(made.init, key())
  count = sum(x.size for x in jax.tree.leaves(shapes))
  # CLIP L/14 and OpenCLIP H/14, without their projections.
  assert count == {1: 123_060_480, 2: 352_984_064}[version]
  net = method.net()
  assert [net.heads_at(i) for i in range(4)] == (
    [8] * 4 if version == 1 else [5, 10, 20, 20]
  )


def folder(where, written, *, linear=False, pad="!", predicted="v_prediction"):
  """What Diffusers saves, from the same three methods."""
  chosen = {
    "text_encoder": ("hf_clip_text", "text"),
    "vae": ("diffusers_vae", "first_stage"),
    "unet": ("diffusers_unet2" if linear else "diffusers_unet", "net"),
  }
  for name, (family, part) in chosen.items():
    made = kit.export(family, written[part].method, written[part].ours)
    config = made.family.write_config(written[part].method)
    theirs = {n: x for n, x in made.theirs.items() if "text_proj" not in n}
    peers.save(where / name, config, theirs)
  for name, content in {
    "tokenizer/tokenizer_config": {"pad_token": {"content": pad}},
    "scheduler/scheduler_config": {
      "prediction_type": predicted,
      "beta_start": 0.00085,
      "beta_end": 0.012,
      "beta_schedule": "scaled_linear",
      "num_train_timesteps": 100,
    },
  }.items():
    path = where / f"{name}.json"
    path.parent.mkdir()
    path.write_text(json.dumps(content))
  return where


@pytest.mark.parametrize("linear", [False, True])
def test_a_folder_says_all_of_its_sizes(tmp_path, written, linear):
  where = tmp_path / "sd"
  where.mkdir()
  folder(where, written, linear=linear)
  made = bundle.of_folder(where, tmp_path / "SD")
  method = kit.discovery.make(made["net"].config.method)
  was = kit.discovery.make(recipe().method)
  assert method.dims.net(out=4).multipliers == was.dims.net(out=4).multipliers
  assert (method.size, method.channels, method.prediction) == (8, 4, "v")
  assert (method.noise.times, method.noise.beta_end) == (100, 0.012)
  assert method.condition.task == "text" and method.condition.text.pad == 0
  assert method.condition.text.depth == 3
  assert method.first_stage.scale == 0.2 and method.first_stage.width == 8
  assert made["text"].config.method.text.pad == 0
  assert made["net"].config.data.size == 64
  family = "diffusers_unet2" if linear else "diffusers_unet"
  assert made["net"].family == family


def test_a_schedule_is_read_as_it_is_said(tmp_path):
  told = tmp_path / "scheduler_config.json"
  told.write_text(json.dumps({"rescale_betas_zero_snr": True}))
  assert bundle._schedule(tmp_path, {})["noise"] == {"zero_snr": True}
  told.write_text(json.dumps({"trained_betas": [0.1, 0.2]}))
  with pytest.raises(errors.UserError, match="trained_betas"):
    bundle._schedule(tmp_path, {})


def test_padding_is_the_end_where_no_tokenizer_says_otherwise(tmp_path):
  assert bundle._padding(tmp_path, 9) == 9
  told = tmp_path / "tokenizer_config.json"
  told.write_text(json.dumps({"pad_token": "<|endoftext|>"}))
  assert bundle._padding(tmp_path, 9) == 9


def test_what_is_no_whole_model_is_refused(tmp_path, file):
  path = tmp_path / "part.npz"
  files.write_npz(path, [("model.diffusion_model.x", np.zeros(2))])
  with pytest.raises(errors.UserError, match="0 text encoders"):
    bundle.run(str(path), None, tmp_path / "out")
  (tmp_path / "d" / "unet").mkdir(parents=True)
  with pytest.raises(errors.UserError, match="text_encoder, vae"):
    bundle.run(str(tmp_path / "d"), None, tmp_path / "out")
  other = recipe()
  other.method.condition.task = "context"
  with pytest.raises(errors.UserError, match="'context'") as caught:
    bundle.run(str(file), other, tmp_path / "out")
  assert caught.value.key == "--config"
  assert not (tmp_path / "out").exists()


def test_the_library_predicts_the_same_noise_of_a_text(tmp_path, written):
  """UNet and text encoder of random weights, through Diffusers' folder."""
  library, torch = peers.diffusers(), peers.torch()
  where = tmp_path / "sd"
  where.mkdir()
  folder(where, written, predicted="epsilon")
  words = peers.transformers().CLIPTextModel
  unet = library.UNet2DConditionModel
  theirs = {}
  for name, kind in (("text_encoder", words), ("unet", unet)):
    config = json.loads((where / name / "config.json").read_text())
    made = (
      kind(kind.config_class(**config))
      if kind is words
      else (kind.from_config(config))
    )
    theirs[name] = peers.shake(made)
    (where / name / "model.safetensors").unlink()  # of other numbers
    made.save_pretrained(where / name)
  bundle.run(str(where), None, tmp_path / "SD")
  model = models.of_run(tmp_path / "SD" / "net")
  text = model.method.condition.text
  assert (text.start, text.end) == (8, 9)
  told = peers.run(theirs["text_encoder"], torch.from_numpy(IDS))
  told = told.last_hidden_state
  x = np.random.default_rng(0).normal(size=(2, 8, 8, 4)).astype(np.float32)
  t = np.array([7, 500])
  want = peers.run(
    theirs["unet"], peers.channels_first(x), torch.from_numpy(t), told
  ).sample.numpy()
  diffuser = model.method.diffuser(model.weights)
  ids = IDS.astype(np.int32)
  shown, _ = diffuser.tell({"tokens": ids, "index": np.arange(2)})
  got = jax.jit(diffuser.network)(x, t, shown)
  scale = max(1, np.abs(want).max())
  np.testing.assert_allclose(np.moveaxis(got, -1, 1), want, atol=1e-4 * scale)
