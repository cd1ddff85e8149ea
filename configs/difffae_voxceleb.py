"""DiffFAE on videos of faces (VoxCeleb1) at 256 px, in latents of 32 x 32.

The data is yours. An example holds two frames of one video, `image` (the query,
which is to be made) and `source`, and `rendering`: a model of faces (DECA,
say) with the source's shape and albedo, and the query's pose, expression and
light, black outside of the face (all uint8, 256 x 256). Beside them `pose` [6],
`expression` [64], `light` [27] of the query; `identity` [512] of the source, of
a network that recognises faces (ArcFace, say); and `segmentation` [256, 256] of
the image, 0 .. 7. Without regions: masks=False. VAE is Stable Diffusion's.

    python -m jmim.main --config=configs/difffae_voxceleb.py:vae=VAE \
      --workdir=W --config.data.data_dir=DIR

For edits of one factor each an example of the test split also holds
`renderings` [3, 256, 256, 3] and `source_pose`, `source_expression`,
`source_light`: set `method.told.rendering.factors`, and `data.pictures`.
Steps, batch and sizes are ours.

Arguments: vae= (its weights, a run or an .npz), masks=True, batch=256.

Size: 386 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, vae="", masks=True, batch=256)
  config, half = configs.base(), (0.5, 0.5, 0.5)
  pictures = (("source", 256, 256), ("rendering", 256, 256))
  config.data.update(name="voxceleb", batch=arg.batch, size=256, flip=False)
  config.data.update(pictures=pictures, mean=half, std=half)
  config.method = configs.section(
    type="edit.difffae",
    told=dict(
      source=dict(identity="stored"),
      attention=dict(kind="masks" if arg.masks else "statistics"),
    ),
    first_stage=dict(path=arg.vae),
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.01)
  config.schedule.update(name="constant", warmup_steps=1000)
  config.ema.decay = 0.9999
  config.train.update(total_steps=300_000, checkpoint_steps=5000, log_steps=100)
  config.evals.errors = configs.section(
    type="mean", weights="ema", every_steps=10_000, limit=256
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
