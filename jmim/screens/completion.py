"""What --completion prints: completion of flags, recipes and keys.

The script holds all words itself: pressing the tab key starts nothing.

    jmim --completion=bash > ~/.jmim.bash     and `source` it in ~/.bashrc
    jmim --completion=zsh > ~/.jmim.zsh       and `source` it in ~/.zshrc
"""

from absl import flags as absl_flags

from jmim.core import base_config
from jmim.core import discovery
from jmim.core import field
from jmim.core import recipes
from jmim.modes import flags
from jmim.screens import catalogue

SHELLS = ("bash", "zsh")

# `COMP_WORDBREAKS` cuts words at "=" and ":"; what is completed is what comes
# behind the last of them.
_BASH = """\
# Completion of jmim; made by `jmim --completion=SHELL`.
_jmim() {
  local line word recipe keys
  line="${COMP_LINE:0:COMP_POINT}"
  word="${line##* }"
  COMPREPLY=()
  case "$word" in
    --config=*)
      COMPREPLY=( $(compgen -f -X '!*.py' -- "${word#*=}") \\
        $(compgen -W "$_jmim_recipes" -- "${word#*=}") ) ;;
@VALUES@
    --workdir=*|--out=*) COMPREPLY=( $(compgen -d -- "${word#*=}") ) ;;
    --config.*=*) ;;
    --config.*)
      recipe=" ${COMP_LINE#*--config=}"
      recipe="${recipe%% --*}"; recipe="${recipe# }"; recipe="${recipe%%:*}"
      recipe="${recipe##*/}"; recipe="${recipe%.py}"
      case "$recipe" in
@METHODS@
      esac
      COMPREPLY=( $(compgen -S = -W "$_jmim_keys $keys" -- "$word") ) ;;
    *) COMPREPLY=( $(compgen -W "$_jmim_flags" -- "$word") ) ;;
  esac
  if [[ "${COMPREPLY[0]}" == *= ]]; then compopt -o nospace; fi 2>/dev/null
}
_jmim_recipes="@RECIPES@"
_jmim_flags="@FLAGS@"
_jmim_keys="@KEYS@"
complete -F _jmim jmim
"""
_ZSH = "autoload -Uz bashcompinit compinit && compinit && bashcompinit\n"


def script(shell: str) -> str:
  """The text that the shell reads.

  Args:
    shell: one of `SHELLS`; zsh has the functions of bash.
  """
  text = _BASH
  for name, words in _parts().items():
    text = text.replace(f"@{name}@", words)
  return (_ZSH if shell == "zsh" else "") + text


def _parts() -> dict[str, str]:
  """Place in the script -> what is put there."""
  known = absl_flags.FLAGS.get_flags_for_module(flags)
  keys = [f"--config.{key}" for key in base_config.KEYS]
  bare = ["--help", *(f"--{f.name}" for f in known if f.boolean), "doctor"]
  valued = [f"--{f.name}=" for f in known if not f.boolean]
  return {
    "VALUES": "\n".join(_values(f) for f in known if _choices(f)),
    "METHODS": "\n".join(_methods()),
    "RECIPES": " ".join(recipes.names()),
    "FLAGS": " ".join([*bare, *valued, "--config."]),
    "KEYS": " ".join(keys),
  }


def _choices(flag: absl_flags.Flag) -> list[str]:
  return getattr(flag.parser, "enum_values", None) or []


def _values(flag: absl_flags.Flag) -> str:
  """The case of a flag with a few values."""
  words = " ".join(_choices(flag))
  reply = f'COMPREPLY=( $(compgen -W "{words}" -- "${{word#*=}}") )'
  return f"    --{flag.name}=*) {reply} ;;"


def _methods() -> list[str]:
  """One case per method: its recipes, and the keys of its class."""
  by_method: dict[str, list[str]] = {}
  for entry in catalogue.entries():
    by_method.setdefault(entry.method, []).append(entry.name)
  return [_case(name, known) for name, known in by_method.items()]


def _case(method: str, names: list[str]) -> str:
  try:
    cls, section = discovery.find(method), "method"
  except KeyError:
    cls, section = discovery.find_procedure(method), "procedure"
  keys = (f"--config.{section}.{key}" for key in field.documented(cls))
  return f'        {"|".join(names)}) keys="{" ".join(keys)}" ;;'
