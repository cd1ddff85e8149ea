"""What stands beside weights: the family, the config, the preprocessing."""

import json

import jax
import kit
import numpy as np
import pytest

from jmim.checkpoints import weights
from jmim.convert import families
from jmim.convert import importing
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import field
from jmim.core import tree as trees


def beside(folder, **files):
  """A folder with these JSON files, and a file of weights to name."""
  for name, content in files.items():
    (folder / f"{name}.json").write_text(json.dumps(content))
  return str(folder / "model.safetensors")


def vit_mae(**changes):
  method = kit.tiny("mim.mae", norm_pix=False)
  return families.find("hf_vit_mae").write_config(method) | changes


def test_a_config_beside_the_weights_makes_the_config(tmp_path):
  path = beside(tmp_path, config=vit_mae())
  name, config = importing.resolve("auto", path, None)
  assert name == "hf_vit_mae" and config.method.type == "mim.mae"
  assert config.method.dims.width == 32
  assert config.method.decoder_dims.depth == 1
  assert config.data.size == 16 and config.data.frames == 0
  assert config.data.channels == 3


def test_a_config_that_is_given_is_taken_as_it_is(tmp_path):
  config = configs.base()
  found = importing.resolve("mae", str(tmp_path), config)
  assert found == ("mae", config) and found[1] is config


@pytest.mark.parametrize(
  "name, config, seen",
  [
    ("auto", {"model_type": "bert"}, "config.json says bert"),
    ("auto", None, "config.json says nothing"),
    ("mae", None, "no --config, and no config.json of mae"),
    ("mae", {"model_type": "vit_mae"}, "no --config"),
    ("hf_vit_mae", {"hidden_size": 32}, "config.json has no 'decoder"),
  ],
)
def test_what_is_missing_is_said(tmp_path, name, config, seen):
  path = beside(tmp_path, **({"config": config} if config else {}))
  with pytest.raises(errors.UserError, match=seen):
    importing.resolve(name, path, None)


SMALLER = dict(do_normalize=False, size={"height": 8, "width": 8})


def test_preprocessing_to_another_side_is_followed_or_refused(tmp_path):
  """Of a network of 16 pixels: DINOv2's takes 8, ViTMAE's does not."""
  method = kit.tiny("vit", layer_scale=0.5, pool="cls_mean")
  dinov2 = families.find("hf_dinov2").write_config(method)
  path = beside(tmp_path, config=dinov2, preprocessor_config=SMALLER)
  _, config = importing.resolve("auto", path, None)
  assert config.data.size == config.method.size == 8
  assert config.method.table_size == 16
  made = importing.discovery.make(config.method)
  shape = trees.named(importing.shapes(made))["params/main/encoder/pos_embed"]
  assert shape.shape == (1, 1 + 16, 32)
  path = beside(tmp_path, config=vit_mae(), preprocessor_config=SMALLER)
  with pytest.raises(errors.UserError, match="8 pixels beside .* 16"):
    importing.resolve("auto", path, None)


def test_a_size_may_be_a_list_of_two(tmp_path):
  path = beside(tmp_path, config=vit_mae(image_size=[16, 16]))
  assert importing.resolve("auto", path, None)[1].data.size == 16
  path = beside(tmp_path, config=vit_mae(image_size=[16, 32]))
  with pytest.raises(errors.UserError, match="image_size"):
    importing.resolve("auto", path, None)


def test_preprocessing_is_that_of_the_library_that_wrote_it(tmp_path):
  timm = dict(mean=[0.1] * 3, std=[0.5] * 3)
  path = beside(tmp_path, config={"pretrained_cfg": timm})
  assert importing.processor(path)["std"] == (0.5,) * 3
  path = beside(tmp_path, config={}, preprocessor_config=SMALLER)
  assert importing.processor(path)["std"] == (1.0,) * 3


def test_nothing_beside_the_weights_says_nothing(tmp_path):
  assert importing.processor(str(tmp_path)) == {}
  assert importing.settings(str(tmp_path)) == {}


def test_shapes_are_those_of_init():
  method = kit.tiny("mim.ijepa")
  like = trees.named(importing.shapes(method))
  assert {n: (x.shape, x.dtype) for n, x in like.items()} == {
    n: (x.shape, x.dtype) for n, x in kit.shapes(method).items()
  }
  assert {n.partition("/")[0] for n in like} == {"params", "extra"}


@pytest.fixture
def mae(tmp_path):
  """A file of the authors' names, and a config for it."""
  written = kit.export("mae", kit.tiny("mim.mae"))
  encoder = {
    n: x
    for n, x in written.theirs.items()
    if not n.startswith(("decoder", "mask_token"))
  }
  np.savez(tmp_path / "w.npz", **encoder)
  config = configs.base()
  config.data.update(name="folder", size=16)
  entries = field.settings(written.method)
  config.method = configs.section(type="mim.mae", **entries)
  config.hardware.compile_cache = ""
  config.hardware.mesh.fsdp = 4
  return written, str(tmp_path / "w.npz"), config


def test_a_file_becomes_a_run_of_step_0(tmp_path, mae):
  written, path, config = mae
  lines = importing.run("mae", path, config, tmp_path / "run")
  params = weights.read_section(tmp_path / "run", "params")
  fresh = {n for n in written.ours if "/decoder/" in n}
  assert set(lines) == {f"stays fresh: {n}" for n in fresh}
  for name, array in written.ours.items():
    saved = params[name.removeprefix("params/")]
    if name in fresh:
      assert saved.shape == array.shape and not np.array_equal(saved, array)
    else:
      np.testing.assert_array_equal(saved, array, name)
  with pytest.raises(errors.UserError, match="has a checkpoint already"):
    importing.run("mae", path, config, tmp_path / "run")


def test_fresh_leaves_are_those_of_the_seed(tmp_path, mae):
  written, path, config = mae
  importing.run("mae", path, config, tmp_path / "run")
  params = weights.read_section(tmp_path / "run", "params")
  batch = {"image": np.zeros((2, 16, 16, 3), np.float32)}
  key = importing.steps.init_key(config.seed)
  want, _ = jax.jit(written.method.init)(key, batch)
  for name, array in trees.named(want).items():
    if "/decoder/" in name:
      np.testing.assert_allclose(params[name], array, atol=1e-6)


def test_a_method_of_another_layout_is_refused_before_anything_is_written(
  tmp_path, mae
):
  _, path, config = mae
  with pytest.raises(errors.UserError, match="it is for mim.simmim"):
    importing.run("simmim", path, config, tmp_path / "run")
  assert not (tmp_path / "run").exists()
