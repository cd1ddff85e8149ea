"""Two hundred configs spoilt at random: a screen or a start, no traceback."""

import re
import sys

import hypothesis
import jax
import mistakes
import numpy as np
import PIL.Image
import pytest
from absl import flags
from hypothesis import strategies as st

from jmim import main
from jmim.core import base_config

TINY = {
  "data.name": "folder",
  "data.batch": "8",
  "train.total_steps": "2",
  "schedule.warmup_steps": "0",
  "hardware.compile_cache": "",
  "method.dims.width": "16",
  "method.dims.heads": "2",
  "method.dims.depth": "1",
  "method.decoder_dims.width": "16",
  "method.decoder_dims.heads": "2",
  "method.decoder_dims.depth": "1",
  "evals.loss": "None",
  "evals.recon": "None",
}
# Those that say how much is computed or kept are not made huge: that is no
# mistake, but a request.
METHOD = [
  "type",
  "size",
  "channels",
  "mask_ratio",
  "norm_pix",
  "dims",
  "dims.variant",
  "dims.heads",
  "dims.width",
  "dims.depth",
  "dims.no_such_field",
  "decoder_dims.heads",
  "decoder_dims.type",
  # Under their older names.
  "variant",
  "width",
  "decoder_heads",
  "no_such_field",
]
KEYS = sorted(
  {
    *base_config.KEYS,
    *(f"method.{n}" for n in METHOD),
    "evals.probe.type",
    "evals.probe.predict",
    "evals.probe.every_steps",
    "evals.nothing",
    "optim.players.main.lr",
    "optim.players.x",
    "data",
    "",
    "a.b.c",
  }
  - {"data.data_dir"}
)
VALUES = [
  "-1",
  "0",
  "1",
  "2",
  "3",
  "7",
  "8",
  "64",
  "0.5",
  "-0.5",
  "1e300",
  "nan",
  "inf",
  "''",
  "x",
  "None",
  "True",
  "False",
  "()",
  "(1,)",
  "(0.1, 0.2, 0.3)",
  "('a',)",
  "(('a', 1),)",
  "(('.*', 0.5),)",
  "(('(', 1),)",
  "{}",
  "[1, 2]",
  "{'a': 1}",
  "../../x",
  "/proc/x",
  "\N{SNOWMAN}",
  "f32",
  "bf16",
  "mim.mae",
  "resized",
  "center",
  "on",
  "1+1",
  "__import__('os')",
  "\\",
  "a\nb",
]
MUTATIONS = st.lists(
  st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)),
  min_size=1,
  max_size=3,
)


class Started(BaseException):
  """The first program is about to be compiled."""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
  folder = tmp_path_factory.mktemp("images")
  rng = np.random.default_rng(0)
  for split in ("train", "test"):
    for i in range(8):
      target = folder / split / "ab"[i % 2]
      target.mkdir(parents=True, exist_ok=True)
      pixels = rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)
      PIL.Image.fromarray(pixels).save(target / f"{i}.png")
  return folder


@pytest.mark.slow
@hypothesis.settings(
  max_examples=200,
  deadline=None,
  derandomize=True,
  suppress_health_check=list(hypothesis.HealthCheck),
)
@hypothesis.given(changes=MUTATIONS)
def test_a_spoilt_config_ends_in_a_screen_or_a_start(
  images, tmp_path_factory, changes
):
  def started(*args, **kwargs):
    raise Started

  workdir = tmp_path_factory.mktemp("w") / "run"
  given = [*TINY.items(), ("data.data_dir", str(images)), *changes]
  argv = ["jmim", mistakes.ASKED, f"--workdir={workdir}"]
  argv += [f"--config.{key}={value}" for key, value in given]
  for name in ("config", "workdir", "mode", "num"):
    flags.FLAGS[name].value = flags.FLAGS[name].default
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(sys, "argv", argv)
    patch.setattr(jax.stages.Lowered, "compile", started)
    patch.setattr(sys, "stderr", shown := Screen())
    try:
      main.run()
      pytest.fail("it trained without compiling")
    except Started:
      return
    except SystemExit as e:
      assert e.code == 2, (changes, shown.text)
  for label in ("seen", "expected", "fix"):
    assert re.search(rf"^ *{label}: \S", shown.text, re.M), shown.text
  assert not (workdir / "config.json").exists()
  assert not list(workdir.glob("checkpoints/*"))


class Screen:
  """Standard error that is kept."""

  text = ""

  def write(self, text):
    self.text += text

  def flush(self):
    """Nothing to do."""
