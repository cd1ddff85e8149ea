"""The section `hardware`: nothing here may change a result.

(Beyond rounding: a sum in another order, bfloat16 in place of float32.)
"""

import dataclasses

from jmim.core import field


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mesh:
  """Devices along each axis; see `parallel.sharding`."""

  data: int = field.value(
    -1, "devices that split the batch; -1: all the others", low=-1
  )
  fsdp: int = field.value(
    1,
    "devices that split batch AND parameters; -1: all the others; 0: as many "
    "as divide, at most 16: right for most models that do not fit in one",
    low=-1,
  )
  replica: int = field.value(
    0, "slices that only a data-centre network joins; 0: all there are", low=0
  )
  tensor: int = field.value(
    1, "devices that split each block's heads and hidden width", low=1
  )
  expert: int = field.value(
    1, "devices that split the batch and the experts of MoE layers", low=1
  )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hardware:
  """How a step is run, and how the host feeds it."""

  mesh: Mesh = field.part(Mesh, "devices along each axis")
  zero: bool = field.value(
    False, "split optimizer state and EMA over `data` too (ZeRO)"
  )
  fsdp_min_size: int = field.value(
    16384, "size below which arrays are replicated [elements]", low=0
  )
  shard_rules: tuple = field.value(
    (), "((regex, (axis or None, ...)), ...): overrides of the layout"
  )
  dtype: str = field.value(
    "auto",
    "compute dtype; auto: bf16 on TPU and GPU, f32 on CPU",
    choices=("auto", "f32", "bf16"),
  )
  scan: str = field.value(
    "auto",
    "layer loop: scanned compiles fast; auto: only on TPU",
    choices=("auto", "on", "off"),
  )
  unroll: int = field.value(1, "layers per scan iteration", low=1)
  remat: str = field.value(
    "none",
    "recompute in the backward pass, when memory is short: all but matmuls "
    "('dots'), all but the tensors of remat_save ('names'), or all ('full')",
    choices=("none", "dots", "full", "names"),
  )
  remat_save: tuple = field.value(
    (), "tensors that remat='names' keeps: qkv, attention, middle, hidden"
  )
  remat_offload: tuple = field.value(
    (), "tensors that remat='names' keeps in memory of the host (TPU, GPU)"
  )
  pad_tokens: int = field.value(
    1, "multiple that kept tokens are filled up to; see --mode=dry_run", low=1
  )
  attention: str = field.value(
    "auto",
    "attention kernel; auto: einsum on CPU, xla elsewhere; cudnn: flash, bf16 "
    "on GPU; flash: on TPU, for long sequences",
    choices=("auto", "einsum", "xla", "cudnn", "flash"),
  )
  flat: str = field.value(
    "auto",
    "products that see tokens of all examples in one dimension; auto: all on "
    "CPU, none elsewhere",
    choices=("auto", "none", "all"),
  )
  experts: str = field.value(
    "auto",
    "mixtures of experts: all on every token (dense; auto on CPU), or sorted "
    "by expert (ragged; auto elsewhere, and with an expert axis)",
    choices=("auto", "dense", "ragged"),
  )
  compiler: tuple = field.value(
    (), "options of XLA for the training step: ('xla_name=value', ...)"
  )
  tune: bool = field.value(
    False,
    "at the start, times equal ways to run a layer on this processor: flat, "
    "attention, scan and compiler, those of them that are not set",
  )
  data_threads: int = field.value(
    2, "threads that decode images, in each process", low=0
  )
  data_workers: int = field.value(
    0, "processes that decode images; 0: threads of this one only", low=0
  )
  prefetch: int = field.value(2, "batches kept ready on the devices", low=1)
  host_timeout: int = field.value(
    300, "seconds after which a host that does not answer is given up", low=1
  )
  stall_factor: float = field.value(
    10.0,
    "a run ends, saying what it waits for, if no step is done for so many "
    "times the slowest so far, and host_timeout; 0: it waits for ever",
    low=0,
  )
  compile_cache: str = field.value(
    "~/.cache/jmim/xla", "folder of compiled programs; '': none are kept"
  )
