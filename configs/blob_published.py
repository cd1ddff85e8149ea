"""The blob model at its published size: Stable Diffusion 1, 512 px, frozen.

Examples hold `moments` of a kl-f8 first stage (`jmim.tools.cache_latents`),
`ellipses` [10, 5], and numbers of CLIP's tokenizer: `tokens` [77] of the
caption and `thing_tokens` [10, 24] of descriptions (49406 first, 49407 last and
to fill up). UNET, TEXT and VAE are the parts of Stable Diffusion 1.4
(`python -m jmim.convert`). What things need is trained; all else is frozen.

    python -m jmim.main --config=configs/blob_published.py:vae=VAE --workdir=W \
      --config.data.data_dir=DIR --config.init_from.path=UNET \
      --config.method.condition.text.path=TEXT

Arguments: vae= (to sample), steps=400000, batch=512.

Reference: none; steps, batch and rate are a reconstruction.

Size: 1.07 G parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, vae="", steps=400_000, batch=512)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="blobs512_latents",
    eval_split="test",
    batch=arg.batch,
    size=512,
    flip=False,
    mean=half,
    std=half,
  )
  config.method = configs.section(
    type="edit.blob",
    size=64,
    channels=4,
    dims=dict(
      width=320, multipliers=(1, 2, 4, 4), attend_at=(1, 2, 4), heads=8
    ),
    first_stage=dict(variant="kl-f8", scale=0.18215, path=arg.vae),
    noise=dict(beta_start=0.00085, beta_end=0.012),
    condition=dict(task="text", text=dict(path="TEXT")),
    things=dict(most=10, length=24, alone=True),
    sampling=dict(steps=50, guidance=7.5),
  )
  config.init_from.reinit = ("^main/things/", "/gated_", "/gate_words_")
  config.optim.update(lr=5e-5, b2=0.999, weight_decay=0.01)
  config.schedule.update(name="constant", warmup_steps=10_000)
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  config.evals = configs.section(
    errors=configs.section(type="mean", every_steps=10_000, limit=1024)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
