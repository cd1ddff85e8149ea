"""What --completion prints: completion of flags, recipes and keys.

The script holds all words itself: pressing the tab key starts nothing.

    jmim --completion=bash > ~/.jmim.bash     and `source` it in ~/.bashrc
    jmim --completion=zsh > ~/.jmim.zsh       and `source` it in ~/.zshrc
"""

from collections.abc import Iterator

from absl import flags as absl_flags

from jmim.core import base_config
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import field
from jmim.core import recipes
from jmim.modes import flags

SHELLS = ("bash", "zsh")

# Bash cuts words at the characters of `COMP_WORDBREAKS`, "=" among them: what
# is completed is what comes behind the last of them. Zsh completes whole words.
# A recipe of one's own is searched for the sections that it makes with a type.
_BASH = """\
# Completion of jmim; made by `jmim --completion=SHELL`.
_jmim() {
  local line word before recipe part keys
  line="${COMP_LINE:0:$COMP_POINT}"
  word="${line##* }"
  COMPREPLY=()
  if [[ "${COMP_WORDBREAKS-}" != *=* ]]; then before="${word%%=*}="; fi
  case "$word" in
    --config=*)
      COMPREPLY=( $(compgen -P "$before" -f -X '!*.py' -- "${word#*=}") \\
        $(compgen -P "$before" -W "$_jmim_recipes" -- "${word#*=}") ) ;;
@VALUES@
    --workdir=*|--out=*)
      COMPREPLY=( $(compgen -P "$before" -d -- "${word#*=}") ) ;;
    --config.*=*) ;;
    --config.*)
      recipe=" ${COMP_LINE#*--config=}"
      recipe="${recipe%% --*}"; recipe="${recipe# }"; recipe="${recipe%%:*}"
      keys="$_jmim_keys"
      for part in $(_jmim_parts "$recipe"); do
        keys="$keys $(_jmim_keys_of "$part")"
      done
      COMPREPLY=( $(compgen -S = -W "$keys" -- "$word") ) ;;
    *) COMPREPLY=( $(compgen -W "$_jmim_flags" -- "$word") ) ;;
  esac
@END@
}
# Sections of a recipe with their types: method=mim.mae evals.probe=probe ...
_jmim_parts() {
  local name="${1##*/}"
  case "${name%.py}" in
@RECIPES_PARTS@
    *)
      if [[ ! -f "$1" ]]; then return; fi
      tr -d ' \\n' < "$1" \\
        | grep -oE '[a-z0-9_]+=configs\\.section\\(type=.[a-zA-Z0-9_.]+' \\
        | sed -E 's/=.*[^a-zA-Z0-9_.]/=/; /^(method|procedure)=/!s/^/evals./' ;;
  esac
}
# Keys of a section, as flags.
_jmim_keys_of() {
  local section="${1%%=*}" key fields
  case "${section%%.*}=${1#*=}" in
@FIELDS@
  esac
  for key in $(echo "$fields"); do echo "--config.$section.$key"; done
}
_jmim_recipes="@RECIPES@"
_jmim_flags="@FLAGS@"
_jmim_keys="@KEYS@"
complete @OPTIONS@-F _jmim jmim
"""
# What comes last. Zsh has no `compopt`: no word is followed by a blank of the
# shell's, so those get one that are whole.
_ENDS = {
  "bash": """\
  if [[ "${COMPREPLY[*]}" == *= ]]; then compopt -o nospace; fi 2>/dev/null""",
  "zsh": """\
  COMPREPLY=( "${COMPREPLY[@]/%/ }" )
  COMPREPLY=( "${COMPREPLY[@]/%= /=}" )
  COMPREPLY=( "${COMPREPLY[@]/%. /.}" )""",
}
_OPTIONS = {"bash": "", "zsh": "-o nospace "}
_ZSH = "autoload -Uz bashcompinit compinit && compinit && bashcompinit\n"


def script(shell: str) -> str:
  """The text that the shell reads.

  Args:
    shell: one of `SHELLS`; zsh has the functions of bash.
  """
  text = _BASH
  parts = {**_parts(), "END": _ENDS[shell], "OPTIONS": _OPTIONS[shell]}
  for name, words in parts.items():
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
    "RECIPES_PARTS": "\n".join(map(_sections, recipes.names())),
    "FIELDS": "\n".join(_fields()),
    "RECIPES": " ".join(recipes.names()),
    "FLAGS": " ".join([*bare, *valued, "--config."]),
    "KEYS": " ".join(keys),
  }


def _choices(flag: absl_flags.Flag) -> list[str]:
  return getattr(flag.parser, "enum_values", None) or []


def _values(flag: absl_flags.Flag) -> str:
  """The case of a flag with a few values."""
  words = " ".join(_choices(flag))
  reply = f'compgen -P "$before" -W "{words}" -- "${{word#*=}}"'
  return f"    --{flag.name}=*) COMPREPLY=( $({reply}) ) ;;"


def _sections(name: str) -> str:
  """The case of a recipe: its sections that have a type."""
  config = configs.load(name)
  kind = "procedure" if "procedure" in config else "method"
  parts = [f"{kind}={config[kind].type}"]
  parts += [f"evals.{n}={e.type}" for n, e in config.evals.items()]
  return f'    {name}) echo "{" ".join(parts)}" ;;'


def _fields() -> Iterator[str]:
  """One case per class: the names of its keys."""
  for kind, names in (
    ("method", discovery.names()),
    ("procedure", discovery.procedures()),
    ("evals", discovery.evaluators()),
  ):
    for name in names:
      keys = " ".join(field.documented(discovery.FIND[kind](name)))
      yield f'    {kind}={name}) fields="{keys}" ;;'
