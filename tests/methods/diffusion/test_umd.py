import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.methods.diffusion import maskdit
from jmim.methods.diffusion import umd
from jmim.methods.mim import mae
from jmim.nn import patch as patching
from jmim.nn import stack
from jmim.parallel import sharding

B = 4
TINY = umd.UMD.tiny()
_INIT = jax.jit(TINY.init)


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  image = rng.uniform(-1, 1, (B, 16, 16, 3)).astype(np.float32)
  return {"image": image, "label": np.array([0, 1, 2, 1], np.int32)}


@pytest.fixture(scope="module")
def draws(batch):
  return TINY.drawn(jax.random.key(5), batch)


@pytest.fixture(scope="module")
def params(fill, batch):
  """Every leaf normal, so that no bias, scale or zero start is trivial."""
  return fill(TINY, batch, seed=2, scale=0.2)[0]


def loss_of(method, params, batch, draws):
  return jax.jit(lambda p: method.loss(methods.Weights(p), batch, draws, 0))(
    params
  )


class AsMAE(mae.MAE):
  """MAE's own loss, on the prediction of UMD's network."""

  umd = None

  def forward(self, params, batch, draws):
    t = jnp.zeros(B, jnp.int32)
    mask = masking.hide(draws["scores"], self.umd.clean_mask)
    out = self.umd.forward(params, batch["image"], t, None, mask=mask)
    return {"pred": patching.patchify(out["x0"], 4), "mask": mask}


def test_all_clean_is_mae(params, batch, draws):
  method = dataclasses.replace(TINY, clean_share=1.0)
  theirs = AsMAE(size=16, norm_pix=False, mask_ratio=0.75, dims=TINY.dims)
  object.__setattr__(theirs, "umd", method)
  loss, aux = loss_of(method, params, batch, draws)
  wanted, _ = loss_of(theirs, params, batch, draws)
  np.testing.assert_allclose(loss, wanted, rtol=5e-6)
  assert set(aux) == {"loss_mae"}
  # Noise, times and labels reach nothing.
  other = {**draws, "t": draws["t"] * 0, "noise": draws["noise"] * 2}
  other["label_drop"] = jnp.zeros(B)
  assert loss_of(method, params, batch, other)[0] == loss


def test_all_noised_and_nothing_hidden_is_half_of_both_errors(
  params, batch, draws
):
  method = dataclasses.replace(TINY, clean_share=0.0, noised_mask=0.0)
  loss, _ = loss_of(method, params, batch, draws)
  x_t, a, s = method.noise.add(batch["image"], draws["t"], draws["noise"])
  np.testing.assert_allclose(
    x_t, a * batch["image"] + s * draws["noise"], atol=1e-6
  )
  label = method.labels.dropped(batch, draws)
  out = jax.jit(method.forward)(params, x_t, draws["t"] + 1, label)
  errors = [(out["eps"] - draws["noise"]), (out["x0"] - batch["image"])]
  wanted = np.mean([np.mean(np.asarray(e) ** 2) for e in errors])
  np.testing.assert_allclose(loss, wanted, rtol=1e-5)


def test_the_loss_weighs_both_parts_by_their_share(params, batch, draws):
  loss, aux = loss_of(TINY, params, batch, draws)
  wanted = (aux["loss_eps"] + aux["loss_x0"]) / 4 + aux["loss_mae"] / 2
  np.testing.assert_allclose(loss, wanted, rtol=1e-6)
  quarter = dataclasses.replace(TINY, clean_share=0.25)
  loss, aux = loss_of(quarter, params, batch, draws)
  wanted = 0.75 * (aux["loss_eps"] + aux["loss_x0"]) / 2
  np.testing.assert_allclose(loss, wanted + aux["loss_mae"] / 4, rtol=1e-6)


def test_maskdit_is_umd_without_clean_rows(params, batch, draws):
  ours = dataclasses.replace(TINY, clean_share=0.0, noised_mask=0.5)
  loss, _ = loss_of(maskdit.MaskDiT.tiny(), params, batch, draws)
  np.testing.assert_allclose(loss, loss_of(ours, params, batch, draws)[0])


def test_at_the_start_time_does_not_matter_and_class_tokens_are_equal(batch):
  params = _INIT(jax.random.key(0), batch)[0]
  assert not np.asarray(params["main"]["cls_token"]).any()
  forward = jax.jit(TINY.forward)
  outs = [
    forward(params, batch["image"], jnp.full(B, t), batch["label"])["x0"]
    for t in (0, 7)
  ]
  np.testing.assert_array_equal(*outs)
  assert np.abs(outs[0]).max() > 0


def test_time_0_differs_from_time_1(params, batch):
  forward = jax.jit(TINY.forward)
  zero, one = (
    forward(params, batch["image"], jnp.full(B, t), batch["label"])["eps"]
    for t in (0, 1)
  )
  assert np.abs(zero - one).max() > 1e-3


def test_features_see_everything_and_no_label(params, batch):
  features = jax.jit(TINY.features)
  key, weights = jax.random.key(0), methods.Weights(params)
  clean = features(weights, batch, key)
  relabelled = {**batch, "label": batch["label"] * 0}
  np.testing.assert_array_equal(clean, features(weights, relabelled, key))
  noised = dataclasses.replace(TINY, probe_time=5)
  assert (
    np.abs(clean - jax.jit(noised.features)(weights, batch, key)).max() > 0.01
  )


