import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.edit import difffae
from jmim.methods.parts import told_face

M = difffae.DiffFAE.tiny()


def test_blank_has_the_shapes_of_what_is_told():
  rng = np.random.default_rng(0)
  batch = {
    n: jnp.asarray(rng.normal(size=(1, *s.shape))).astype(s.dtype)
    for n, s in M.inputs().items()
  }
  consts = {n: c.init(jax.random.key(1)) for n, c in M.consts().items()}
  params, _ = M.init(jax.random.key(0), batch)
  weights = difffae.method.Weights(params, consts=consts)
  told, _ = M.told.told(M.first_stage, weights, batch)
  blank = M.told.blank(8, M.shape)
  assert jax.tree.map(jnp.shape, told) == jax.tree.map(jnp.shape, blank)


def test_guidance_is_without_what_it_is_by():
  blank = M.told.blank(8, M.shape)
  for by in (("tokens",), ("rendering",), told_face.NAMES):
    part = difffae.field.replace(M.told, conditions=dict(guide=by))
    cond, null = part.both(blank)
    for name in told_face.NAMES:
      assert getattr(cond, f"keep_{name}") == 1
      assert getattr(null, f"keep_{name}") == (name not in by)


@pytest.mark.parametrize(
  "own, name, said",
  [
    (dict(source=dict(count=0, identity="none")), "tokens", "source.count=0"),
    (
      dict(rendering=dict(used=False, numbers=())),
      "rendering",
      "rendering.used=False",
    ),
  ],
)
def test_guidance_is_by_what_the_network_is_told(own, name, said):
  (other,) = {*told_face.NAMES} - {name}
  by = lambda *names: difffae.field.replace(
    M.told, **own, attention=dict(weight=0.0), conditions=dict(guide=names)
  )
  by(other).check(M.sides, 2.0)
  by(*told_face.NAMES).check(M.sides, 1.0)
  for names in ((name,), told_face.NAMES):
    with pytest.raises(
      ValueError, match=f"told.{said}.*{name!r}, only {other}"
    ):
      by(*names).check(M.sides, 2.0)


def test_an_identity_alone_is_a_condition_of_the_source():
  part = difffae.field.replace(
    M.told,
    source=dict(count=0),
    attention=dict(weight=0.0),
    conditions=dict(guide=("tokens",)),
  )
  assert part.source.identity == "network"
  part.check(M.sides, 2.0)


def test_edits_do_not_read_what_they_make():
  assert set(M.inputs()) - set(M.told.reads(M.inputs())) == {
    "image",
    "segmentation",
  }
