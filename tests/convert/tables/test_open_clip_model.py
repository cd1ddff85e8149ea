"""CLIP of OpenAI and OpenCLIP: both towers, and that in Stable Diffusion 2."""

import kit
import numpy as np
import peers
import pytest

from jmim.core import tree as trees

BOTH, WORDS = "open_clip_model", "open_clip_text"


def clip(**fields):
  """Texts end with the greatest token, at which they are pooled there."""
  return kit.tiny("text.clip", text=dict(end=10), **fields)


@pytest.fixture(scope="module")
def written():
  return kit.check(BOTH, clip())


def test_projections_are_laid_out_as_ours(written):
  for theirs, ours in (
    ("text_projection", "text/projection"),
    ("visual.proj", "projection"),
  ):
    np.testing.assert_array_equal(
      written.theirs[theirs], written.ours[f"params/main/{ours}/kernel"]
    )


def test_the_tower_of_texts_alone_is_that_of_a_whole_file(written):
  alone = kit.check(WORDS, clip())
  images = {n for n in written.theirs if n.startswith("visual.")}
  assert images and set(alone.theirs) == set(written.theirs) - images - {
    "logit_scale"
  }
  made, leaves = kit.load(alone, written.theirs)
  assert set(made.ignored) == images | {"logit_scale"}
  assert leaves.keys() == alone.ours.keys()


def test_it_is_found_in_a_file_of_stable_diffusion_2():
  alone = kit.export(WORDS, clip())
  inside = "cond_stage_model.model."
  more = {f"{inside}attn_mask": np.zeros((6, 6)), "betas": np.zeros(3)}
  file = {inside + n: x for n, x in alone.theirs.items()} | more
  file[f"{inside}logit_scale"] = np.zeros(())
  for outside in ("", "state_dict."):
    whole = {outside + n: x for n, x in file.items()}
    made, leaves = kit.load(alone, whole)
    assert leaves.keys() == alone.ours.keys()
    assert f"{outside}betas" in made.ignored


def test_other_eps_of_images_have_no_place():
  family = kit.export(BOTH, clip()).family
  assert family.objection("text.clip", clip()) is None
  assert "eps" in family.objection("text.clip", clip(eps=1e-6))


@pytest.mark.parametrize("name", [BOTH, WORDS])
def test_an_end_that_is_not_the_greatest_token_has_no_place(name):
  """It would be pooled where another word stands."""
  family = kit.export(name, clip()).family
  why = family.objection("text.clip", kit.tiny("text.clip"))
  assert "text.end 2 of text.vocabulary 11" in why


def test_the_library_computes_the_same():
  torch = peers.torch()
  library = pytest.importorskip("open_clip.model")
  theirs = peers.shake(
    library.CLIP(
      embed_dim=8,
      vision_cfg=dict(
        image_size=8, patch_size=4, width=16, layers=1, head_width=8
      ),
      text_cfg=dict(
        context_length=6, vocab_size=11, width=16, heads=2, layers=2
      ),
      quick_gelu=True,
    )
  )
  method = clip()
  written = kit.export(BOTH, method)
  state = {n: p.numpy() for n, p in theirs.state_dict().items()}
  made, leaves = kit.load(written, state)
  assert not made.fresh
  params = trees.nested(leaves)["params"]["main"]
  ids = np.array([[1, 5, 7, 10, 0, 0], [1, 9, 4, 6, 8, 10]])
  with torch.no_grad():
    want = theirs.encode_text(torch.from_numpy(ids)).numpy()
  found = method.text.net.apply({"params": params["text"]}, ids, end=10)
  np.testing.assert_allclose(found.pooled, want, atol=1e-4)
