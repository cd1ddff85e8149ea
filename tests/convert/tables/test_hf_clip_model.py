"""CLIP of Transformers: both towers, or that of texts alone."""

import json

import jax
import kit
import numpy as np
import numpyclip
import peers
import pytest

from jmim.convert import families
from jmim.convert import importing
from jmim.convert import options
from jmim.convert.tables import hf_clip_model as tables
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.core import validate
from jmim.methods.text import clip

BOTH, WORDS = "hf_clip_model", "hf_clip_text"
END = 9
# A tower of texts of Transformers.
TEXT = dict(
  vocab_size=10,
  hidden_size=32,
  num_hidden_layers=3,
  num_attention_heads=4,
  intermediate_size=96,
  max_position_embeddings=6,
  bos_token_id=8,
  eos_token_id=END,
  pad_token_id=0,
  projection_dim=12,
)
IDS = np.array([[8, 1, 4, END, 0, 0], [8, 2, END, END, END, END]])


def method(**text):
  entries = options.NO_IMAGES | {"text": tables.read_words(TEXT, 12) | text}
  return validate.build(clip.CLIP, entries, "method")


@pytest.fixture(scope="module")
def written():
  both = {"text_config": TEXT, "vision_config": peers.HF, "projection_dim": 12}
  fields = tables.read(both)
  made = validate.build(clip.CLIP, fields, "method")
  return kit.check(BOTH, made)


def leaves_of(arrays):
  return trees.nested(arrays)["params"]["main"]


def test_the_definition_computes_the_same_of_both_towers(written):
  main = leaves_of(written.ours)
  small = {n: 0.3 * x.astype(np.float64) for n, x in written.theirs.items()}
  main = jax.tree.map(lambda x: 0.3 * x, main)
  text = written.method.text
  found = text.net.apply({"params": main["text"]}, IDS, end=END, layer=2)
  hidden, last, pooled = numpyclip.text(small, IDS, heads=4, end=END)
  np.testing.assert_allclose(found.pooled, pooled, atol=1e-4)
  norm = "text_model.final_layer_norm"
  before = numpyclip._norm(small, norm, hidden[-2])
  np.testing.assert_allclose(found.tokens, before, atol=1e-4)
  last_ = text.net.apply({"params": main["text"]}, IDS, end=END).tokens
  np.testing.assert_allclose(last_, last, atol=1e-4)
  x, _ = np.random.default_rng(0).normal(size=(2, 2, 16, 16, 3))
  out = written.method.encoder.apply({"params": main["image"]}, x)["latent"]
  got = written.method.projection.apply(
    {"params": main["projection"]}, out[:, 0]
  )
  want = numpyclip.image(small, x, heads=4)
  np.testing.assert_allclose(got, want, atol=1e-4)


def test_a_tower_of_texts_alone_leaves_that_of_images_fresh():
  written = kit.check(WORDS, method())
  assert all(n.startswith("text_") for n in written.theirs)
  fresh = {n.split("/")[2] for n in set(written.like) - set(written.ours)}
  assert fresh == {"image", "projection", "log_scale"}


def test_without_a_projection_it_stays_fresh_and_other_names_do():
  written = kit.export(WORDS, method())
  names = {n for n in written.theirs if n.startswith("text_projection")}
  left = {n: x for n, x in written.theirs.items() if n not in names}
  made, _ = kit.load(written, left)
  assert "params/main/text/projection/kernel" in made.fresh
  bare = {n.removeprefix("text_model."): x for n, x in left.items()}
  more = {"embeddings.position_ids": np.arange(6)}
  made, leaves = kit.load(written, bare | more)
  assert (
    made.ignored == ["embeddings.position_ids"]
    and len(leaves) == len(written.ours) - 1
  )
  # In a file of Stable Diffusion 1.
  inside = "cond_stage_model.transformer."
  whole = {inside + n: x for n, x in left.items()}
  made, leaves = kit.load(written, whole | {"model.x": np.zeros(1)})
  assert made.ignored == ["model.x"] and len(leaves) == len(written.ours) - 1


def test_configs_are_read_and_written(written):
  family = families.find(BOTH)
  config = json.loads(json.dumps(family.write_config(written.method)))
  again = validate.build(clip.CLIP, family.read_config(config), "method")
  assert again.encoder == written.method.encoder
  assert again.projection.features == written.method.projection.features
  assert again.text.net == written.method.text.net
  words = dict(start=8, end=END, pad=END, projection=12)
  assert {n: getattr(again.text, n) for n in words} == words
  alone = families.find(WORDS).write_config(written.method)
  assert families.detect(alone) == WORDS
  fields = families.find(WORDS).read_config(alone)
  assert fields["text"] == tables.read_words(TEXT, 12)
  # The tower of a whole model says nothing of what both meet in.
  narrow = {n: x for n, x in TEXT.items() if n != "projection_dim"}
  whole = {"text_config": narrow, "projection_dim": 12}
  assert tables.read_text(whole)["text"]["projection"] == 12


