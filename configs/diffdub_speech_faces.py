"""DiffDub's second stage on codes of faces that speak, of 3 layers of sound.

    python -m jmim.main --config=configs/diffdub_speech_faces.py --workdir=S

The data set `face_codes` is what configs/dubbing_faces.py stores with a
renderer of configs/diffdub_faces.py. `shares/layer1` is the share of the layer
that carries the signal; 28 of 40 frames are predicted, of 12 the codes known.

Arguments: data=face_codes, steps=2000.

Size: 0.0740 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs
from jmim.data.procedural import talking


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, data="face_codes", steps=2000)
  config = configs.base()
  config.data.update(name=arg.data, batch=32, size=32, flip=False)
  config.method = configs.section(
    type="edit.diffdub_speech",
    layers=talking.LAYERS,
    sound_width=talking.WIDTH,
    width=32,
    length=40,
    frames=28,
    references=12,
    dims=dict(reference_blocks=1, speech_blocks=2, decoder_blocks=2),
    blocks=dict(width=32, hidden=32, kernel=5, dropout=0.1),
  )
  config.optim.update(lr=1e-3, b2=0.999, weight_decay=0.0, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=100)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500)
  config.evals = configs.section(
    errors=configs.section(type="mean"),
    shares=configs.section(type="mean", predict="shares", limit=32),
  )
  return config
