"""Config keys of `hardware`: nothing here may change a result.

(Beyond rounding: a sum in another order, bfloat16 in place of float32.)
"""

from jmim.core import config_key

Key = config_key.Key

KEYS: dict[str, Key] = {
  "hardware.mesh.data": Key(
    default=-1,
    doc="Devices that split the batch; -1: all that are left.",
    low=-1,
  ),
  "hardware.mesh.fsdp": Key(
    default=1,
    doc="Devices that split batch AND parameters; -1: all that are left; 0: as "
    "many as divide, at most 16: right for most models that do not fit in one.",
    low=-1,
  ),
  "hardware.mesh.replica": Key(
    default=0,
    doc="Slices that only a data-centre network joins; 0: all there are.",
    low=0,
  ),
  "hardware.mesh.tensor": Key(
    default=1,
    doc="Devices that split each block's heads and hidden width.",
    low=1,
  ),
  "hardware.mesh.expert": Key(
    default=1,
    doc="Devices that split the batch and the experts of MoE layers.",
    low=1,
  ),
  "hardware.zero": Key(
    default=False, doc="Split optimizer state and EMA over `data` too (ZeRO)."
  ),
  "hardware.fsdp_min_size": Key(
    default=16384, doc="Smaller arrays are replicated [elements].", low=0
  ),
  "hardware.shard_rules": Key(
    default=(),
    doc="((regex, (axis or None, ...)), ...): overrides of the layout.",
  ),
  "hardware.dtype": Key(
    default="auto",
    doc="Compute dtype; auto: bf16 on TPU and GPU, f32 on CPU.",
    choices=("auto", "f32", "bf16"),
  ),
  "hardware.scan": Key(
    default="auto",
    doc="Layer loop: scanned compiles fast; auto: only on TPU.",
    choices=("auto", "on", "off"),
  ),
  "hardware.unroll": Key(default=1, doc="Layers per scan iteration.", low=1),
  "hardware.remat": Key(
    default="none",
    doc="Recompute in the backward pass: all, all but matmuls, or all but the "
    "tensors named below. Try in this order when memory is short.",
    choices=("none", "dots", "full", "names"),
  ),
  "hardware.remat_save": Key(
    default=(), doc="remat='names': kept: qkv, attention, middle, hidden."
  ),
  "hardware.remat_offload": Key(
    default=(), doc="remat='names': kept in the memory of the host (TPU, GPU)."
  ),
  "hardware.pad_tokens": Key(
    default=1,
    doc="Fill kept tokens up to a multiple of this; see --mode=dry_run.",
    low=1,
  ),
  "hardware.attention": Key(
    default="auto",
    doc="auto: einsum on CPU, xla elsewhere; cudnn: flash, bf16 on GPU; "
    "flash: on TPU, for long sequences.",
    choices=("auto", "einsum", "xla", "cudnn", "flash"),
  ),
  "hardware.experts": Key(
    default="auto",
    doc="Mixtures of experts: all on every token (dense; auto on CPU), or "
    "sorted by expert (ragged; auto elsewhere, and with an expert axis).",
    choices=("auto", "dense", "ragged"),
  ),
  "hardware.data_threads": Key(
    default=2, doc="Threads that decode images, in each process.", low=0
  ),
  "hardware.data_workers": Key(
    default=0,
    doc="Processes that decode images; 0: threads of this one only.",
    low=0,
  ),
  "hardware.prefetch": Key(
    default=2, doc="Batches kept ready on the devices.", low=1
  ),
  "hardware.host_timeout": Key(
    default=300,
    doc="Seconds after which a host that does not answer is given up.",
    low=1,
  ),
  "hardware.compile_cache": Key(
    default="~/.cache/jmim/xla",
    doc="Compiled programs are kept here; '': nowhere.",
  ),
}