def test_texts_alone_are_not_preprocessed_as_images(tmp_path, monkeypatch):
  """A folder of the hub has both files."""
  written = kit.export(WORDS, method())
  beside = families.find(WORDS).write_config(written.method)
  (tmp_path / "config.json").write_text(json.dumps(beside))
  crop = {"crop_size": 224, "size": {"shortest_edge": 224}}
  (tmp_path / "preprocessor_config.json").write_text(json.dumps(crop))
  name, config = importing.resolve("auto", str(tmp_path), None)
  assert name == WORDS and config.method.size == options.NO_IMAGES["size"]


def test_files_of_older_versions_end_with_their_last_token():
  """As in Stable Diffusion's: bos 0, eos 2, whatever the tokenizer says."""
  older = dict(bos_token_id=0, eos_token_id=2, pad_token_id=1)
  fields = tables.read_text({"model_type": "clip_text_model", **older})
  words = {n: fields["text"][n] for n in ("start", "end", "pad")}
  assert words == {"start": 49_406, "end": 49_407, "pad": 49_407}
  assert (
    fields["text"]["width"] == 512 and fields["text"]["act"] == "quick_gelu"
  )


def test_what_its_towers_cannot_be():
  why = lambda **text: families.find(WORDS).objection(
    "text.clip", method(**text)
  )
  assert why() is None
  assert "text.path" in why(path="R") and "before it" in why(causal=False)
  # 2 stands for the greatest token of a text there, whatever that is.
  assert "text.end 2 stands for the greatest" in why(end=2)
  assert why(end=7) is None and why(end=2, start=0, vocabulary=3) is None


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
def test_the_library_computes_the_same_of_texts(tmp_path, act):
  library, torch = peers.transformers(), peers.torch()
  config = library.CLIPTextConfig(**TEXT, hidden_act=act)
  theirs = peers.shake(library.CLIPTextModelWithProjection(config))
  theirs.save_pretrained(tmp_path / "theirs")
  made, params, plan = peers.read_folder(WORDS, tmp_path / "theirs")
  assert {n.split("/")[2] for n in plan.fresh} == {
    "image",
    "projection",
    "log_scale",
  }
  asked = dict(output_hidden_states=True)
  out = peers.run(theirs, torch.from_numpy(IDS), **asked)
  own = {"params": params["main"]["text"]}
  found = made.text.net.apply(own, IDS, end=END)
  np.testing.assert_allclose(
    found.tokens, out.last_hidden_state.numpy(), atol=1e-4
  )
  np.testing.assert_allclose(found.pooled, out.text_embeds.numpy(), atol=1e-4)
  before = theirs.text_model.final_layer_norm(out.hidden_states[-2])
  found = made.text.net.apply(own, IDS, end=END, layer=2)
  np.testing.assert_allclose(found.tokens, before.detach().numpy(), atol=1e-4)
  peers.write(WORDS, made, only_words(params), tmp_path / "ours")
  again = peers.reread(type(theirs), tmp_path / "ours")
  back = peers.run(again, torch.from_numpy(IDS))
  np.testing.assert_allclose(back.text_embeds, out.text_embeds, atol=1e-5)


def only_words(params):
  return {"main": {"text": params["main"]["text"]}}


def test_the_library_computes_the_same_of_both(tmp_path):
  library, torch = peers.transformers(), peers.torch()
  vision = peers.HF | dict(projection_dim=12)
  config = library.CLIPConfig(
    text_config=TEXT, vision_config=vision, projection_dim=12
  )
  theirs = peers.shake(library.CLIPModel(config))
  state = {n: p.numpy() for n, p in theirs.state_dict().items()}
  made, params, plan = peers.read(BOTH, theirs.config.to_dict(), state)
  assert not plan.fresh
  ours, x = peers.images()
  out = peers.run(theirs, torch.from_numpy(IDS), x)
  weights = methods.Weights(params)
  batch = {"image": ours, "tokens": IDS}
  offered = made.predict()
  u = offered["features"](weights, batch, None)
  v = offered["text"](weights, batch, None)
  np.testing.assert_allclose(u, out.image_embeds.numpy(), atol=1e-4)
  np.testing.assert_allclose(v, out.text_embeds.numpy(), atol=1e-4)
  _, aux = made.loss(weights, batch, {}, 0)
  logits = aux["scale"] * u @ v.T
  np.testing.assert_allclose(logits, out.logits_per_image.numpy(), atol=1e-3)
  peers.write(BOTH, made, params, tmp_path / "ours")
  again = peers.reread(type(theirs), tmp_path / "ours")
  back = peers.run(again, torch.from_numpy(IDS), x)
  np.testing.assert_allclose(
    back.logits_per_image, out.logits_per_image, atol=1e-4
  )