def test_errors_are_those_of_the_two_tasks(params, batch):
  key = jax.random.key(3)
  errors = jax.jit(TINY.errors)(methods.Weights(params), batch, key)
  draws = TINY.drawn(key, batch)
  clean = dataclasses.replace(TINY, clean_share=1.0)
  dit = dataclasses.replace(TINY, clean_share=0.0, noised_mask=0.0)
  np.testing.assert_allclose(
    errors["masked"].mean(), loss_of(clean, params, batch, draws)[0], rtol=1e-5
  )
  _, aux = loss_of(dit, params, batch, draws)
  np.testing.assert_allclose(errors["eps"].mean(), aux["loss_eps"], rtol=1e-5)


# Sampling.


def sample(method, params, given, key=0):
  weights = methods.Weights(params)
  return np.asarray(jax.jit(method.sample)(weights, given, jax.random.key(key)))


def test_an_image_is_a_function_of_seed_and_number(params):
  index, label = np.arange(8), np.arange(8) % 3
  whole = sample(TINY, params, {"index": index, "label": label})
  pick = np.array([6, 1])
  some = sample(TINY, params, {"index": pick, "label": label[pick]})
  np.testing.assert_allclose(some, whole[pick], atol=1e-4)
  others = sample(TINY, params, {"index": index, "label": label}, key=1)
  assert np.abs(others - whole).max() > 0.1


def test_one_and_eight_devices_make_the_same_images(params):
  given = {"index": np.arange(64), "label": np.arange(64) % 3}
  mesh = sharding.make_mesh({"data": -1, "fsdp": 1})
  rt = runtime.Runtime(mesh=mesh, batch_axes=sharding.BATCH_AXES)
  many = dataclasses.replace(TINY, rt=rt)
  placed = jax.device_put(given, sharding.batch_sharding(mesh))
  # The first calls multiply the network's rounding by hundreds: on some
  # processors one number in 49,152 was 1.2e-4 off with the larger parameters.
  params = jax.tree.map(lambda x: x / 2, params)
  one = sample(TINY, params, given)
  np.testing.assert_allclose(sample(many, params, placed), one, atol=1e-4)
  others = sample(TINY, params, given | {"label": (given["label"] + 1) % 3})
  assert np.abs(others - one).max(axis=(1, 2, 3)).min() > 1e-3


def test_the_loop_of_sampling_does_not_cut_the_layers_apart(params):
  given = {"index": np.arange(B), "label": np.arange(B) % 3}
  spread = lambda p, *more: TINY.sample(
    methods.Weights(stack.unrolled(TINY.rt, p)), *more
  )
  made = jax.make_jaxpr(spread)(params, given, jax.random.key(0))
  (loop,) = [e for e in made.eqns if e.primitive.name == "scan"]
  shapes = [v.aval.shape for v in loop.invars]
  blocks = params["main"]["encoder"]["layers"]
  kernel = blocks["mlp"]["fc1"]["kernel"].shape
  assert kernel[1:] in shapes and kernel not in shapes


def test_guidance_1_is_conditional_and_0_is_unconditional(params):
  given = {"index": np.arange(B), "label": np.array([0, 1, 2, 1])}
  nobody = {**given, "label": np.full(B, 3)}  # the row of "no label"
  one = sample(TINY, params, given)
  zero = sample(field.replace(TINY, sampling={"guidance": 0.0}), params, given)
  np.testing.assert_allclose(zero, sample(TINY, params, nobody), atol=1e-3)
  assert np.abs(one - zero).max() > 1e-3
  more = sample(
    field.replace(TINY, sampling={"guidance": 1.0001}), params, given
  )
  np.testing.assert_allclose(more, one, atol=0.02)


def test_guidance_only_in_its_interval(params):
  """Outside of it the prediction is the conditional one."""
  given = {"index": np.arange(B), "label": np.array([0, 1, 2, 1])}
  strong = field.replace(TINY, sampling={"guidance": 3.0})
  inside = lambda *t: field.replace(strong, sampling={"guidance_interval": t})
  always, never = sample(strong, params, given), sample(TINY, params, given)
  # Of the times 19, 13, 7, 1 and 0 of 20, none, two and all are inside.
  none = sample(inside(0.96, 1.0), params, given)
  some = sample(inside(0.3, 0.7), params, given)
  every = sample(inside(0.0, 0.96), params, given)
  np.testing.assert_allclose(none, never, atol=1e-3)
  np.testing.assert_allclose(every, always, atol=1e-3)
  assert np.abs(some - never).max() > 1e-3 < np.abs(some - always).max()


@pytest.mark.parametrize(
  "change",
  [
    {"size": 18},
    {"dims": {"heads": 5}},
    {"sampling": {"steps": 21}},
    {"sampling": {"guidance_interval": (0.5,)}},
  ],
)
def test_what_cannot_be_built_is_refused(change):
  with pytest.raises(ValueError, match="18|5 heads|21|two times"):
    field.replace(TINY, **change).inputs()
