import hashlib

import evalkit
import numpy as np
import pytest
import skimage.metrics

from jmim.core import errors
from jmim.evals import introspect
from jmim.evals import restoration
from jmim.evals.lib import runner
from jmim.metrics import representation


def test_numbers_and_pictures_of_an_encoder():
  context = evalkit.context()
  found = dict(introspect.Evaluator(limit=21, examples=3).run(context))
  features, _ = context.features("features", "eval", 21, "raw")
  np.testing.assert_allclose(
    found["rank"], representation.effective_rank(features), rtol=1e-4
  )
  first, wide = (
    context.features(f"layers/{n}", "eval", 21, "raw")[0]
    for n in ("first", "wide")
  )
  np.testing.assert_allclose(
    found["cka_first_wide"], representation.linear_cka(first, wide), rtol=1e-4
  )
  distances = [k for k in found if k.startswith("distance")]
  assert len(distances) == 2 * 2  # layers, heads
  assert all(0 <= found[k] <= 2 * 2**0.5 for k in distances)
  for name in ("tokens", "cka"):
    assert found[name].dtype == np.uint8 and found[name].ndim == 3


def test_outputs_that_a_method_lacks_can_be_left_out():
  evaluator = introspect.Evaluator(layers="", attention="", limit=21)
  assert evaluator.needs() == ("tokens", "features")
  found = dict(evaluator.run(evalkit.context()))
  assert set(found) == {"rank", "tokens"}


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


def test_weights_of_another_hash_are_refused(tmp_path):
  path = tmp_path / "lpips.npz"
  np.savez(path, x=np.zeros(1))
  wrong = restoration.Evaluator(lpips=str(path), lpips_sha256="0" * 64)
  with pytest.raises(errors.UserError, match="sha256"):
    dict(wrong.run(evalkit.context(size=16)))
  right = hashlib.sha256(path.read_bytes()).hexdigest()
  _, details = restoration.Evaluator(
    lpips=str(path), lpips_sha256=right
  )._perceptual()
  assert details == {"lpips_weights": f"sha256:{right}"}


class Recorder:
  """A console and a writer that remember."""

  def __init__(self):
    self.lines, self.rows, self.said = [], [], []

  def print(self, text, style=None):
    self.said.append(text)

  def table(self, title, header, rows):
    self.rows += rows

  def scalars(self, step, values, **details):
    self.lines.append((values, details))

  def image(self, step, name, pixels):
    return f"{name}.png"


def test_every_result_line_has_its_protocol_and_what_the_run_added():
  class Adds(introspect.base.Evaluator):
    def run(self, context):
      yield "value", 1.5
      yield "protocol", {"weights_file": "sha256:abc"}

  context, seen = evalkit.context(), Recorder()
  data = {
    k: 0
    for k in (
      "name",
      "train_split",
      "eval_split",
      "eval_crop",
      "eval_resize",
      "size",
      "channels",
      "mean",
      "std",
    )
  }
  state = evalkit.state(*context.tree("raw"), step=4)
  numbers = runner.run(
    {"a": Adds()}, context, state=state, console=seen, writer=seen, data=data
  )
  assert numbers == {"a/value": 1.5}
  assert seen.said == ["evaluating a (1 of 1)"]
  ((values, details),) = seen.lines
  assert values == numbers
  protocol = details["protocol"]
  assert protocol["weights_file"] == "sha256:abc"
  for key in ("data.size", "data.mean", "weights", "predict", "seed", "git"):
    assert key in protocol, key
  assert any("sha256:abc" in cell for row in seen.rows for cell in row)
