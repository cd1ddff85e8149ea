import cv2
import jax
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import cue_light

METHOD = cue_light.CueLight.tiny()


@pytest.fixture(scope="module")
def made(fill):
  batch = {"image": np.random.default_rng(0).random((3, 16, 16, 3), np.float32)}
  params, _ = fill(METHOD, batch)
  return methods.Weights(params), batch


@pytest.mark.parametrize("ratio, hidden", [(0.5, 8), (0.7, 11), (0.1, 1)])
def test_each_image_hides_int_r_n_whole_windows(made, ratio, hidden):
  method = field.replace(METHOD, mask_ratio=ratio)
  draws = method.drawn(jax.random.key(0), made[1])
  mask = np.asarray(method.mask(draws["scores"]))[..., 0]
  windows = mask.reshape(3, 4, 4, 4, 4).swapaxes(2, 3).reshape(3, 16, 16)
  assert set(np.unique(windows.mean(-1))) == {0.0, 1.0}
  assert windows[..., 0].sum(1).tolist() == [hidden] * 3
  assert len({tuple(w) for w in windows[..., 0]}) > 1


def test_the_loss_counts_hidden_windows_of_every_image(made):
  weights, batch = made
  draws = METHOD.drawn(jax.random.key(0), batch)
  loss, _ = jax.jit(METHOD.loss)(weights, batch, draws, 0)
  light = jax.jit(METHOD.light)
  hidden = np.asarray(METHOD.mask(draws["scores"]))
  found = np.zeros(3)
  for i, gammas in enumerate(np.asarray(draws["gamma"])):
    assert 0.2 <= gammas[0] < 0.5 <= gammas[1] < 1
    for g in (1.0, *gammas):
      x = (batch["image"][i] ** np.float32(1 / g)).max(-1)
      smooth = cv2.bilateralFilter(x, 5, 0.2, 50.0)
      shown = (x[..., None] * (1 - hidden[i]))[None]
      drawn = np.asarray(light(weights.params["main"], shown))[0, ..., 0]
      at = hidden[i, ..., 0] == 1
      found[i] += np.abs(drawn - smooth)[at].mean()
  np.testing.assert_allclose(loss, found.mean(), rtol=1e-4)


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"window": 5}, "size 16 must divide by window 5"),
    ({"mask_ratio": 0.01}, "mask_ratio 0.01 hides no window"),
    ({"diameter": 4}, "diameter 4 must be odd"),
    ({"gamma_dark": (0.0, 1.0)}, "gamma_dark"),
  ],
)
def test_what_does_not_fit_is_refused(changes, words):
  with pytest.raises(ValueError, match=words):
    field.replace(METHOD, **changes).inputs()
