"""Faces of 32 px are dubbed, or their codes stored.

    python -m jmim.main --mode=apply --workdir=W \
      --config=configs/dubbing_faces.py:renderer=R \
      --config.apply.store=face_codes
    python -m jmim.main --mode=apply --workdir=W \
      --config=configs/dubbing_faces.py:renderer=R,speech=S

Without speech= only codes are made, of all clips, beside `sound`, `signal` and
`mouth`: what configs/diffdub_speech_faces.py learns from.

Arguments: renderer= (a run of diffdub_faces), speech= (one of
diffdub_speech_faces), num=64 (clips that are dubbed), shots=few (one),
shuffled=False (True: sounds in a random order, to compare).

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs
from jmim.data.procedural import talking

FRAMES = 40
KEPT = (("signal", FRAMES, 2), ("mouth", FRAMES, 2))
SOUND = ("sound", talking.LAYERS, 2 * FRAMES, talking.WIDTH)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, renderer="", speech="", num=64, shots="few", shuffled=False
  )
  config = configs.procedure()
  half = dict(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
  config.data.update(name="faces/clips", batch=16, size=32, flip=False, **half)
  config.data.pictures = (("frames", FRAMES, 32, 32),)
  config.procedure = configs.section(
    type="edit.dubbing",
    renderer=dict(path=arg.renderer, recipe="configs/diffdub_faces.py"),
    speech=dict(path=arg.speech),
    frames=FRAMES,
    shots=arg.shots,
    shuffled=arg.shuffled,
    render=bool(arg.speech),
    kept=KEPT if arg.speech else (*KEPT, SOUND),
  )
  if arg.speech:
    config.apply.num = arg.num
    config.evals.dubbing = configs.section(type="dubbing")
    config.evals.outside = configs.section(type="mean", predict="apply/outside")
  else:
    config.apply.update(num=0, splits=("train", "eval"))
  return config
