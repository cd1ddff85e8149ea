"""TAD-SR at the published sizes: ImageNet x4, and faces of 512 px.

Data and first stage AE as resshift_imagenet, whose run T (or ResShift's own
weights, `python -m jmim.convert --from=resshift`) is the teacher.

    python -m jmim.main \
      --config=configs/tad_sr_imagenet.py:autoencoder=AE,teacher=T \
      --workdir=W --config.data.data_dir=DIR
    python -m jmim.main --mode=dry_run --topology=v5e:8x8 \
      --config=configs/tad_sr_imagenet.py

Arguments: task=sr (faces), autoencoder=, teacher=, steps=30000, batch=64 (the
authors' of faces: 56).

Size: 139 M parameters.
Time: not measured.
Expect: LPIPS 0.227 in one step on ImageNet-Test (the authors', from memory;
not repeated).
"""

from jmim.core import config as configs

# Weights of the score and of the critic.
WEIGHTS = {"sr": (1.0, 0.02), "faces": (0.1, 0.2)}
DEFAULTS = dict(task="sr", autoencoder="", teacher="", steps=30_000, batch=64)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, **DEFAULTS)
  names = ("task", "autoencoder", "steps", "batch")
  given = ",".join(f"{name}={arg[name]}" for name in names)
  config = configs.load(f"resshift_imagenet:{given}")
  score, critic = WEIGHTS[arg.task]
  own = dict(
    type="restore.tad_sr",
    teacher=dict(path=arg.teacher, weights="ema"),
    hsd=dict(weight=score),
    critic=dict(weight=critic),
  )
  config.method = configs.section(**config.method.to_dict() | own)
  config.init_from.update(
    path=arg.teacher,
    weights="ema",
    rename=(("^main/", "student/"),),
    reinit=("^discriminator/",),
  )
  config.schedule.update(name="constant", warmup_steps=0)
  # As published: the score divides the teacher's rounding by 0.04.
  config.hardware.dtype = "f32"
  config.evals.restoration.every_steps = 5000
  return config
