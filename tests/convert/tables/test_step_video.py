"""Step-Video: q, k and v of a head side by side there, of all heads here."""

import kit
import numpy as np

STORED = dict(
  kind="stored", classes=0, length=3, width=8, clip_length=2, clip_width=6
)


def check(told, **fields):
  method = kit.tiny("video.step_video", told=STORED | told, **fields)
  return kit.check("step_video", method)


def test_names():
  written = check(dict(sizes="none"))
  ours, theirs = written.ours, written.theirs
  name, block = "params/main/net/blocks/layers/{}", "transformer_blocks.1.{}"
  w, d = 32, 16
  qkv = ours[name.format("attn/qkv/kernel")][1].reshape(w, 3, 2, d)
  there = theirs[block.format("attn1.wqkv.weight")].reshape(2, 3, d, w)
  np.testing.assert_array_equal(
    there, np.moveaxis(qkv.transpose(3, 2, 1, 0), 0, 2)
  )
  kv = theirs[block.format("attn2.wkv.weight")].reshape(2, 2, d, w)
  for part, leaf in enumerate("kv"):
    kernel = ours[name.format(f"cross/{leaf}/kernel")][1].reshape(w, 2, d)
    np.testing.assert_array_equal(kv[:, part], kernel.transpose(1, 2, 0))
  assert theirs["pos_embed.proj.weight"].shape == (w, 3, 2, 2)
  assert not any("nframe" in n or "fps" in n for n in theirs)


def test_what_is_told_beside_the_time():
  size, rate = check(dict(sizes="size")), check(dict(sizes="rate"))
  assert any("nframe_embedder" in n for n in size.theirs)
  assert {n for n in set(rate.theirs) - set(size.theirs)} == {
    f"adaln_single.emb.fps_embedder.linear_{i}.{leaf}"
    for i in (1, 2)
    for leaf in ("weight", "bias")
  }


def test_a_rate_that_is_not_told_is_left_out():
  """Their files embed a rate wherever they embed sizes."""
  fields = lambda sizes: kit.tiny("video.step_video", told=STORED | sizes)
  size, rate = fields(dict(sizes="size")), fields(dict(sizes="rate"))
  written = kit.export("step_video", rate)
  assert not kit.load(written)[0].ignored
  other = written._replace(method=size, like=kit.shapes(size))
  made, leaves = kit.load(other)
  assert len(made.ignored) == 4
  assert all(".fps_embedder." in name for name in made.ignored)
  assert set(leaves) == set(other.like)
  for name, array in leaves.items():
    np.testing.assert_array_equal(array, written.ours[name], name)


def test_without_clip():
  written = check(dict(clip_length=0))
  assert not any("clip_projection" in n for n in written.theirs)


def test_learned_vectors_are_no_part_of_such_files():
  m = kit.tiny("video.step_video")
  family = kit.families.find("step_video")
  assert "told.kind 'label'" in family.objection("video.step_video", m)
