import numpy as np

from jmim.data.procedural import portraits


def drawn(seed):
  rng = np.random.default_rng(seed)
  return portraits.Portrait(
    identity=portraits.draw_identity(rng),
    expression=portraits.draw_expression(rng),
    pose=portraits.draw_pose(rng),
    light=portraits.draw_light(rng),
  )


def test_factors_keep_to_their_ranges():
  several = [drawn(seed) for seed in range(300)]
  numbers = lambda name: np.stack([getattr(p, name).numbers for p in several])
  who, pose = numbers("identity"), numbers("pose")
  assert who[:, :9].min() >= 0 and who[:, :9].max() <= 1.03
  assert set(who[:, -1]) == set(range(portraits.TEXTURES))
  assert (who[:, 11] > who[:, 12]).all()  # higher than wide
  low, high = numbers("expression").min(0), numbers("expression").max(0)
  assert (low >= (0, -2, -0.5)).all() and (high <= (4, 2, 1)).all()
  most = (2, 2, portraits.TURN, portraits.YAW)
  assert (np.abs(pose) <= np.float32(most)).all()
  assert (np.abs(pose).max(0) > 0.9 * np.array(most)).all()
  strength = np.linalg.norm(numbers("light"), axis=1)
  assert strength.max() <= portraits.SHADE + 1e-6


def test_what_is_taken_is_the_other_ones():
  one, other = drawn(1), drawn(2)
  both = one.taking(other, ("pose", "light"))
  assert both.identity == one.identity and both.expression == one.expression
  assert both.pose == other.pose and both.light == other.light
  assert one.taking(other, ()) == one
