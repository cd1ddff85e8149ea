import types

import evalkit
import numpy as np
import pytest
import skimage.metrics

from jmim.core import errors
from jmim.data.procedural import described
from jmim.data.procedural import seen
from jmim.evals import edits

SPEC = evalkit.context(size=32).spec  # pixels / 255
N = 5


def pictures(colour, seed=0):
  """uint8 [N, 32, 32, 3]: circles that grow, on a dim ground."""
  ground = described.draw_ground(np.random.default_rng(seed))
  looks = {"kind": 0, "colour": colour, "texture": 0, "y": 0.5, "x": 0.5}
  radii = 0.2 + 0.03 * np.arange(N)
  things = [described.Thing(**looks, long=r, wide=r) for r in radii]
  return np.stack([described.render([t], ground, 32)[0] for t in things])


SOURCE, BLUE = pictures(0), pictures(2)


def measured(out, batch=None, parts=1, held=({},) * N, **fields):
  """Results of the evaluator on one output, perhaps in several batches."""
  batch = {"image": SOURCE} if batch is None else batch
  batch = batch | {"index": np.arange(N)}
  cut = lambda tree, i: {
    k: np.array_split(x, parts)[i] for k, x in tree.items()
  }
  over = evalkit.stub([(cut(out, i), cut(batch, i)) for i in range(parts)])
  over.spec, over.sources = SPEC, {"eval": held}
  over.pixels = evalkit.context(size=32).pixels
  return dict(edits.Evaluator(**fields).run(over))


def units(images):
  return images.astype(np.float32) / 255


@pytest.mark.parametrize("parts", [1, 2])
def test_nearness_is_the_mean_of_scikit_images_values(parts):
  noisy = np.clip(SOURCE + np.arange(32)[:, None] % 7, 0, 255).astype(np.uint8)
  found = measured({"image": units(noisy)}, parts=parts)
  pairs = list(zip(SOURCE, noisy, strict=True))
  psnr = [skimage.metrics.peak_signal_noise_ratio(a, b) for a, b in pairs]
  ssim = [
    skimage.metrics.structural_similarity(
      a,
      b,
      gaussian_weights=True,
      sigma=1.5,
      use_sample_covariance=False,
      channel_axis=-1,
    )
    for a, b in pairs
  ]
  assert found["psnr"] == pytest.approx(np.mean(psnr))
  assert found["ssim"] == pytest.approx(np.mean(ssim), abs=2e-3)
  assert found["examples"] == N and "iou" not in found
  assert found["sheet"].ndim == 3 and found["sheet"].dtype == np.uint8


def test_masks_and_colours_of_things():
  """Four became blue, one stayed red but lost a part of its mask."""
  made = BLUE.copy()
  made[-1] = SOURCE[-1]
  made[-1, :, 16:] = SOURCE[-1, :1, :1]
  wanted = np.array([2, 2, 2, 1, 2])
  found = measured(
    {"image": units(made), "told": wanted}, things=True, asked=("colour=told",)
  )
  left = seen.overlap(*(seen.one(x[-1:])["mask"] for x in (SOURCE, made)))
  assert 0.4 < left[0] < 0.6
  assert found["iou"] == pytest.approx((4 + left[0]) / 5)
  assert found["same_colour"] == 20 and found["before_colour"] == 0
  assert found["asked_colour"] == 60
  held = [{"wanted": c, "told": 3} for c in wanted]
  by = lambda entry: measured(
    {"image": units(made), "told": wanted},
    things=True,
    asked=(f"colour={entry}",),
    parts=2,
    held=held,
  )
  # As it is stored; what the output says of itself goes before.
  assert by("wanted")["asked_colour"] == by("told")["asked_colour"] == 60
  red = measured({"image": units(made)}, things=True, asked=("colour=0",))
  assert red["asked_colour"] == 20 and red["before_colour"] == 100


