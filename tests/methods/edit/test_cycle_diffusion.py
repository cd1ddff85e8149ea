import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import method
from jmim.core import procedure
from jmim.diffusion import invert
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.methods.edit import cycle_diffusion
from jmim.methods.parts import classifier_score
from jmim.methods.parts import directional
from jmim.methods.supervised import convnet
from jmim.methods.text import clip

TOY, OTHER = toydiffusion.make(), toydiffusion.make(seed=1)
SCORER = procedure.Model(
  method=convnet.ConvNet.tiny(),
  weights=toydiffusion.fresh(convnet.ConvNet.tiny()),
)
MODELS = {"source": procedure.Model.of(TOY)}
PAIR = {**MODELS, "target": procedure.Model.of(OTHER)}
N = 3


def procedure_of(**fields):
  """In four steps, whose last adds noise."""
  code = {"steps": 4, "spacing": "offset", "eta": 0.5} | fields.pop("code", {})
  base = cycle_diffusion.CycleDiffusion()
  return field.replace(base, code=code, **fields)


def apply(made, models=MODELS, seed=0, batch=None, **draws):
  """(results, draws, batch)."""
  made.check(models)
  batch = batch or jax.tree.map(
    jnp.asarray, toydiffusion.batch_of(made.inputs(models), n=N)
  )
  draws = procedure.drawn(made, jax.random.key(seed), models, batch) | draws
  run = jax.jit(lambda b, d: made.apply(models, {}, b, d))
  return run(batch, draws), draws, batch


@pytest.mark.parametrize(
  "fields",
  [
    {},
    {"code": {"sampler": "ddpm", "variance": "large"}},
    {"search": {"skip": (2,)}},
    {"encoder_scale": 2.0, "search": {"scale": (2.0,)}},
  ],
)
def test_told_the_same_the_image_comes_back(fields):
  """Exactly: its latents, by the same model at the same guidance."""
  found, draws, batch = apply(procedure_of(**fields))
  z = TOY.encode(batch["image"], draws["posterior"])
  np.testing.assert_allclose(found["image"], TOY.decode(z), atol=2e-4)
  np.testing.assert_array_equal(found["label"], batch["label"])


def test_it_is_its_formulas():
  """DDIM with eta of two models, written out; the target told class 1."""
  made = procedure_of(told="label", label=1)
  found, draws, batch = apply(made, PAIR)
  levels = TOY.levels(4, "offset")
  table = solvers.ddim(levels, 0.5)
  z = TOY.encode(batch["image"], draws["posterior"])
  x = levels.signal[0] * z + levels.noise[0] * draws["start"][:, 0]
  noise = invert.steps_first(draws["noise"][:, 0])
  path = invert.posterior(table, z, x, noise)
  eps = sampler.noises(table, TOY.denoise(batch["label"]), path)
  told = jnp.ones(N, int)
  y, _ = sampler.sample(table, OTHER.denoise(told), x, eps)
  np.testing.assert_allclose(found["image"], OTHER.decode(y), atol=2e-3)
  np.testing.assert_array_equal(found["label"], 1)
  rms = np.sqrt((np.asarray(eps) ** 2).mean((0, 2, 3, 4)))
  np.testing.assert_allclose(found["rms"], rms, rtol=1e-2)


def test_what_is_not_told_does_not_matter():
  """At scale 1 nothing is asked of the condition that is dropped."""

  def shifted(batch):
    told, nothing = TOY.tell(batch)
    return told, nothing * 0 + 10**6

  moved = dataclasses.replace(TOY, tell=shifted)
  made = procedure_of(told="label", label=2)
  models = {"source": procedure.Model.of(moved)}
  both = [apply(made, m)[0]["image"] for m in (MODELS, models)]
  np.testing.assert_array_equal(*both)


def test_guidance_acts_on_either_side():
  plain, _, _ = apply(procedure_of(told="label", label=1))
  for fields in ({"encoder_scale": 3.0}, {"search": {"scale": (3.0,)}}):
    other, _, _ = apply(procedure_of(told="label", label=1, **fields))
    far = jnp.abs(other["image"] - plain["image"]).max()
    assert float(far) > 1e-3


def test_less_is_changed_where_more_is_skipped():
  def distance(skip):
    search = {"skip": (skip,), "scale": (3.0,)}
    made = procedure_of(told="label", label=1, search=search)
    found, _, batch = apply(made)
    return float(jnp.abs(found["image"] - batch["image"]).mean())

  near = [distance(skip) for skip in (0, 2, 3)]
  assert near[0] > near[1] > near[2]


