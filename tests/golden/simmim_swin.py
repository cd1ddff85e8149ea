"""SimMIM with a Swin: the adapter of `simmim` reads both from the config."""

import importlib.util
import pathlib

_path = pathlib.Path(__file__).with_name("simmim.py")
_spec = importlib.util.spec_from_file_location("golden_simmim_shared", _path)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)

SKIPPED, run = _module.SKIPPED, _module.run
