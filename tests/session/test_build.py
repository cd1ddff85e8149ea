"""From a section of a config to one object."""

import types

import jax
import numpy as np
import pytest
import toys

from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core.settings import optim as settings
from jmim.data import pipeline
from jmim.methods.mim import mae
from jmim.parallel import sharding
from jmim.session import build


def config(*items, **method):
  made = configs.base()
  made.method = configs.section(type="mim.mae", **method)
  made.data.name = "array"
  return configs.override(made, items)


def test_a_spec_is_the_data_the_seed_and_how_it_is_loaded():
  spec = build.make_spec(
    config(
      "seed=7",
      "data.batch=32",
      "data.crop_scale=[0.5, 1]",
      "hardware.data_threads=5",
      "hardware.prefetch=3",
    )
  )
  assert spec == pipeline.Spec(
    seed=7, batch=32, crop_scale=(0.5, 1.0), threads=5, prefetch=3, name="array"
  )


@pytest.mark.parametrize(
  ("item", "key"),
  [
    ("data.mean=(0.5,)", "data.mean"),
    ("data.eval_resize=8", "data.eval_resize"),
    ("data.crop_scale=(0.9, 0.1)", "data.crop_scale"),
    ("data.repeat_samples=3", "data.repeat_samples"),
  ],
)
def test_data_that_do_not_go_together_name_their_key(item, key):
  with pytest.raises(errors.UserError) as caught:
    build.make_spec(config(item))
  assert caught.value.key == key


def test_the_optimizer_of_a_player_overrides_that_of_all():
  made = config("optim.lr=0.5", "optim.players.judge.name=sgd")
  assert build.make_optim(made, "judge") == settings.Optim(lr=0.5, name="sgd")
  assert build.make_optim(made, "maker") == settings.Optim(lr=0.5)


def test_a_schedule_keeps_the_units_of_the_config():
  made = config("schedule.warmup_epochs=2", "schedule.name=rsqrt")
  assert build.make_schedule(made) == settings.Schedule(
    warmup_epochs=2.0, name="rsqrt"
  )


def test_choices_of_the_hardware_are_made_for_the_devices():
  mesh = sharding.make_mesh({"data": -1}, jax.devices()[:2])
  plain = build.make_runtime(config().hardware, mesh)
  assert (plain.dtype, plain.attention) == (jax.numpy.float32, "einsum")
  assert not plain.scan and plain.flat == "all" and plain.mesh is mesh
  items = ("hardware.dtype=bf16", "hardware.scan=on", "hardware.unroll=2")
  other = build.make_runtime(config(*items).hardware, mesh)
  assert other.dtype == jax.numpy.bfloat16 and other.scan and other.unroll == 2


@pytest.mark.parametrize("platform", ["tpu", "gpu"])
def test_tokens_are_flattened_on_processors_only(platform):
  device = types.SimpleNamespace(platform=platform)
  mesh = types.SimpleNamespace(devices=np.array([device]), shape={})
  assert build.make_runtime(config().hardware, mesh).flat == "none"


def test_names_of_remat_need_their_kind():
  good = config("hardware.remat=names", "hardware.remat_save=('qkv',)")
  build.check_remat(good.hardware)
  for items in (
    ["hardware.remat_save=('qkv',)"],
    ["hardware.remat=names", "hardware.remat_offload=('qvk',)"],
  ):
    with pytest.raises(errors.UserError) as caught:
      build.check_remat(config(*items).hardware)
    assert caught.value.key == items[-1].partition("=")[0]


def test_older_keys_are_named_with_what_they_are_called_now():
  made = config(width=48, decoder_depth=2, mask_ratio=0.5)
  method = discovery.make(made.method)
  assert method.dims.width == 48 and method.decoder_dims.depth == 2
  assert set(build.renamed_keys(made, method, {})) == {
    "method.width is method.dims.width now",
    "method.decoder_depth is method.decoder_dims.depth now",
  }
  today = config(dims=configs.section(width=48), mask_ratio=0.5)
  assert build.renamed_keys(today, discovery.make(today.method), {}) == ()
  assert made.method.width == 48  # the given one is not changed


def test_an_architecture_that_cannot_be_built_is_an_error_of_the_user():
  with pytest.raises(errors.UserError, match="divide by patch 5"):
    discovery.make(config(dims=configs.section(variant="Ti/5")).method)
  with pytest.raises(errors.UserError) as caught:
    discovery.make(config("method.dims.widht=3").method)
  assert caught.value.key == "method.dims.widht"


def test_evaluators_are_checked_against_the_method():
  made = config()
  made.evals = configs.section(a=configs.section(type="knn", k=(5,)))
  method = mae.MAE()
  evaluators = build.make_evaluators(made, method)
  assert evaluators["a"].k == (5,)
  for changes, key in (
    ({"type": "kn"}, "evals.a.type"),
    ({"type": "knn", "predict": "logits"}, "evals.a.predict"),
    ({"type": "knn", "weights": "ema"}, "evals.a.weights"),
    ({"type": "knn", "kk": 3}, "evals.a.kk"),
  ):
    made.evals = configs.section(a=configs.section(**changes))
    with pytest.raises(errors.UserError) as caught:
      build.make_evaluators(made, method)
    assert caught.value.key == key


def test_texts_of_an_evaluator_need_a_tokenizer():
  made = config()
  asked = dict(type="zeroshot", predict="features", text="features")
  made.evals = configs.section(z=configs.section(**asked))
  assert set(build.make_evaluators(made, mae.MAE())) == {"z"}
  made.evals.z.templates = ("a {}",)
  with pytest.raises(errors.UserError, match="evals.z.templates") as caught:
    build.make_evaluators(made, mae.MAE())
  assert caught.value.key == "data.tokenizer"
  made.data.tokenizer = "bytes"
  assert set(build.make_evaluators(made, mae.MAE())) == {"z"}


def test_a_method_may_be_any_module():
  made = config()
  made.method = configs.section(type="toys", size=4)
  assert discovery.make(made.method) == toys.Adversarial(size=4)
  made.method.type = "toyz"
  with pytest.raises(errors.UserError) as caught:
    discovery.make(made.method)
  assert caught.value.key == "method.type"
