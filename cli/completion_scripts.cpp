#include "cli/completion.h"

namespace hsmith::cli {
namespace {

constexpr char kBash[] = R"bash(# bash completion of hsmith: source <(hsmith completion bash)
_hsmith() {
  # bash cuts words at : and = as well, where hsmith does not: what stands together is put together.
  local rest=${COMP_LINE:0:COMP_POINT} words=() piece i
  for ((i = 0; i <= COMP_CWORD; i++)); do
    if [[ $i == 0 || $rest == [[:space:]]* ]]; then
      rest=${rest#"${rest%%[![:space:]]*}"}
      words+=('')
    fi
    piece=${COMP_WORDS[i]:0:${#rest}}
    words[-1]+=$piece
    rest=${rest:${#piece}}
  done
  local open= kept=  # the quote in which the cursor is, and what stands before it
  for ((i = 0; i < ${#words[-1]}; i++)); do
    piece=${words[-1]:i:1}
    if [[ $piece == \\ && $open != \' ]]; then
      i=$((i + 1))
    elif [[ $piece == "$open" ]]; then
      open=
    elif [[ ! $open && $piece == [\"\'] ]]; then
      open=$piece kept=${words[-1]:0:i}
    fi
  done
  for i in "${!words[@]}"; do words[i]=${words[i]//[\\\"\']/}; done
  kept=${kept//[\\\"\']/}

  local current=${words[-1]} files= found line
  mapfile -t found < <(command hsmith completion words -- "${words[@]:1}" 2>/dev/null)
  # Outside quotes bash replaces what follows the last : or = only.
  if [[ ! $open ]]; then kept=; fi
  if [[ ! $open && $current == *[:=]* ]]; then kept=${current%"${current##*[:=]}"}; fi
  COMPREPLY=()
  for line in "${found[@]}"; do
    line=${line%%$'\t'*}
    if [[ $line == @files ]]; then files=yes; else COMPREPLY+=("${line#"$kept"}"); fi
  done
  local names=${#COMPREPLY[@]}
  if [[ $files ]]; then
    compopt -o filenames
    mapfile -t -O "$names" COMPREPLY < <(compgen -f -- "${current#"$kept"}")
    if [[ $names == 0 ]]; then return; fi  # readline quotes what are files only
    compopt -o noquote
  fi
  # A name is anybody's text, and must stay one in the quote that is open, which readline closes.
  found=("${COMPREPLY[@]}") COMPREPLY=()
  for line in "${found[@]}"; do
    if [[ $open == \" ]]; then
      if [[ $line == *!* ]]; then continue; fi  # would be history, and cannot be escaped there
      for piece in \\ \" '$' '`'; do line=${line//"$piece"/"\\$piece"}; done
    elif [[ $open ]]; then
      line=${line//\'/"'\\''"}
    else
      printf -v line %q "$line"
    fi
    # Behind a last quote of the name readline closes nothing.
    if [[ $open && $line == *"$open" ]]; then line+=$open; fi
    COMPREPLY+=("$line")
  done
  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *: ]]; then compopt -o nospace; fi
}
complete -F _hsmith hsmith
)bash";

constexpr char kZsh[] = R"zsh(#compdef hsmith
# zsh completion of hsmith: source <(hsmith completion zsh), or this text as _hsmith in a folder of $fpath
_hsmith() {
  local line files
  local -a found shown
  for line in "${(@f)$(command hsmith completion words -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}"; do
    if [[ $line == @files ]]; then
      files=yes
    elif [[ -n $line ]]; then
      found+=("${line%%$'\t'*}")
      shown+=("${line/$'\t'/  -- }")
    fi
  done
  local code=1
  if (( $#found )); then compadd -l -d shown -- $found && code=0; fi
  if [[ -n $files ]]; then
    [[ $PREFIX == --*=* ]] && compset -P '*='
    _files && code=0
  fi
  return code
}
if [[ $funcstack[1] == _hsmith ]]; then _hsmith "$@"; else compdef _hsmith hsmith; fi
)zsh";

constexpr char kFish[] = R"fish(# fish completion of hsmith: hsmith completion fish | source
function __hsmith_complete
    set -l words (commandline -opc)
    set -l found (command hsmith completion words -- $words[2..-1] (commandline -ct) 2>/dev/null)
    if contains -- @files $found
        __fish_complete_path (commandline -ct)
    end
    string match --invert -- @files $found
end
complete --command hsmith --no-files --arguments '(__hsmith_complete)'
)fish";

}  // namespace

std::string completion_script(const std::string& shell) {
  return shell == "bash" ? kBash : shell == "zsh" ? kZsh : kFish;
}

}  // namespace hsmith::cli
