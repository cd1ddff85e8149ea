import dataclasses
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.checkpoints import frozen
from jmim.checkpoints import store
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import state as states
from jmim.methods.parts import teacher
from jmim.nn import sizes
from jmim.nn.nets import teacher as nets

DIMS = sizes.Dims(variant="Ti/14", width=16, depth=2, heads=2)
DINOV2 = teacher.Teacher(
  family="dinov2_registers", dims=DIMS, layer=-2, norm=True, table_size=70
)
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
RECIPES = pathlib.Path(__file__).parents[3] / "configs"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_there_may_be_none():
  none = teacher.Teacher(family="none", layer=99)
  assert DINOV2.exists and not none.exists
  none.check((2, 2))


def test_what_it_asks_for_is_what_is_built():
  net = DINOV2.net((2, 2), MEAN, STD)
  assert net.encoder.table_grid == (5, 5) and net.encoder.registers == 4
  like = jax.eval_shape(net.init, jax.random.key(0))
  assert like["pos_embed"].shape == (1, 26, 16) and "norm" in like
  out = jax.eval_shape(
    lambda p, x: net.read(p, x, layer=DINOV2.layer),
    like,
    jnp.zeros((3, 28, 28, 3)),
  )
  assert out["patches"].shape == (3, 4, 16)


def test_a_run_must_have_seen_the_images_that_it_sees_here():
  agreed = lambda part: part.const(part.net((2, 2), MEAN, STD), "k").agrees
  assert agreed(DINOV2) == {
    "dims.heads": ("k.dims.heads", 2),
    "data.mean": ("k.mean", MEAN),
    "data.std": ("k.std", STD),
  }
  clip = dataclasses.replace(DINOV2, family="clip", table_size=0)
  assert agreed(clip)["data.mean"] == ("k.mean", nets.CLIP_MEAN)
  own = dataclasses.replace(clip, mean=STD, std=MEAN)
  assert agreed(own)["data.std"] == ("k.std", MEAN)
  np.testing.assert_equal(own.net((2, 2), MEAN, STD).statistics, (STD, MEAN))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
  """Workdir of a run with one kernel; the test writes its config.json."""
  workdir = tmp_path_factory.mktemp("teacher")
  checkpoints = store.Checkpoints(workdir)
  none = jnp.int32(0)
  state = states.State(
    step=jnp.int32(1),
    params={"main": {"kernel": jnp.ones((2, 3))}},
    opt={},
    ema={},
    extra={},
    window={},
    counted=none,
    skipped=none,
    skipped_total=none,
  )
  checkpoints.save(1, state, {})
  checkpoints.close()
  return workdir


@pytest.mark.parametrize(
  "recipe, part, statistics",
  [
    ("i2p_mae_shapenet", "guide", (nets.CLIP_MEAN, nets.CLIP_STD)),
    ("va_vae_imagenet", "", IMAGENET),
    ("va_vae_imagenet:teacher=mae", "", IMAGENET),
  ],
)
def test_recipes_give_teachers_foreign_images_as_released(
  run, recipe, part, statistics
):
  """A teacher with the statistics that `jmim.convert` writes is taken."""
  name, _, argument = recipe.partition(":")
  config = configs.load(f"{RECIPES / name}.py:{argument}".rstrip(":"))
  mean, std = statistics
  told = {"method": {}, "data": {"mean": mean, "std": std}}
  (run / "config.json").write_text(json.dumps(told))
  section = config.method[part].teacher if part else config.method.teacher
  section.path = str(run)

  def load(foreign):
    section.foreign = foreign
    const = discovery.make(config.method).consts()["teacher"]
    small = dataclasses.replace(
      const, init=lambda key: {"kernel": np.ones((2, 3))}
    )
    return frozen.load("teacher", small, config.data.to_dict())

  assert section.foreign
  np.testing.assert_array_equal(load(True)["kernel"], np.ones((2, 3)))
  with pytest.raises(errors.UserError, match="was trained with data.mean"):
    load(False)


@pytest.mark.parametrize(
  "change, word",
  [
    ({"dims": sizes.Dims(variant="Ti/14", heads=5)}, "t.dims.width 192"),
    ({"layer": 2}, "t.layer: 2 of 2"),
    ({"layer": -3}, "t.layer: -3 of 2"),
    ({"norm": False, "project": 8}, "t.norm=True"),
    ({"family": "mae"}, "t.table_size"),
    ({"table_size": 71}, "t.table_size 71"),
    ({"mean": (0.5,)}, "t.mean"),
  ],
)
def test_what_does_not_fit_is_named(change, word):
  with pytest.raises(ValueError, match=word):
    dataclasses.replace(DINOV2, **change).check((2, 2), "t")


@pytest.mark.parametrize("foreign", [False, True])
def test_a_teacher_with_other_heads_is_refused(refused, foreign):
  """No shape tells them; they are as foreign as its images are, or not."""

  def const(path):
    part = dataclasses.replace(DINOV2, path=path, foreign=foreign)
    return part.const(part.net((2, 2), MEAN, STD), "method.teacher")

  told = lambda heads: {"dims": dict(variant="Ti/14", width=16, heads=heads)}
  assert refused(const, told(2)) == "" == refused(const, {})
  assert refused(const, told(4)) == "method.teacher.dims.heads"
  assert refused(const, told(0)) == "method.teacher.dims.heads"  # 3, of Ti
