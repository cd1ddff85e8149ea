import dataclasses

import jax
import numpy as np

from jmim.core import method as methods
from jmim.methods.diffusion import maskdit
from jmim.methods.diffusion import umd

METHOD = maskdit.MaskDiT.tiny()


def test_it_is_umd_with_other_numbers():
  same = dataclasses.replace(
    umd.UMD.tiny(), clean_share=0.0, noised_mask=0.5, probe_time=3
  )
  assert vars(METHOD) == vars(same)
  assert maskdit.MaskDiT().probe_time == 51
  assert umd.UMD().clean_share > 0


def test_no_row_is_clean_and_half_of_the_patches_are_hidden():
  rng, b = np.random.default_rng(0), 4
  image = rng.uniform(-1, 1, (b, 16, 16, 3)).astype(np.float32)
  batch = {"image": image, "label": np.array([0, 1, 2, 1])}
  draws = METHOD.drawn(jax.random.key(1), batch)
  init = jax.eval_shape(METHOD.init, jax.random.key(0), batch)[0]
  zeros = jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), init)
  loss, aux = jax.jit(METHOD.loss)(methods.Weights(zeros), batch, draws, 0)
  assert set(aux) == {"loss_eps", "loss_x0"}
  # A network of zeros: the mean squares of noise and data on their patches.
  patches = lambda x: x.reshape(b, 4, 4, 4, 4, 3).transpose(0, 1, 3, 2, 4, 5)
  order = np.argsort(draws["scores"], axis=1)
  hidden = np.argsort(order, axis=1) >= 8
  hidden = hidden.reshape(b, 4, 4)
  noise = patches(np.asarray(draws["noise"]))[~hidden]
  np.testing.assert_allclose(aux["loss_eps"], (noise**2).mean(), rtol=1e-5)
  data = patches(image)[hidden]
  np.testing.assert_allclose(aux["loss_x0"], (data**2).mean(), rtol=1e-5)
  np.testing.assert_allclose(
    loss, (aux["loss_eps"] + aux["loss_x0"]) / 2, rtol=1e-6
  )
