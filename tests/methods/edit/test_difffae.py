"""What must hold of DiffFAE, whose code was never released."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.methods.edit import difffae
from jmim.methods.parts import told_face

RNG = np.random.default_rng(0)
M = difffae.DiffFAE.tiny()
B = 2
FACTORS = ("pose", "expression", "light")
ZERO = ("/rendering/", "/identity/")  # of the residual blocks


def made(spec):
  if spec.dtype == jnp.int32:
    return jnp.asarray(RNG.integers(0, 3, (B, *spec.shape)), jnp.int32)
  return jnp.asarray(np.tanh(RNG.normal(size=(B, *spec.shape))), jnp.float32)


def batch_of(m):
  return {name: made(spec) for name, spec in m.inputs().items()}


def fill(tree):
  """No leaf is zero: last layers would hide what is before them."""
  new = lambda s: jnp.asarray(0.2 * RNG.normal(size=s.shape), jnp.float32)
  return jax.tree.map(new, tree)


def weights_of(m):
  shapes, _ = jax.eval_shape(m.init, jax.random.key(0), {})
  consts = {n: c.init(jax.random.key(3)) for n, c in m.consts().items()}
  return methods.Weights(fill(shapes), consts=consts)


BATCH, W = batch_of(M), weights_of(M)
T = jnp.array([3, 15])
NOISE = jnp.asarray(RNG.normal(size=(B, 8, 8, 3)), jnp.float32)


def told(m=M, w=W, batch=BATCH):
  return m.told.told(m.first_stage, w, batch)[0]


def raw(m=M, w=W, shown=None):
  run = lambda w, shown: m.faces(w).network(NOISE, T, shown)
  return np.asarray(jax.jit(run)(w, told(m, w) if shown is None else shown))


def begun(m):
  """Filled, but what begins at 0 as it begins."""
  fresh, _ = m.init(jax.random.key(0), {})
  w = weights_of(m)
  old = trees.named(fresh)
  put = lambda name, x: old[name] if any(z in name for z in ZERO) else x
  kept = trees.map_named(put, w.params)
  # The linear map of an identity is none of those.
  kept["main"]["net"]["identity"] = w.params["main"]["net"]["identity"]
  return methods.Weights(kept, consts=w.consts)


def test_what_blocks_are_told_begins_by_adding_nothing():
  w = begun(M)
  every = trees.named(w.params)
  zeros = [n for n, x in every.items() if any(z in n for z in ZERO)]
  zeros = [n for n in zeros if "/net/net/" in n]
  assert len([n for n in zeros if n.endswith("kernel")]) == 2 * 8
  assert not any(every[n].any() for n in zeros)
  full = told(w=w)
  plain = full._replace(
    rendering=-full.rendering, identity=full.identity * 3 - 1
  )
  np.testing.assert_array_equal(raw(w=w, shown=full), raw(w=w, shown=plain))
  # The network without them: same parameters, no modulations at all.
  net = M.net.net
  z = jnp.concatenate([NOISE, full.latent], axis=-1)
  inner = w.params["main"]["net"]["net"]
  inner = trees.nested(
    {n: x for n, x in trees.named(inner).items() if n not in _below(inner)}
  )
  want = jax.jit(
    lambda p: net.apply(
      {"params": p}, z, T, context=full.tokens, code=full.numbers
    )
  )(inner)
  np.testing.assert_allclose(raw(w=w, shown=full), want, rtol=1e-5, atol=1e-5)
  assert np.abs(want).max() > 0.1
  # Once they are anything they are seen.
  moved = told()._replace(identity=plain.identity)
  assert np.abs(raw() - raw(shown=moved)).max() > 1e-3


def _below(tree):
  return {n for n in trees.named(tree) if any(z in f"/{n}" for z in ZERO)}


def test_attention_to_the_tokens_sums_to_1():
  run = jax.jit(M.predict()["regions"])
  made = run(W, BATCH, jax.random.key(1))
  a, source = made["attention"], made["source"]
  assert a.shape == (B, 3, 4, 4) and source.shape == (B, 3, 2, 2)
  np.testing.assert_allclose(a.sum(1), 1.0, atol=1e-5)
  np.testing.assert_allclose(source.sum((2, 3)), 1.0, atol=1e-5)
  assert np.ptp(a) > 1e-3 and np.ptp(source) > 1e-3
  _, seen = M.told.told(M.first_stage, W, BATCH)
  np.testing.assert_allclose(seen.shares.sum(1), 1.0, atol=1e-5)


def test_another_source_changes_the_tokens_alone():
  other = BATCH | {"source": BATCH["source"][::-1]}
  a, b = told(), told(batch=other)
  for name in ("rendering", "latent", "numbers"):
    np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
  for name in ("tokens", "identity"):
    assert np.abs(getattr(a, name) - getattr(b, name)).max() > 1e-3
  assert np.abs(raw() - raw(shown=b)).max() > 1e-3

  def path(rendering):
    found = told(batch=BATCH | {"rendering": rendering})
    return (found.tokens**2).sum() + (found.identity**2).sum()

  assert not jax.grad(path)(BATCH["rendering"]).any()


def test_what_is_left_out_does_not_reach_the_loss():
  draws = M.drawn(jax.random.key(5), BATCH)
  none, every = jnp.zeros(B, bool), jnp.ones(B, bool)
  shown = {"drop_tokens": none, "drop_rendering": none}
  run = jax.jit(lambda batch, d: M.loss(W, batch, d, 0)[0])
  for name, entries in (
    ("tokens", ("source",)),
    ("rendering", ("rendering", *FACTORS)),
  ):
    for entry in entries:
      other = BATCH | {entry: BATCH[entry][::-1] + 0.5}
      left = draws | shown | {f"drop_{name}": every}
      assert run(BATCH, draws | shown) != run(other, draws | shown), entry
      assert run(BATCH, left) == run(other, left), entry


def edit(m=M, w=W, batch=BATCH, key=1):
  return jax.jit(m.predict()["edit"])(w, batch, jax.random.key(key))["image"]


def guided(scale, *by):
  return field.replace(
    M,
    sampling=dict(guidance=scale),
    told=dict(conditions=dict(guide=by or told_face.NAMES)),
  )


def test_guidance_of_scale_1_is_no_guidance():
  one = edit(guided(1.0))
  net = M.faces(W)
  cond, null = M.told.both(told())
  np.testing.assert_array_equal(cond.keep_tokens, 1)
  np.testing.assert_array_equal(null.keep_tokens, 0)
  np.testing.assert_array_equal(null.keep_rendering, 0)
  samples = M.sampling.__class__(steps=3, guidance=1.0, clip=0.0).sample(
    M.noise,
    lambda x, t, c: net.network(x, t, c),
    condition=(cond, null),
    shape=M.shape,
    batch=BATCH,
    key=jax.random.key(1),
  )
  np.testing.assert_allclose(one, samples, rtol=1e-4, atol=1e-4)
  for by in (("tokens",), ("rendering",), told_face.NAMES):
    assert np.abs(edit(guided(3.0, *by)) - one).max() > 1e-3, by
  both, parts = guided(3.0), [guided(3.0, n) for n in told_face.NAMES]
  assert all(np.abs(edit(both) - edit(p)).max() > 1e-3 for p in parts)


def test_guidance_is_what_its_formula_says():
  m = guided(3.0, "tokens")
  cond, null = m.told.both(told())
  np.testing.assert_array_equal(null.keep_rendering, 1)
  a, b = raw(shown=cond), raw(shown=null)
  both = m.sampling.combine(a, b, time=0.5, channels=3)
  np.testing.assert_allclose(both, b + 3 * (a - b), rtol=1e-5, atol=1e-5)


def test_an_edit_reads_neither_the_picture_nor_its_regions():
  blind = {n: x for n, x in BATCH.items() if n in M.sample_reads()}
  assert set(BATCH) - set(blind) == {"image", "segmentation"}
  np.testing.assert_array_equal(edit(batch=blind), edit())


def test_a_picture_of_itself_is_the_task_of_reconstruction():
  """Source = query: the loss is that of denoising the source."""
  same = BATCH | {"source": BATCH["image"]}
  draws = M.drawn(jax.random.key(2), same)
  x_t, *_ = M.noise.add(same["source"], draws["t"], draws["noise"])
  keep = {f"drop_{n}": jnp.zeros(B, bool) for n in told_face.NAMES}
  shown = told(batch=same)
  eps = M.faces(W).network(x_t, draws["t"], shown)
  _, aux = M.loss(W, same, draws | keep, 0)
  want = ((eps - draws["noise"]) ** 2).mean()
  assert aux["loss_mse"] == pytest.approx(float(want), rel=1e-5)


SWAP = field.replace(M, told=dict(rendering=dict(factors=FACTORS)))


def test_factors_are_taken_one_by_one():
  batch = batch_of(SWAP)
  assert batch["renderings"].shape == (B, 3, 8, 8, 3)
  for k, name in enumerate(FACTORS):
    shown, numbers = SWAP.told.rendering.told(batch, k)
    np.testing.assert_array_equal(shown, batch["renderings"][:, k])
    names = [n if n == name else f"source_{n}" for n in FACTORS]
    want = jnp.concatenate([batch[n] for n in names], -1)
    np.testing.assert_array_equal(numbers, want)
  edits = jax.jit(SWAP.predict()["edits"])
  found = edits(W, batch, jax.random.key(1))
  assert set(found) == set(FACTORS)
  # What belongs to another factor, and all else of the query, is not read.
  other = batch | {
    "renderings": batch["renderings"].at[:, 0].add(0.3),
    "pose": batch["pose"] + 1,
    "rendering": batch["rendering"] + 1,
  }
  moved = edits(W, other, jax.random.key(1))
  for name in FACTORS:
    same = np.array_equal(found[name], moved[name])
    assert same == (name != "pose"), name
  # A factor that the source has already, from a rendering of it, is no edit.
  own = {n: batch[f"source_{n}"] for n in FACTORS}
  shown = batch["renderings"][:, 0]
  still = batch | own | {"renderings": jnp.stack([shown] * 3, 1)}
  made = edits(W, still | {"rendering": shown}, jax.random.key(1))
  for name in FACTORS:
    np.testing.assert_array_equal(made[name], made["pose"])
  assert "edits" not in M.predict()


def test_attention_is_compared_with_the_regions():
  draws = M.drawn(jax.random.key(5), BATCH)
  left = lambda name: jnp.array([False, name == "tokens"])
  draws |= {f"drop_{n}": left(n) for n in told_face.NAMES}
  faces = M.faces(W)
  shown, _ = M.told.told(M.first_stage, W, BATCH, draws)
  _, maps = faces.looked(BATCH["image"], draws["t"], draws["noise"], shown)
  regions = np.asarray(BATCH["segmentation"]).reshape(B, 4, 2, 4, 2)
  gap = [
    ((maps[0, ..., k] - (regions[0] == k).mean((1, 3))) ** 2).mean()
    for k in range(2)
  ]
  total, aux = M.loss(W, BATCH, draws, 0)
  # Of the second example the tokens are left out.
  assert aux["loss_attention"] == pytest.approx(np.mean(gap) / 2, rel=1e-4)
  want = aux["loss_mse"] + 0.01 * aux["loss_attention"]
  assert total == pytest.approx(float(want), rel=1e-6)
  grad = jax.grad(
    lambda p: M.loss(methods.Weights(p, consts=W.consts), BATCH, draws, 0)[1][
      "loss_attention"
    ]
  )(W.params)
  moved = {n for n, g in trees.named(grad).items() if g.any()}
  assert any("cross_0/k" in n for n in moved)
  assert any("source/queries" in n for n in moved)


STATS = field.replace(M, told=dict(attention=dict(kind="statistics")))


def test_without_masks_two_times_and_the_source_are_compared():
  batch = batch_of(STATS)
  assert "segmentation" not in batch
  draws = STATS.drawn(jax.random.key(5), batch)
  keep = {f"drop_{n}": jnp.zeros(B, bool) for n in told_face.NAMES}
  faces = STATS.faces(W)
  shown, seen = STATS.told.told(STATS.first_stage, W, batch)
  a, b = (
    faces.looked(batch["image"], draws[t], draws["noise"], shown)[1]
    for t in ("t", "t_other")
  )
  gap = (a.mean((1, 2)) - seen.shares.mean(-1)) ** 2
  want = gap.mean() + np.abs(a - b).mean()
  _, aux = STATS.loss(W, batch, draws | keep, 0)
  assert aux["loss_attention"] == pytest.approx(float(want), rel=1e-4)
  # At one time the second term is 0.
  same = draws | keep | {"t_other": draws["t"]}
  _, aux = STATS.loss(W, batch, same, 0)
  assert aux["loss_attention"] == pytest.approx(float(gap.mean()), rel=1e-4)


def test_what_is_not_there_is_not_told():
  by = lambda name, **own: field.replace(
    M, told=dict(conditions=dict(guide=(name,)), **own)
  )
  no_tokens = by("rendering", source=dict(count=0, identity="none"))
  bare = by("tokens", rendering=dict(used=False, numbers=()))
  free = field.replace(M, told=dict(attention=dict(weight=0.0)))
  stored = field.replace(M, told=dict(source=dict(identity="stored", width=6)))
  for m, gone, added in (
    (no_tokens, {"source", "segmentation"}, set()),
    (bare, {"rendering", *FACTORS}, set()),
    (free, {"segmentation"}, set()),
    (stored, set(), {"identity"}),
  ):
    batch, w = batch_of(m), weights_of(m)
    assert set(batch) == (set(BATCH) - gone) | added
    draws = m.drawn(jax.random.key(1), batch)
    total, aux = m.loss(w, batch, draws, 0)
    assert np.isfinite(total)
    asks = m not in (no_tokens, free)
    assert set(aux) == {"loss_mse", *(("loss_attention",) if asks else ())}
    assert np.isfinite(edit(m, w, batch)).all()
  assert "regions" not in no_tokens.predict()


def test_a_first_stage_codes_pictures_and_renderings():
  m = field.replace(
    M,
    channels=4,
    told=dict(source=dict(encoder=dict(variant="S/32"))),
    first_stage=dict(variant="kl-f8", width=8, blocks=1, path="W"),
  )
  batch, w = batch_of(m), weights_of(m)
  assert batch["rendering"].shape == (B, 64, 64, 3)
  draws = m.drawn(jax.random.key(2), batch)
  assert draws["posterior"].shape == (B, 8, 8, 4)
  assert np.isfinite(m.loss(w, batch, draws, 0)[0])
  assert edit(m, w, batch).shape == (B, 64, 64, 3)
  blind = field.replace(m, first_stage=dict(path=""))
  assert set(blind.predict()) == {"errors", "regions"}


MOMENTS = dict(variant="kl-f8", read="moments")


@pytest.mark.parametrize(
  "own, told",
  [
    (dict(dims=dict(dropout=0.1)), "dims.dropout"),
    (dict(told=dict(attention=dict(side=8))), "told.attention.side=8"),
    (dict(told=dict(attention=dict(regions=4))), "told.source.count=3"),
    (dict(told=dict(rendering=dict(sizes=(2, 3)))), "told.rendering.sizes"),
    (dict(told=dict(rendering=dict(used=False))), "told.rendering.used"),
    (dict(told=dict(rendering=dict(factors=("hat",)))), "hat"),
    (dict(told=dict(conditions=dict(drop=(0.0, 0.1)))), "told.conditions"),
    (dict(channels=4, first_stage=MOMENTS), "images"),
  ],
)
def test_fields_that_do_not_go_together_are_refused(own, told):
  with pytest.raises(ValueError, match=told):
    field.replace(M, **own).inputs()
