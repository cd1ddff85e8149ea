"""VQ-Diffusion: three kinds of blocks, buffers and what is around them."""

import kit
import numpy as np
import pytest

CLASS = kit.tiny("discrete.vq_diffusion")
TEXT = kit.tiny(
  "discrete.vq_diffusion",
  network=dict(mlp="linear", timed="sinusoid"),
  condition=dict(
    kind="text", classes=0, tokens=2, width=5, learn_null=True, drop=0.5
  ),
)


@pytest.mark.parametrize("method", [CLASS, TEXT], ids=["class", "text"])
def test_whole_checkpoints_are_read(method):
  """Averages first; one level deeper than the goldens have them."""
  written = kit.check("vq_diffusion", method)
  theirs = {f"ema.{n}": x for n, x in written.theirs.items()}
  theirs |= {"ema.log_at": np.zeros(6), "ema.log_bt": np.zeros(6)}
  theirs |= {f"model.{n}": x + 1 for n, x in written.theirs.items()}
  made, leaves = kit.load(written, theirs)
  for name, x in written.ours.items():
    np.testing.assert_array_equal(leaves[name], x)
  assert len(made.ignored) == len(written.theirs) + 2
  inside = {f"model.transformer.{n}": x for n, x in written.theirs.items()}
  inside |= {"model.content_codec.enc.weight": np.zeros(3)}
  made, leaves = kit.load(written, inside)
  for name, x in written.ours.items():
    np.testing.assert_array_equal(leaves[name], x)
  assert made.ignored == ["model.content_codec.enc.weight"]


def test_names_are_those_of_the_kinds():
  written = kit.check("vq_diffusion", CLASS)
  block = "transformer.blocks.1"
  assert written.theirs[f"{block}.ln2.emb.weight"].shape == (3, 32)
  assert written.theirs[f"{block}.mlp.conv1.weight"].shape == (128, 32, 3, 3)
  assert f"{block}.attn.key.weight" in written.theirs
  written = kit.check("vq_diffusion", TEXT)
  assert written.theirs[f"{block}.attn2.key.weight"].shape == (32, 5)
  assert f"{block}.ln1_1.linear.weight" in written.theirs
  assert f"{block}.ln1.emb.weight" not in written.theirs
  assert written.theirs["empty_text_embed"].shape == (2, 5)


def test_the_history_of_the_times_may_be_missing():
  written = kit.check("vq_diffusion", CLASS)
  np.testing.assert_array_equal(
    written.theirs["Lt_history"], written.ours["extra/history"]
  )
  theirs = {n: x for n, x in written.theirs.items() if not n.startswith("Lt_")}
  made, leaves = kit.load(written, theirs)
  assert sorted(made.fresh) == ["extra/history", "extra/seen"]
  name = "params/main/net/token_embed"
  np.testing.assert_array_equal(leaves[name], written.ours[name])
