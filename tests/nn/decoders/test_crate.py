import functools

import jax
import numpy as np

from jmim.core import runtime
from jmim.nn import crate
from jmim.nn.decoders import crate as decoders


def decoder(depth, **rt):
  rt = runtime.Runtime(**rt)
  make = functools.partial(crate.DecoderBlock, heads=2, rt=rt, parent=None)
  return decoders.Decoder(depth=depth, make=make, out=5, rt=rt)


def test_blocks_norm_and_head_follow_the_latent_itself(fill, normal):
  """Nothing is added and nothing projected before the first block."""
  latent, model = normal(2, 7, 8), decoder(2)
  variables = fill(model, latent)
  p, y = variables["params"], latent
  for i in range(2):
    layer = jax.tree.map(lambda x, i=i: x[i], p["blocks"]["layers"])
    y, _ = crate.DecoderBlock(heads=2).apply({"params": layer}, y)
  y = np.asarray(y, np.float64)
  y = (y - y.mean(-1, keepdims=True)) / np.sqrt(y.var(-1, keepdims=True) + 1e-6)
  y = y * p["norm"]["scale"] + p["norm"]["bias"]
  expected = y @ p["pred"]["kernel"] + p["pred"]["bias"]
  got = model.apply(variables, latent)
  assert got.shape == (2, 6, 5)
  np.testing.assert_allclose(got, expected[:, 1:], atol=1e-4)
  # Tokens that fill up are nowhere attended to, and cut off again.
  filled = jax.jit(decoder(2, pad_tokens=4, scan=True).apply)(variables, latent)
  np.testing.assert_allclose(filled, got, atol=1e-4)
