"""Every config key that is not a method's or an evaluator's own.

`config.method` and `config.evals.<name>` are documented by the fields of the
classes they name. Durations: give ONE of `<stem>_steps`, `<stem>_epochs`,
`<stem>_images`; 0 means not given. Sizes of batches are totals over all
devices and hosts, always.
"""

from jmim.core import config_key
from jmim.core import hardware_config

Key, duration = config_key.Key, config_key.duration
KEYS: dict[str, Key] = {
  "seed": Key(
    default=0, doc="Fixes init, data order and draws. Change for a repeat."
  ),
  # --- method: `type` here; its other keys are the fields of the class.
  "method.type": Key(
    default="", doc="Module below jmim/methods, e.g. 'mim.mae'."
  ),
  # --- data: what the model sees.
  "data.name": Key(
    default="", doc="TFDS name ('cifar10', 'digits/scattered') or 'folder'"
  ),
  "data.data_dir": Key(
    default="", doc="TFDS data dir or image folder; '': ~/.cache/jmim"
  ),
  "data.train_split": Key(
    default="train", doc="Split trained on; TFDS slices work."
  ),
  "data.eval_split": Key(
    default="test", doc="Held-out split that evaluators use."
  ),
  "data.batch": Key(default=256, doc="Total batch per optimizer step.", low=1),
  "data.size": Key(
    default=224, doc="Image side given to the method [pixels].", low=1
  ),
  "data.channels": Key(default=3, doc="3: RGB, 1: grey.", choices=(1, 3)),
  "data.host_crop": Key(
    default="none",
    doc="How the host cuts a training image to `size`: 'none' (stored at that "
    "size), 'center', 'resized' (random resized crop; big images).",
    choices=("none", "center", "resized"),
  ),
  "data.eval_crop": Key(
    default="none",
    doc="The same for evaluation: 'none' or 'center'.",
    choices=("none", "center"),
  ),
  "data.eval_resize": Key(
    default=0, doc="Short side before the centre crop [pixels]; 0: size.", low=0
  ),
  "data.crop_scale": Key(
    default=(0.2, 1.0), doc="Area range of a random resized crop."
  ),
  "data.crop_ratio": Key(
    default=(0.75, 4 / 3), doc="Aspect range of such a crop."
  ),
  "data.device_crop": Key(
    default="none",
    doc="Random crop inside the step: 'pad' (zero-pad by `pad`, crop; CIFAR) or "
    "'resized'. Use it when images are stored at `size`.",
    choices=("none", "pad", "resized"),
  ),
  "data.pad": Key(
    default=4, doc="Padding of device_crop='pad' [pixels].", low=0
  ),
  "data.flip": Key(
    default=True, doc="Mirror half of the images. Off for digits, text."
  ),
  "data.jitter": Key(
    default=(0.0, 0.0, 0.0, 0.0),
    doc="Colour jitter: strength of brightness, contrast, saturation, hue.",
  ),
  "data.jitter_share": Key(
    default=0.8, doc="Share of images jittered, if any.", low=0, high=1
  ),
  "data.grey_share": Key(
    default=0.0, doc="Share of images made grey.", low=0, high=1
  ),
  "data.blur_share": Key(
    default=0.0, doc="Share of images blurred.", low=0, high=1
  ),
  "data.blur_sigma": Key(default=(0.1, 2.0), doc="Range of the blur [pixels]."),
  "data.randaugment": Key(
    default=0.0,
    doc="RandAugment's magnitude (fine-tuning: 9); 0: none.",
    low=0,
    high=10,
  ),
  "data.erase_share": Key(
    default=0.0,
    doc="Share of images with a box of noise (fine-tuning: 0.25).",
    low=0,
    high=1,
  ),
  "data.mean": Key(
    default=(0.485, 0.456, 0.406), doc="Subtracted from [0, 1] images."
  ),
  "data.std": Key(default=(0.229, 0.224, 0.225), doc="Then divided by."),
  "data.decoder": Key(
    default="pillow",
    doc="Of host_crop='resized': 'pillow' is torchvision's arithmetic; 'turbo' "
    "decodes only what the crop needs, 2.5x as fast (pip install jmim[fast]).",
    choices=("pillow", "turbo"),
  ),
  "data.kernel": Key(
    default="bicubic",
    doc="Filter of the resize; turbo knows bicubic only.",
    choices=("bicubic", "bilinear"),
  ),
  "data.views": Key(
    default=0, doc="Crops of one image in `views`; 0: `image`.", low=0
  ),
  "data.nested": Key(default=False, doc="Views 1, 2 ... are crops of view 0."),
  "data.view_scale": Key(
    default=(0.3, 0.6), doc="Area of nested views, as a share of view 0."
  ),
  "data.local_views": Key(
    default=0, doc="Small crops of one image in `locals`.", low=0
  ),
  "data.local_size": Key(default=96, doc="Their side [pixels].", low=1),
  "data.local_scale": Key(default=(0.05, 0.4), doc="Their area range."),
  "data.frames": Key(
    default=0, doc="Frames of a clip in `video`; 0: no video.", low=0
  ),
  "data.stride": Key(
    default=4, doc="Stored frames per frame of a clip.", low=1
  ),
  "data.repeat_samples": Key(
    default=1,
    doc="Slots in a row with the same example, drawn anew; divides batch.",
    low=1,
  ),
  "data.remainder": Key(
    default="keep",
    doc="End of an epoch that fills no batch: 'keep' (a batch may straddle two "
    "epochs) or 'drop'.",
    choices=("keep", "drop"),
  ),
  "data.mixture": Key(
    default=(),
    doc="((name, weight), ...): train on several data sets; name is for eval.",
  ),
  "data.cache": Key(
    default=0,
    doc="Keep this many bytes of encoded examples in memory; 0: none.",
    low=0,
  ),
  "data.on_bad_record": Key(
    default="raise",
    doc="A broken image: 'raise' (name it and stop) or 'skip' (name it, go on).",
    choices=("raise", "skip"),
  ),
  "data.max_bad_share": Key(
    default=0.05,
    doc="Stop if more than this share of the data set is broken.",
    low=0,
    high=1,
  ),
  # --- optim
  "optim.name": Key(
    default="adamw", doc="Optimizer.", choices=("adamw", "lion", "sgd", "lars")
  ),
  "optim.lr": Key(default=1e-3, doc="Peak learning rate; see lr_batch.", low=0),
  "optim.lr_batch": Key(
    default=0,
    doc="lr is per this many examples: peak = lr * batch / lr_batch (MAE's blr: "
    "256). 0: lr is the peak itself.",
    low=0,
  ),
  "optim.b1": Key(
    default=0.9, doc="First-moment decay (adamw, lion).", low=0, below=1
  ),
  "optim.b2": Key(
    default=0.95,
    doc="Second-moment decay (adamw, lion). 0.999 to fine-tune.",
    low=0,
    below=1,
  ),
  "optim.eps": Key(default=1e-8, doc="Adam's epsilon.", low=0),
  "optim.momentum": Key(
    default=0.9, doc="Momentum (sgd, lars).", low=0, below=1
  ),
  "optim.trust": Key(default=0.001, doc="LARS trust coefficient.", above=0),
  "optim.weight_decay": Key(
    default=0.05,
    doc="Decoupled (adamw, lion) or added to the gradient (sgd, lars).",
    low=0,
  ),
  "optim.weight_decay_end": Key(
    default=0.0,
    doc="Its value at the end of half a cosine; 0: constant.",
    low=0,
  ),
  "optim.clip_norm": Key(
    default=0.0,
    doc="Global gradient-norm clip per player; 0: none. Try 1.0 on spikes.",
    low=0,
  ),
  "optim.accumulate": Key(
    default=1,
    doc="Micro-batches per step: use when a batch does not fit.",
    low=1,
  ),
  "optim.layer_decay": Key(
    default=1.0,
    doc="lr of layer i of n times this^(n - i); 0.65..0.75 to fine-tune.",
    above=0,
    high=1,
  ),
  "optim.freeze": Key(
    default=(), doc="Regexes of parameters that do not train."
  ),
  "optim.lr_mults": Key(
    default=(), doc="((regex, factor), ...) on the learning rate."
  ),
  "optim.decay_mults": Key(
    default=(), doc="((regex, factor), ...) on the weight decay."
  ),
  # --- schedule of the learning rate
  "schedule.name": Key(
    default="cosine",
    doc="After the warm-up: half cosine or line to min_lr, constant, rsqrt, one "
    "step down.",
    choices=("cosine", "linear", "constant", "rsqrt", "step"),
  ),
  "schedule.min_lr": Key(
    default=0.0, doc="Where cosine and linear end.", low=0
  ),
  "schedule.start_lr": Key(default=0.0, doc="Where the warm-up begins.", low=0),
  "schedule.drop_factor": Key(
    default=0.1, doc="step: by how much.", low=0, high=1
  ),
  **duration("schedule.drop", "step: when, from the start"),
  **duration("schedule.warmup", "Linear warm-up from start_lr"),
  **duration("schedule.cooldown", "Final line to 0 (constant, rsqrt)"),
  **duration("schedule.timescale", "rsqrt: lr * sqrt(T / (T + t))"),
  # --- init_from: parameters of another run, see checkpoints/init_from.py
  "init_from.path": Key(
    default="",
    doc="Workdir of a run, or .npz, to start the parameters from; '': fresh.",
  ),
  "init_from.weights": Key(
    default="raw",
    doc="Its trained parameters or their EMA.",
    choices=("raw", "ema"),
  ),
  "init_from.rename": Key(
    default=(), doc="((regex, replacement), ...) on its names."
  ),
  "init_from.skip": Key(
    default=(), doc="Regexes of its names that are not wanted."
  ),
  "init_from.reinit": Key(
    default=(), doc="Regexes of our names that stay fresh."
  ),
  "init_from.resize": Key(
    default=(), doc="Regexes of position tables to be resized."
  ),
  # --- train
  **duration("train.total", "Length of the run"),
  "train.log_steps": Key(
    default=50, doc="Steps between log lines, which are means over them.", low=1
  ),
  "train.profile_steps": Key(
    default="",
    doc="'10:13': trace these steps into workdir/profile, print what took long.",
  ),
  **duration("train.checkpoint", "Between checkpoints; none: only the last"),
  "train.keep": Key(default=2, doc="Newest checkpoints kept.", low=1),
  **duration("train.keep_every", "Checkpoints at multiples of this stay"),
  "train.keep_best": Key(
    default="",
    doc="Keep the checkpoint at which this number of an evaluator is highest, "
    "e.g. 'probe/accuracy'; lowest with '-' before it; '': none.",
  ),
  "train.max_skips": Key(
    default=10, doc="Stop after this many non-finite steps in a row.", low=1
  ),
  "train.max_failures": Key(
    default=5,
    doc="Stop after this many writes in a row failed (disk full, folder gone). "
    "Raise it where a file system is often away for a while.",
    low=1,
  ),
  "train.spike_z": Key(
    default=0.0,
    doc="A loss is a spike if it is this many robust standard deviations above "
    "the median of recent ones; 0: never. Try 10 for long runs.",
    low=0,
  ),
  "train.spike_window": Key(
    default=128, doc="Losses it is compared with.", low=16
  ),
  "train.spike_policy": Key(
    default="warn",
    doc="At a spike: 'warn', or 'rollback' to the checkpoint before it, with the "
    "batches since then skipped.",
    choices=("warn", "rollback"),
  ),
  "train.max_rollbacks": Key(
    default=3, doc="Stop at the next spike after this many rollbacks.", low=1
  ),
  # --- ema of the parameters
  "ema.decay": Key(
    default=0.0, doc="EMA decay per step; 0: no EMA.", low=0, below=1
  ),
  "ema.warmup": Key(default=True, doc="Use min(decay, (1 + t) / (10 + t))."),
  # --- sample: what --mode=sample makes; how is said by the method's fields
  "sample.num": Key(
    default=64, doc="Images in all; more later continues.", low=1
  ),
  "sample.batch": Key(
    default=64,
    doc="Images at a time; rounded up to a multiple of the devices.",
    low=1,
  ),
  "sample.seed": Key(
    default=0, doc="An image is a function of (seed, its number)."
  ),
  "sample.label": Key(
    default=-1, doc="Class of all images; -1: the classes in turn.", low=-1
  ),
  "sample.weights": Key(
    default="raw", doc="Parameters used.", choices=("raw", "ema")
  ),
  # --- logging: beside metrics.jsonl and TensorBoard, which are always there
  "logging.wandb_project": Key(
    default="",
    doc="W&B project that is told the same (pip install jmim[wandb]); '': none.",
  ),
  "logging.wandb_mode": Key(
    default="online",
    doc="offline: for `wandb sync`.",
    choices=("online", "offline"),
  ),
  **hardware_config.KEYS,
}

# Sections of which any entry may be overridden for one player:
# config.optim.players.<player>.<key of optim>.
PER_PLAYER = ("optim",)
