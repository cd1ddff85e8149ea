import json

import jax
import numpy as np
import pytest

from jmim.checkpoints import frozen
from jmim.core import errors
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.discrete import digit_pixels
from jmim.methods.parts import semantic_prior

NONE = field.replace(
  semantic_prior.SemanticPrior(),
  lm=dict(dims=dict(width=16, depth=1, heads=2)),
  sampling=dict(top_k=1),
)
SHAPE = (6, 4)  # codes, of an image


def test_without_a_path_there_is_none():
  assert NONE.inputs() == {} and NONE.consts(*SHAPE) == {}
  assert field.replace(NONE, classes=3).inputs() == {}


def test_a_run_of_stage_two_may_be_sampled_after_any():
  asked = field.asked(digit_pixels.DiGITPixels)
  assert {"prior.path", "prior.lm.dims.width", "render.sampling.steps"} <= asked
  assert not {"render.type", "lm.dims.width", "semantic.vocabulary"} & asked


@pytest.mark.parametrize("own", [dict(dims=dict(heads=1)), dict(post=False)])
def test_a_run_of_other_heads_or_norms_is_refused(own, tmp_path):
  """Shapes do not show them; how images are normalised does not matter."""
  trained = {"type": "discrete.digit", "lm": {"dims": {"heads": 2}}}
  run = {"method": trained, "data": {"mean": [0.5], "std": [0.5]}}
  (tmp_path / "config.json").write_text(json.dumps(run))
  there = field.replace(NONE, path=str(tmp_path))
  data = {"mean": (0.4,), "std": (0.2,)}
  with pytest.raises(errors.UserError, match="with a checkpoint"):
    frozen.load("prior", there.consts(*SHAPE)["prior"], data)
  trained["lm"] |= {"post": True}
  (tmp_path / "config.json").write_text(json.dumps(run))
  other = field.replace(there, lm=own).consts(*SHAPE)["prior"]
  with pytest.raises(errors.UserError, match=r"trained with lm\."):
    frozen.load("prior", other, data)


def test_codes_follow_the_label():
  part = field.replace(NONE, path="run", sha256="x", classes=3)
  assert part.inputs()["label"].high == 3
  const = part.consts(*SHAPE)["prior"]
  assert (const.path, const.sha256) == ("run", "x")
  assert const.key == "method.prior.path" and not const.images
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(const.init, jax.random.key(0))
  params = jax.tree.map(lambda s: rng.normal(size=s.shape).astype("f4"), shapes)
  assert params["embed"]["embedding"].shape == (5 + 6 + 3, 16)
  weights = methods.Weights({}, {}, {"prior": params})
  keys = jax.random.split(jax.random.key(0), 3)
  label = np.array([0, 1, 2])
  made = np.asarray(part.sample(keys, weights, {"label": label}, SHAPE))
  ids = np.concatenate([5 + 6 + label[:, None], 5 + made], axis=1)
  logits = part.net(*SHAPE).apply({"params": params}, ids)["logits"]
  np.testing.assert_array_equal(np.argmax(logits[:, :-1, 5:], -1), made)
