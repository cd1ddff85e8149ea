"""Step-Video-T2V by stages: images, clips of 192 x 320, clips of 544 x 992.

Examples hold `moments` [t, h, w, 128] of the Video-VAE, `context` [320, 6144]
and its `context_length` of the language model, `clip_context` [77, 1024] of the
bilingual CLIP, float16 or float32: a program of the user's own makes them (the
encoders of texts are outside, docs/add_a_data_set.md), as `text_images_latents`
or `text_clips_latents`; `jmim.tools.cache_latents` makes moments.

    R=configs/step_video_published.py
    python -m jmim.main --config=$R --workdir=A --config.data.data_dir=DIR
    python -m jmim.main --config=$R:stage=clips192,start=A --workdir=B ...
    python -m jmim.main --config=$R:stage=clips544,start=B --workdir=C ...

Arguments: stage=images (clips192, clips544), size=4b (30b), length=204 (136,
68: frames of a clip, of 17 each 3 latent ones), start= (a run), batch= (the
report's), first_stage= (weights, `--from=step_video_vae`: to sample), null=
(features of no text; to sample also of a negative one, with --allow_changes). A
bucket of lengths or sides is a run of its own here: they are not mixed.

30 B splits heads and hidden widths (hardware.mesh.tensor) over 8 chips. Clips
need hardware.attention=flash: of 75,888 tokens one head's logits are 23 GB.

Reference (theirs, 30 B, people's win-tie-loss against HunyuanVideo): 59-22-47,
46-47-35, 54-41-33. Not published: size of the smaller model, optimizer, times.

Size: 4.93 G parameters.
Time: not measured.
Expect: nothing published of stages alone.
"""

from jmim.core import choices
from jmim.core import config as configs
from jmim.core import errors

# rows, columns of latents, steps, learning rate, batch: samples over
# steps, 40, 4 and 1.5 (2, then 1) on each of 384 nodes.
STAGES = {
  "images": (16, 16, 253_000, 1e-4, 15_360),
  "clips192": (12, 20, 430_000, 6e-5, 1536),
  "clips544": (34, 62, 46_000, 2e-5, 576),
}
SIZES = {"4b": "4B/1", "30b": "30B/1"}
CHUNK, LATENT_CHUNK = 17, 3


def get_config(arg: str | None = None):
  known = dict(stage="images", size="4b", length=204, batch=0)
  arg = configs.parse_arg(arg, start="", first_stage="", null="", **known)
  choices.check(arg, stage=STAGES, size=SIZES)
  if arg.length % CHUNK:
    seen, known = f"length={arg.length}", f"a multiple of {CHUNK} frames"
    raise errors.UserError(seen, known, "change it", "--config")
  height, width, steps, rate, batch = STAGES[arg.stage]
  images, large = arg.stage == "images", arg.size == "30b"
  config = configs.base()
  name = f"text_{'images' if images else 'clips'}_latents"
  config.data.update(name=name, batch=arg.batch or batch, flip=False)
  config.data.update(mean=(0.5,) * 3, std=(0.5,) * 3)
  config.method = configs.section(
    type="video.step_video",
    frames=1 if images else arg.length // CHUNK * LATENT_CHUNK,
    height=height,
    width=width,
    dims=configs.section(variant=SIZES[arg.size]),
    told=configs.section(null=arg.null),
    first_stage=dict(variant="deep-f8x16", path=arg.first_stage),
  )
  config.init_from.path = arg.start
  config.optim.update(lr=rate, b2=0.95, weight_decay=0.01, clip_norm=1.0)
  config.schedule.update(name="constant", warmup_steps=1000)
  if arg.stage == "clips544":  # 2e-5, then 1e-5
    config.schedule.update(name="cosine", min_lr=1e-5)
  config.train.update(total_steps=steps, checkpoint_steps=2000, log_steps=50)
  config.ema.update(decay=0.9999)
  means = configs.section(type="mean", every_steps=10_000, limit=256)
  config.evals = configs.section(errors=means)
  config.hardware.update(remat="full", scan="on")
  config.hardware.mesh.update(fsdp=0, tensor=8 if large else 1)
  if not images:
    config.hardware.attention = "flash"
  return config