def test_an_early_stop_is_a_skip():
  whole = {"steps": 10, "spacing": "even", "eta": 1.0}
  made = procedure_of(code=whole, search={"skip": (5,)}, told="random")
  skipped, draws, batch = apply(made)
  assert draws["noise"].shape[:3] == (N, 1, 4)
  made = procedure_of(code=whole | {"early_stop": 5}, told="random")
  stopped, _, _ = apply(made, batch=batch)
  np.testing.assert_allclose(stopped["image"], skipped["image"], atol=1e-4)


def test_all_that_is_tried():
  """In the order of skips, trials, scales; shorter paths use the ends."""
  search = {"skip": (1, 0), "scale": (1.0, 2.0), "trials": 2, "keep": "all"}
  made = procedure_of(told="label", label=1, search=search)
  found, draws, batch = apply(made)
  assert found["image"].shape == (N, 8, *TOY.image) and "score" not in found
  which = 3  # skip 1, trial 1, scale 2
  assert [float(found[k][0, which]) for k in ("skip", "trial", "scale")] == [
    1,
    1,
    2,
  ]
  alone = procedure_of(
    told="label", label=1, search={"skip": (1,), "scale": (2.0,)}
  )
  one, _, _ = apply(
    alone,
    batch=batch,
    start=draws["start"][:, 1:],
    noise=draws["noise"][:, 1:, 1:],
    posterior=draws["posterior"],
  )
  np.testing.assert_allclose(found["image"][:, which], one["image"], atol=1e-4)


def test_the_best_is_that_of_the_highest_score():
  search = {"skip": (1, 0), "scale": (1.0, 2.0), "trials": 2}
  every = procedure_of(told="random", search=search | {"keep": "all"})
  best = procedure_of(told="random", search=search)
  rows, _, batch = apply(every)
  found, _, _ = apply(best, {**MODELS, "scorer": SCORER}, batch=batch)
  scores = np.stack(
    [
      classifier_score.log_share(
        SCORER, "label", rows["image"][:, k], rows["label"]
      )
      for k in range(8)
    ],
    1,
  )
  at = scores.argmax(1)
  np.testing.assert_allclose(found["score"], scores.max(1), atol=1e-4)
  np.testing.assert_allclose(
    found["image"], rows["image"][np.arange(N), at], atol=1e-4
  )
  for name in ("skip", "scale", "trial"):
    np.testing.assert_array_equal(found[name], rows[name][np.arange(N), at])


def test_steps_made_again_are_of_the_target():
  plain, _, batch = apply(procedure_of(told="label", label=1), PAIR)
  again = procedure_of(code={"refine": 2}, told="label", label=1)
  found, draws, _ = apply(again, PAIR, batch=batch)
  denoise = OTHER.denoise(jnp.ones(N, int))
  y = OTHER.encode(plain["image"])
  # What is decoded lies in the range of the decoder, whose inverse is encode.
  np.testing.assert_allclose(OTHER.decode(y), plain["image"], atol=1e-4)
  wanted = again.code.refined(OTHER, denoise, y, draws)
  np.testing.assert_allclose(found["image"], OTHER.decode(wanted), atol=1e-3)


@pytest.mark.parametrize(
  "fields, models, words",
  [
    ({"code": {"eta": 0.0}}, MODELS, "code.eta"),
    ({"search": {"skip": (4,)}}, MODELS, "skip=4 of 4"),
    ({"search": {"scale": ()}}, MODELS, "search.scale"),
    ({"told": "label", "label": 3}, MODELS, "label=3 of 3 classes of target"),
    ({"scorer": {"path": "x"}}, MODELS, "scorer, and search has one"),
    (
      {"search": {"trials": 2}, "choice": {"head": "kind"}},
      {**MODELS, "scorer": SCORER},
      "head='kind'",
    ),
    (
      {},
      {**MODELS, "target": procedure.Model.of(toydiffusion.make(classes=2))},
      "told='own': 3 classes, and target has 2",
    ),
    (
      {},
      {
        **MODELS,
        "target": procedure.Model.of(dataclasses.replace(OTHER, can=())),
      },
      "target is a model that cannot decode",
    ),
  ],
)
def test_what_does_not_go_together_is_named(fields, models, words):
  with pytest.raises(ValueError, match=words):
    procedure_of(**fields).check(models)


def test_a_target_is_told_its_own_times():
  """Of one process, whose networks count the times in other units."""
  late = dataclasses.replace(
    OTHER,
    schedule=dataclasses.replace(OTHER.schedule, times=np.arange(20) * 10.0),
    network=lambda x, t, told: OTHER.network(x, t / 10, told),
  )
  made = procedure_of(code={"refine": 2})
  both = [
    apply(made, {**MODELS, "target": procedure.Model.of(target)})[0]["image"]
    for target in (OTHER, late)
  ]
  np.testing.assert_allclose(*both, atol=1e-4)


