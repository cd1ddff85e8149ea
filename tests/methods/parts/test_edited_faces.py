import jax

from jmim.core import field
from jmim.methods.edit import difffae
from jmim.methods.parts import edited_faces

M = difffae.DiffFAE.tiny()


def offered(m, decodes=True):
  return set(edited_faces.outputs(m.faces, m.told, decodes))


def test_outputs_are_those_that_there_can_be():
  swap = field.replace(M, told=dict(rendering=dict(factors=("pose",))))
  bare = field.replace(M, told=dict(source=dict(count=0)))
  assert offered(M) == {"regions", "edit", "sample"}
  assert offered(swap) == offered(M) | {"edits"}
  assert offered(bare) == {"edit", "sample"}
  assert offered(M, decodes=False) == {"regions"}


def test_sample_is_the_image_of_an_edit():
  batch = {
    n: jax.random.normal(jax.random.key(i), (2, *s.shape))
    for i, (n, s) in enumerate(M.inputs().items())
    if n != "segmentation"
  }
  consts = {n: c.init(jax.random.key(1)) for n, c in M.consts().items()}
  params, _ = M.init(jax.random.key(0), batch)
  weights = difffae.method.Weights(params, consts=consts)
  faces, key = M.faces(weights), jax.random.key(2)
  image = lambda k: faces.edit(batch, k)["image"]
  both = jax.jit(lambda k: (image(k), faces.sample(batch, k)))
  a, b = both(key)
  assert (a == b).all() and a.std() > 0.1
