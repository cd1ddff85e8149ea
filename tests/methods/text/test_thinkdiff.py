import importlib.util
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import seen_image
from jmim.methods.text import thinkdiff
from jmim.nn.nets import t5 as nets

KEY = jax.random.key(0)


def clip():
  """The other variant, of stored features."""
  told = seen_image.Seen(grid=2, width=12, tokens=5)
  told = field.replace(told, vision=dict(family="none"))
  return field.replace(thinkdiff.ThinkDiff.tiny(), variant=told)


MADE = {"lvlm": thinkdiff.ThinkDiff.tiny, "clip": clip}


def batch_of(m, b=3):
  rng = np.random.default_rng(0)
  made = {}
  for name, spec in m.inputs().items():
    shape = (b, *spec.shape)
    whole = jnp.issubdtype(spec.dtype, jnp.integer)
    x = rng.integers(2, spec.high, shape) if whole else rng.normal(size=shape)
    made[name] = jnp.asarray(x, spec.dtype)
  return made


def weights(m, batch):
  params, extra = m.init(KEY, batch)
  consts = {n: c.init(jax.random.key(1)) for n, c in m.consts().items()}
  return methods.Weights(params, extra, consts)


@pytest.mark.parametrize("name", MADE)
def test_the_loss_is_that_of_the_decoder_told_the_memory(name):
  m = MADE[name]()
  batch = batch_of(m)
  w, draws = weights(m, batch), m.drawn(KEY, batch)
  heard = m.variant.heard(w, batch, draws, m.text)
  memory, there = m.memory(w, heard)
  said = nets.shifted(heard.labels)
  latent = m.t5.ask(
    w.consts["t5"], "decode", said, memory, memory_present=there
  )
  logits = m.t5.ask(w.consts["t5"], "scores", latent)
  logs = jax.nn.log_softmax(logits)
  own = jnp.take_along_axis(logs, heard.labels[..., None], -1)[..., 0]
  want = -np.asarray(own)[np.asarray(heard.said)].mean()
  got, _ = jax.jit(lambda w: m.loss(w, batch, draws, 0))(w)
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_features_stand_before_the_text():
  m = clip()
  batch = batch_of(m)
  w, draws = weights(m, batch), m.drawn(KEY, batch)
  heard = m.variant.heard(w, batch, draws, m.text)
  memory, there = m.memory(w, heard)
  h = m.project(w, heard.features)
  np.testing.assert_array_equal(memory[:, : h.shape[1]], h)
  text = m.t5.ask(w.consts["t5"], "encode", heard.before, heard.before_present)
  np.testing.assert_array_equal(memory[:, h.shape[1] :], text)
  np.testing.assert_array_equal(there[:, h.shape[1] :], heard.before_present)
  prompt = m.prompt(w, batch, KEY)
  np.testing.assert_array_equal(prompt["context"], h)


def test_only_what_is_read_of_the_frozen_network_is_asked_for():
  trees = lambda m: jax.eval_shape(m.consts()["t5"].init, KEY)
  alone = field.replace(thinkdiff.ThinkDiff.tiny(), projector=dict(norm="own"))
  assert "encoder" not in trees(alone)
  assert set(trees(thinkdiff.ThinkDiff.tiny())["encoder"]) == {"norm"}
  assert set(trees(clip())["encoder"]) == {"blocks", "norm", "relative"}


def test_the_scale_begins_as_the_encoders():
  m = thinkdiff.ThinkDiff.tiny()
  batch = batch_of(m)
  w = weights(m, batch)
  scale = np.asarray(w.consts["t5"]["encoder"]["norm"]["scale"])
  h = np.asarray(m.prompt(w, batch, KEY)["context"]) / scale
  np.testing.assert_allclose((h**2).mean(-1), 1, atol=1e-4)


@pytest.mark.parametrize("name", MADE)
def test_what_is_said_ends(name):
  m = MADE[name]()
  batch = batch_of(m)
  w = weights(m, batch)
  said = np.asarray(jax.jit(lambda w: m.said(w, batch, KEY))(w))
  assert said.shape == (3, m.text.length) and (said != m.text.end).all()
  assert m.features(w, batch, KEY).shape == (3, m.t5.width)


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(text=dict(end=0)), r"text.end 0 is text.pad"),
    (dict(text=dict(end=20)), r"text.end 20 of t5.words 11"),
    (dict(t5=dict(distance=4)), r"t5.distance 4"),
  ],
)
def test_fields_that_do_not_go_together(fields, said):
  m = field.replace(thinkdiff.ThinkDiff.tiny(), **fields)
  with pytest.raises(ValueError, match=said):
    m.inputs()


def test_the_claim_s_arithmetic():
  path = pathlib.Path(__file__).parents[3] / "configs/claims/thinkdiff.py"
  spec = importlib.util.spec_from_file_location("claim_thinkdiff", path)
  claim = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(claim)
  assert claim.scale_error() < 1e-3 and claim.loss_error() < 1e-5
  percent = zip(claim.HEADS, (80, 60, 90, 70), strict=True)
  same = {f"edits/same_{head}": x for head, x in percent}
  assert claim.accuracy(same) == 75 and claim.CHANCE == 30
  late, early = {100: 3.0, 200: 2.0}, {100: 2.0, 200: 2.5}
  assert claim.gap(late, early) == -0.5
  made = claim.get_claim()
  runs = {n: same for n in made.runs}
  by_text = {c.text[:2]: c for c in made.conditions}
  assert by_text["1:"].value(runs) == 1 and by_text["2:"].value(runs) == 45
  assert not by_text["2:"].holds(45)