def test_guidance_of_what_is_told_nothing_is_named():
  none = {"source": procedure.Model.of(toydiffusion.make(classes=0))}
  for fields in ({"encoder_scale": 2.0}, {"search": {"scale": (2.0,)}}):
    with pytest.raises(ValueError, match="told nothing"):
      procedure_of(**fields).check(none)
  with pytest.raises(ValueError, match="scorer of 3 classes, target of 0"):
    made = procedure_of(search={"trials": 2})
    made.check({**none, "scorer": SCORER})
  found, _, _ = apply(procedure_of(), none)
  assert set(found) == {"image", "rms", "skip", "scale", "trial"}


def test_a_class_is_read_where_one_is_told():
  none = procedure.Model.of(toydiffusion.make(classes=0))
  pair = {"source": none, "target": procedure.Model.of(OTHER)}
  assert "label" in procedure_of().inputs(pair)
  made = procedure_of(told="label", label=2)
  assert "label" not in made.inputs(pair)
  found, _, _ = apply(made, pair)
  np.testing.assert_array_equal(found["label"], 2)


def test_which_models_are_read():
  assert set(procedure_of().models()) == {"source"}
  other = procedure_of(target={"path": "x"}, search={"trials": 2})
  assert set(other.models()) == {"source", "target", "scorer"}
  every = procedure_of(search={"trials": 2, "keep": "all"})
  assert set(every.models()) == {"source"}


def told_texts(owner):
  """The toy told a text of six tokens: its class is that of their sum."""
  tokens = clip.CLIP.tiny().inputs()["tokens"]

  def tell(batch):
    label = batch["tokens"].sum(1) % 3
    return label, jnp.full_like(label, 3)

  return dataclasses.replace(owner, reads={"tokens": tokens}, tell=tell)


TEXTS = {
  "source": procedure.Model.of(told_texts(TOY)),
  "scorer": procedure.Model(
    method=clip.CLIP.tiny(), weights=toydiffusion.fresh(clip.CLIP.tiny())
  ),
}


def test_the_source_is_told_its_text_and_the_target_another():
  """As the class of the one, and of the other, of a model that is told it."""
  made = procedure_of(told="target")
  assert isinstance(made.inputs(TEXTS)["target_tokens"], method.Input)
  found, draws, batch = apply(made, TEXTS)
  own, other = (batch[n].sum(1) % 3 for n in ("tokens", "target_tokens"))
  assert (own != other).any() and "label" not in found
  plain = batch | {"label": own}
  wanted = procedure_of(told="random").apply(
    MODELS, {}, plain, draws | {"label": other}
  )
  np.testing.assert_allclose(found["image"], wanted["image"], atol=1e-4)


def test_the_best_is_that_whose_change_is_that_of_the_texts():
  search = {"skip": (1, 0), "scale": (1.0, 3.0), "trials": 2}
  fields = dict(told="target", choice={"kind": "direction"})
  every = procedure_of(**fields, search=search | {"keep": "all"})
  rows, draws, batch = apply(every, TEXTS)
  found, _, _ = apply(procedure_of(**fields, search=search), TEXTS, batch=batch)
  scorer = TEXTS["scorer"]
  wanted = directional.asked(scorer, batch)
  before = directional.seen(scorer, batch["image"])
  scores = np.stack(
    [
      directional.score(
        wanted, before, directional.seen(scorer, rows["image"][:, k])
      )
      for k in range(8)
    ],
    1,
  )
  np.testing.assert_allclose(found["score"], scores.max(1), atol=1e-3)
  at = np.arange(N), scores.argmax(1)
  np.testing.assert_allclose(found["image"], rows["image"][at], atol=1e-3)


def test_which_models_look_at_pictures_in_units_of_their_own():
  assert procedure_of().in_own_units() == ()
  assert procedure_of(choice={"kind": "direction"}).in_own_units() == (
    "scorer",
  )


def test_a_text_for_a_model_of_classes_and_a_scorer_of_none_are_named():
  with pytest.raises(ValueError, match="told='target', and target is told no"):
    procedure_of(told="target").check(MODELS)
  made = procedure_of(choice={"kind": "direction"}, search={"trials": 2})
  with pytest.raises(ValueError, match="scorer offers no text: name a run"):
    made.check({**TEXTS, "scorer": SCORER})