def test_several_edits_and_another_source():
  """Of an entry with two pictures each, compared with a third."""
  out = {
    "both": np.stack([units(SOURCE), units(BLUE)], 1),
    "blue": units(BLUE),
    "told": np.stack([np.zeros(N, int), np.ones(N, int)], 1),
  }
  found = measured(
    out,
    batch={},
    edits=("both", "blue"),
    source="blue",
    things=True,
    asked=("colour=2",),
  )
  assert {k for k in found if k.startswith("asked")} == {
    "asked_colour_both_0",
    "asked_colour_both_1",
    "asked_colour_blue",
  }
  assert found["asked_colour_both_0"] == 0
  assert found["asked_colour_both_1"] == found["asked_colour_blue"] == 100
  assert found["psnr_both_1"] == np.inf and np.isfinite(found["psnr_both_0"])
  each = measured(out, edits=("both",), things=True, asked=("colour=told",))
  assert each["asked_colour_both_0"] == 100
  assert each["asked_colour_both_1"] == 0


def teller(folder, **data):
  """A run whose `logits` are linear in the pixels; size 4."""
  method = evalkit.Everything(size=4)
  params, _ = method.init(evalkit.jax.random.key(3), None)
  half = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
  evalkit.workdir(folder, "evalkit", params, **(half | data))
  weights = evalkit.method.Weights(params)
  return lambda x: np.asarray(
    method.predict()["logits"](weights, {"image": units(x)}, None)
  ).argmax(-1)


def small(seed=0):
  rng = np.random.default_rng(seed)
  return rng.integers(0, 255, (40, 4, 4, 3)).astype(np.uint8)


def test_attributes_are_told_by_another_run(tmp_path):
  tell = teller(tmp_path / "run")
  a, b = small(0), small(1)
  found = measured(
    {"image": units(b)},
    {"image": a},
    workdir=str(tmp_path / "run"),
    asked=("label=1",),
  )
  assert found["same_label"] == 100 * np.mean(tell(a) == tell(b))
  assert found["asked_label"] == 100 * np.mean(tell(b) == 1)
  assert found["before_label"] == 100 * np.mean(tell(a) == 1)
  assert 0 < found["same_label"] < 100 and "ssim" not in found
  assert found["protocol"]["told_by"].startswith("sha256:")


@pytest.mark.parametrize(
  "fields, key",
  [
    ({"edits": ("picture",)}, "edits"),
    ({"source": "clean"}, "source"),
    ({"asked": ("colour=told",)}, "asked"),
    ({"asked": ("kind=0",), "things": True}, "asked"),
    ({"edits": ("low",)}, "edits"),
    ({"asked": ("colour=each",), "things": True}, "asked"),
    (
      {"asked": ("colour=each",), "things": True, "edits": ("several",)},
      "asked",
    ),
    ({"workdir": "nowhere"}, "workdir"),
  ],
)
def test_what_is_not_there_is_named(fields, key):
  out = {"image": units(BLUE), "low": units(BLUE)[:, :8]}
  out["several"] = np.stack([out["image"]] * 3, 1)
  out["each"] = np.zeros((N, 2), int)
  with pytest.raises(errors.UserError) as e:
    measured(out, **fields)
  assert e.value.key == f"evals.<name>.{key}"


@pytest.mark.parametrize(
  "data, words", [({}, r"\(4, 4, 3\)"), ({"mean": (0.5,) * 3}, "data.mean")]
)
def test_a_run_on_other_pictures_is_refused(tmp_path, data, words):
  teller(tmp_path / "run", **data)
  with pytest.raises(errors.UserError, match=words):
    measured({"image": units(BLUE)}, workdir=str(tmp_path / "run"))


def test_a_run_that_tells_nothing_is_refused(tmp_path, monkeypatch):
  teller(tmp_path / "run")
  none = property(lambda self: types.MethodType(lambda self: {}, self))
  monkeypatch.setattr(evalkit.Everything, "predict", none)
  with pytest.raises(errors.UserError, match="logits"):
    measured({"image": units(BLUE)}, workdir=str(tmp_path / "run"))
