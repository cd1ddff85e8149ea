import jax
import jax.numpy as jnp
import numpy as np

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


def test_edits_do_not_read_what_they_make():
  assert set(M.inputs()) - set(M.told.reads(M.inputs())) == {
    "image",
    "segmentation",
  }
