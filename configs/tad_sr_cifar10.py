"""TAD-SR on CIFAR-10 at 16 px: the four steps of a ResShift in one.

Data as resshift_cifar10, whose run T is the teacher, and the student at first.

    C=configs/tad_sr_cifar10.py
    python -m jmim.main --config=configs/resshift_cifar10.py --workdir=T
    python -m jmim.main --config=$C:teacher=T --workdir=W
    python -m jmim.main --config=$C:teacher=T,kind=sds --workdir=S
    python -m jmim.main --config=$C:teacher=T,timed=False --workdir=U

Arguments: teacher= (its run), hsd=1.0 and gan=0.02 (weights of the score and of
the critic; 0.0: without), kind=hsd (sds: plain score distillation), timed=True
(False: heads are not told the time), steps=300.
`python -m jmim.tools.claim tad_sr` compares.

Size: 0.86 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

DEFAULTS = dict(teacher="", hsd=1.0, gan=0.02, kind="hsd", timed=True)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, **DEFAULTS, steps=300)
  config = configs.load("resshift_cifar10")
  own = dict(
    type="restore.tad_sr",
    teacher=dict(path=arg.teacher, weights="ema"),
    hsd=dict(weight=arg.hsd, kind=arg.kind),
    critic=dict(weight=arg.gan, timed=arg.timed, taps=(2,), out=16),
  )
  config.method = configs.section(**config.method.to_dict() | own)
  config.init_from.update(
    path=arg.teacher,
    weights="ema",
    rename=(("^main/", "student/"),),
    reinit=("^discriminator/",),
  )
  config.optim.lr = 2e-4
  config.schedule.update(name="constant", warmup_steps=0)
  config.ema.decay = 0.98
  config.train.update(total_steps=arg.steps, checkpoint_steps=100)
  teacher = configs.section(
    type="restoration", predict="restore_teacher", limit=512
  )
  config.evals.teacher = teacher
  return config
