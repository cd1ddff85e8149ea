"""Bodies of fixed bones and random angles, seen by a camera, as heatmap modes.

17 joints in the order of Human3.6M; x to the right, y upward and z towards the
camera, in metres, the pelvis at the origin. The body itself has its left along
x, faces z, and is then turned about y.

A camera at 4 m makes a standing body 0.7 of a heatmap high. A joint is a mode
of height 1 where it is seen; a limb joint may have a second one, at the joint
of the other side or some pixels away. What one image says of depth is little:
bones have known lengths, but may lean to or from the camera.
"""

import numpy as np

JOINTS = (
  "pelvis",
  *("right hip", "right knee", "right ankle"),
  *("left hip", "left knee", "left ankle"),
  *("spine", "thorax", "neck", "head"),
  *("left shoulder", "left elbow", "left wrist"),
  *("right shoulder", "right elbow", "right wrist"),
)
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
# Of the bone from its parent to each joint [m].
LENGTHS = (
  *(0.0, 0.13, 0.45, 0.45, 0.13, 0.45, 0.45),
  *(0.25, 0.25, 0.1, 0.15),
  *(0.15, 0.28, 0.25, 0.15, 0.28, 0.25),
)
# The joint of the other side.
MIRROR = (0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13)
LIMBS = (2, 3, 5, 6, 12, 13, 15, 16)  # knees, ankles, elbows, wrists
DISTANCE, HEIGHT, FILLED = 4.0, 1.65, 0.7
_MIDDLE = -0.075  # y of the middle of a standing body
_UP = np.array([0.0, 1.0, 0.0])


def _turned(angle: float, axes: tuple[int, int]) -> np.ndarray:
  """Rotation from one axis towards another."""
  made, (a, b) = np.eye(3), axes
  made[a, a] = made[b, b] = np.cos(angle)
  made[b, a], made[a, b] = np.sin(angle), -np.sin(angle)
  return made


def _forward(angle: float) -> np.ndarray:
  """What hangs down, swung forward."""
  return np.array([0.0, -np.cos(angle), np.sin(angle)])


def _leg(rng: np.random.Generator, side: float) -> list[np.ndarray]:
  """Directions of hip, thigh and shin."""
  hip, knee = rng.normal(0.2, 0.5), rng.uniform(0, 1.8)
  across = np.array([side, 0.0, 0.0])
  return [across, _forward(hip), _forward(hip - knee)]


def _arm(rng: np.random.Generator, side: float) -> list[np.ndarray]:
  """Directions of shoulder, upper arm and forearm."""
  swing, away = rng.normal(0, 0.8), rng.uniform(0, 1.5)
  elbow, across = rng.uniform(0, 2), np.array([side, 0.0, 0.0])
  upper = np.cos(away) * _forward(swing) + np.sin(away) * across
  bent = _forward(swing + np.pi / 2)  # at right angles to the upper arm
  return [across, upper, np.cos(elbow) * upper + np.sin(elbow) * bent]


def draw(rng: np.random.Generator) -> np.ndarray:
  """[17, 3] joints of a random body, in metres."""
  yaw, pitch = rng.uniform(-np.pi, np.pi), rng.normal(0, 0.15)
  legs = [*_leg(rng, -1.0), *_leg(rng, 1.0)]
  trunk = [_UP] * 4 + [*_arm(rng, 1.0), *_arm(rng, -1.0)]
  lean = _turned(pitch, (1, 2))
  bones = [np.zeros(3), *legs, *(lean @ bone for bone in trunk)]
  turn, joints = _turned(yaw, (2, 0)), np.zeros((len(JOINTS), 3))
  for j, parent in enumerate(PARENTS):
    if parent >= 0:
      joints[j] = joints[parent] + LENGTHS[j] * (turn @ bones[j])
  return joints


def project(joints: np.ndarray, size: int) -> np.ndarray:
  """[..., 2] where joints [..., 3] are seen: (x, y) in pixels, y downward.

  Args:
    joints: in metres.
    size: side of the heatmap.
  """
  focal = FILLED * size * DISTANCE / HEIGHT
  away = DISTANCE - joints[..., 2]
  x, y = joints[..., 0] / away, (joints[..., 1] - _MIDDLE) / away
  return np.stack([size / 2 + focal * x, size / 2 - focal * y], -1)


def vector(joints: np.ndarray) -> np.ndarray:
  """float32 [48], (x1..x16, y1.., z1..) without the pelvis, means of 0."""
  rest = joints[1:]
  return (rest - rest.mean(0)).T.ravel().astype(np.float32)


def modes(
  seen: np.ndarray, second: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
  """float32 [16, 2, 3]: (x, y, height) of two modes, the second often 0.

  Args:
    seen: [17, 2] joints in pixels.
    second: [17] bool, which joints have another.
    rng: where, and how high (0.6 to 1.1).
  """
  found = np.zeros((len(JOINTS), 2, 3))
  found[:, 0, :2], found[:, 0, 2] = seen, 1.0
  for j in np.flatnonzero(second):
    angle, far = rng.uniform(0, 2 * np.pi), rng.uniform(4, 8)
    offset = far * np.array([np.cos(angle), np.sin(angle)])
    place = seen[MIRROR[j]] if rng.random() < 0.5 else seen[j] + offset
    found[j, 1] = *place, rng.uniform(0.6, 1.1)
  return found[1:].astype(np.float32)
