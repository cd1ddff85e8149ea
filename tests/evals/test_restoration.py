import evalkit
import numpy as np
import pytest
import skimage.metrics

from jmim.core import errors
from jmim.evals import restoration


def test_restoration_is_the_mean_over_images_of_scikit_images_values():
  context = evalkit.context(size=16)
  found = dict(restoration.Evaluator(crop=1).run(context))
  images, _ = context.rows("pixels", "eval", None, "raw")
  inner = images.astype(np.float64)[:, 1:-1, 1:-1]
  out = np.round((inner * 0.9 + 0.01) * 255) / 255
  kwargs = {"data_range": 1.0}
  want = [
    skimage.metrics.peak_signal_noise_ratio(a, b, **kwargs)
    for a, b in zip(inner, out, strict=True)
  ]
  np.testing.assert_allclose(found["psnr"], np.mean(want), rtol=1e-4)
  assert 0 < found["ssim"] < 1 and found["examples"] == 21
  assert np.isfinite(found["psnr_y"]) and "lpips" not in found


def test_frames_of_clips_are_images():
  rng = np.random.default_rng(0)
  target = rng.random((2, 3, 12, 12, 3)).astype("f4")
  made = np.clip(target + 0.1 * rng.random(target.shape), 0, 1).astype("f4")
  context, found = evalkit.context(size=12), []
  for shape in ((2, 3), (6,)):
    out = {"image": made, "target": target}
    out = {k: x.reshape(*shape, 12, 12, 3) for k, x in out.items()}
    context.outputs = lambda *args, out=out, **kwargs: iter([(out, {})])
    found.append(dict(restoration.Evaluator().run(context)))
  clips, images = found
  assert clips["psnr"] == images["psnr"] and clips["examples"] == 6


def test_what_is_no_picture_is_left_alone():
  """Results of a procedure hold numbers and labels beside the image."""
  image = np.random.default_rng(0).random((2, 12, 12, 3)).astype("f4")
  context, found = evalkit.context(size=12), []
  for more in ({}, {"label": np.arange(2), "index": np.arange(2)}):
    out = {"image": image, "target": image / 2} | more
    context.outputs = lambda *args, out=out, **kwargs: iter([(out, {})])
    found.append(dict(restoration.Evaluator().run(context)))
  assert found[0]["psnr"] == found[1]["psnr"] and found[1]["examples"] == 2


def test_weights_of_another_hash_are_refused(tmp_path):
  path = tmp_path / "lpips.npz"
  np.savez(path, x=np.zeros(1))
  wrong = restoration.Evaluator(lpips=str(path), lpips_sha256="0" * 64)
  with pytest.raises(errors.UserError, match="sha256"):
    dict(wrong.run(evalkit.context(size=16)))


def test_a_target_of_the_method_comes_before_the_image():
  image = np.full((2, 12, 12, 3), 0.5, np.float32)
  batch = {"image": np.zeros((2, 12, 12, 3), np.uint8)}
  context = evalkit.context(size=12)
  context.outputs = lambda *args, **kwargs: iter(
    [({"image": image, "target": image}, batch)]
  )
  values = dict(restoration.Evaluator().run(context))
  assert values["psnr"] == np.inf and values["ssim"] == pytest.approx(1)
  context.outputs = lambda *args, **kwargs: iter([({"image": image}, batch)])
  values = dict(restoration.Evaluator().run(context))
  assert values["psnr"] == pytest.approx(-20 * np.log10(128 / 255), rel=1e-6)


def test_the_input_is_measured_and_drawn_beside_the_others():
  rng = np.random.default_rng(0)
  target = rng.random((3, 12, 12, 3)).astype("f4")
  given = np.clip(target + 0.1, 0, 1)
  context = evalkit.context(size=12)
  # As of pairs that are stored: a batch without an image.
  yields = lambda out: lambda *args, **kwargs: iter([(out, {})])
  shown = {"image": target, "target": target, "input": given}
  context.outputs = yields(shown)
  values = dict(restoration.Evaluator().run(context))
  want = -10 * np.log10(((given - target) ** 2).mean((1, 2, 3)))
  assert values["psnr_input"] == pytest.approx(want.mean(), abs=0.05)
  assert values["psnr"] == np.inf
  wide = values["sheet"].shape[1]
  context.outputs = yields(shown | {"input": given[:, ::4, ::4]})
  small = dict(restoration.Evaluator().run(context))
  assert small["sheet"].shape[1] == wide and "psnr_input" not in small
  context.outputs = yields({"image": target, "target": target})
  plain = dict(restoration.Evaluator().run(context))
  assert plain["sheet"].shape[1] < wide


def test_grey_and_small_images_leave_out_what_they_have_not():
  evaluator = restoration.Evaluator()
  grey = np.zeros((3, 10, 10, 1), np.uint8)
  metrics = evaluator._measure(grey, grey + 51, None)
  assert set(metrics) == {"psnr"}
  np.testing.assert_allclose(metrics["psnr"], -20 * np.log10(0.2))
