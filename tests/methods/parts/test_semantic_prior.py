import jax
import numpy as np

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


def test_codes_follow_the_label():
  part = field.replace(NONE, path="run", sha256="x", classes=3)
  assert part.inputs()["label"].high == 3
  const = part.consts(*SHAPE)["prior"]
  assert (const.path, const.sha256) == ("run", "x")
  assert const.key == "method.prior.path"
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
