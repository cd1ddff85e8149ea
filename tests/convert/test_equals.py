"""Classifiers in the form of a plain ViT compute the same, here and there."""

import types

import jax
import jax.numpy as jnp
import kit
import numpy as np
import peers
import pytest

from jmim.checkpoints import heads
from jmim.convert import equals
from jmim.convert import exporting
from jmim.convert import families
from jmim.core import config as configs
from jmim.core import errors
from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.nn import sizes
from jmim.nn.nets import vit

SIDE, CLASSES = 16, 5
PLACES = {  # case -> library -> family
  "finetuned": {"timm": "timm_vit", "hf": "hf_beit"},
  "features": {"timm": "timm_vit", "hf": "hf_dinov2"},
  "cls": {"timm": "timm_vit", "hf": "hf_vit"},
}


def head(predict, width=32):
  rng = np.random.default_rng(7)
  kernel = rng.normal(size=(width, CLASSES)).astype(np.float32)
  return heads.Head(predict, kernel, np.arange(CLASSES, dtype=np.float32))


def random(method):
  """Leaves of a method, small enough that no softmax is one number."""
  rng = np.random.default_rng(0)
  return {
    n: rng.normal(0, 0.3, x.shape).astype(np.float32)
    for n, x in kit.shapes(method).items()
  }


def outputs(method, arrays, name):
  """An output for the images of `peers`."""
  tree = {"params": {}, "extra": {}} | trees.nested(arrays)
  weights = methods.Weights(tree["params"], tree["extra"], {})
  run = jax.jit(lambda w, x: method.predict()[name](w, {"image": x}, None))
  x = np.random.default_rng(1).normal(size=(2, SIDE, SIDE, 3))
  return np.asarray(run(weights, jnp.asarray(x, jnp.float32)))


def make(case):
  """(forms, logits that they have)."""
  if case == "finetuned":
    method = kit.tiny("supervised.finetune")
    arrays = random(method)
    forms = equals.finetuned(method, kit.weights(arrays))
    return forms, outputs(method, arrays, "logits")
  method, linear = kit.tiny("mim.mae"), head(case)
  arrays = random(method)
  forms = equals.probed(method, kit.weights(arrays), linear)
  seen = outputs(method, arrays, case)
  return forms, seen @ linear.kernel + linear.bias


@pytest.fixture(scope="module", params=PLACES)
def made(request):
  return request.param, *make(request.param)


def test_every_form_computes_the_same_logits(made):
  case, forms, want = made
  assert len(forms) == (3 if case == "features" else 2)
  for form in forms:
    arrays = dict(form.leaves)
    assert {n: x.shape for n, x in arrays.items()} == {
      n: x.shape for n, x in kit.shapes(form.method).items()
    }
    got = outputs(form.method, arrays, "logits")
    np.testing.assert_allclose(got, want, atol=2e-5 * np.abs(want).max())


def test_some_form_has_a_place_in_each_library(made):
  case, forms, _ = made
  for library, name in PLACES[case].items():
    fits = [
      n for f in forms for n in families.fitting(library, equals.NAME, f.method)
    ]
    assert fits[0] == name


@pytest.mark.parametrize("library", ["timm", "hf"])
def test_the_library_computes_the_same(made, library, tmp_path):
  case, forms, want = made
  name = PLACES[case][library]
  form = next(
    f for f in forms if name in families.fitting(library, equals.NAME, f.method)
  )
  peers.timm() if library == "timm" else peers.transformers()
  params = trees.nested(dict(form.leaves))["params"]
  folder = tmp_path / "ours"
  config = peers.write(name, form.method, params, folder)
  x = np.random.default_rng(1).normal(size=(2, SIDE, SIDE, 3))
  x = peers.channels_first(x.astype(np.float32))
  if library == "timm":
    got = peers.run(peers.retimm(config, folder), x).numpy()
  else:
    cls = getattr(peers.transformers(), config["architectures"][0])
    got = peers.run(peers.reread(cls, folder), x).logits.numpy()
  np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_what_is_no_fine_tuned_vit_has_no_form():
  assert equals.finetuned(kit.tiny("mim.mae"), kit.weights({})) == []
  assert equals.finetuned(kit.tiny("diffusion.dit"), kit.weights({})) == []


@pytest.mark.parametrize(
  "name, predict", [("mim.mae", "layers/block_01"), ("diffusion.dit", "cls")]
)
def test_outputs_that_no_classifier_reads_are_refused(name, predict):
  with pytest.raises(errors.UserError, match="features or cls of a ViT"):
    equals.probed(kit.tiny(name), kit.weights({}), head(predict))


def test_a_vit_that_no_library_has_is_refused():
  size = sizes.Size(width=32, depth=2, heads=4)
  net = vit.ViT(size=size, patch=4, grid=(4, 4), style={"qk_norm": True})
  method = types.SimpleNamespace(encoder=net, size=SIDE, channels=3)
  with pytest.raises(errors.UserError, match="qk_norm"):
    equals.probed(method, kit.weights({}), head("cls"))


def test_the_place_of_a_run_is_its_own_or_that_of_its_equal():
  config = configs.base()
  method = kit.tiny("supervised.finetune")
  section = {"type": "supervised.finetune", **field.settings(method)}
  config.method = configs.section(**section)
  leaves = kit.weights(random(method))
  own = exporting.place("authors", config, leaves)
  assert own.name == "mae_finetuned" and own.config is config
  found = exporting.place("timm", config, leaves)
  assert found.name == "timm_vit" and found.config.method.type == equals.NAME
  assert config.method.type == "supervised.finetune"  # as it was
  assert found.lines == (f"written as {equals.NAME}, which computes the same",)
  with pytest.raises(errors.UserError, match="--format=big_vision"):
    exporting.place("big_vision", config, leaves)
