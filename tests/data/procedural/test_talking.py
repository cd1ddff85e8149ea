import numpy as np

from jmim.data.procedural import talking


def clips(count, frames=40):
  drawn = (np.random.default_rng(i) for i in range(count))
  return [talking.draw(rng, frames) for rng in drawn]


def test_a_signal_moves_the_mouth_and_nothing_else_but_lids_and_head():
  for clip in clips(20):
    one = clip.frames[0]
    assert {(p.identity, p.light) for p in clip.frames} == {
      (one.identity, one.light)
    }
    mouth = [(p.expression.open, p.expression.width) for p in clip.frames]
    want = np.array([2, 9]) + np.array([2, 3]) * clip.signal
    np.testing.assert_allclose(mouth, want, atol=1e-5)
    assert np.abs(clip.signal).max() <= 1
    assert {(p.expression.curve, p.expression.brows) for p in clip.frames} == {
      (one.expression.curve, one.expression.brows)
    }
    head = np.array([(p.pose.x, p.pose.y) for p in clip.frames])
    assert np.abs(head).max() <= 2
    assert np.abs(np.diff(head, axis=0)).max() < 0.6
    closed = [p.expression.closed for p in clip.frames]
    assert sum(closed) == sum(talking.BLINK)


def test_one_layer_of_the_sound_tells_the_signal_late():
  several = clips(30)
  sound = np.stack([clip.sound for clip in several])
  signal = np.stack([clip.signal for clip in several])
  assert sound.shape == (30, talking.LAYERS, 80, talking.WIDTH)
  late = int(2 * talking.DELAY)
  heard = sound[:, :, late::2]
  count = heard.shape[2]
  truth = signal[:, :count].reshape(-1, 2)
  for layer in range(talking.LAYERS):
    seen = heard[:, layer].reshape(-1, talking.WIDTH)
    fit = seen @ np.linalg.lstsq(seen, truth, rcond=None)[0]
    lost = ((fit - truth) ** 2).mean() / truth.var()
    assert lost < 0.01 if layer == talking.SPEAKS else lost > 0.9
