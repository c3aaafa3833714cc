"""What makes a shell ask Moot for words, and where each shell looks for it."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from moot.chats.errors import UserError


class Shell(StrEnum):
    """Those that can be told how to complete."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


# Each asks `moot complete SHELL`, whose first line tells bash and zsh whether the words are paths, to be quoted so.
# Bash hands over the line as it was typed: it splits words at = and : too, which nobody else does.
_BASH = r"""# Completion of `moot` in bash, made by: moot completion bash
_moot() {
    local reply line="${COMP_LINE:0:COMP_POINT}"
    mapfile -t reply < <(COMP_WORDBREAKS="$COMP_WORDBREAKS" "$1" complete bash -- "$line" 2>/dev/null)
    COMPREPLY=("${reply[@]:1}")
    if [[ ${reply[0]} == files ]]; then
        compopt -o filenames
        [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == */ ]] && compopt -o nospace
    fi
    return 0
}
complete -o default -F _moot moot
"""
_ZSH = r"""#compdef moot
# Completion of `moot` in zsh, made by: moot completion zsh
_moot() {
    local kind word about
    local -a asked values shown
    asked=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
    (( CURRENT > 2 )) || asked=("${(Q)PREFIX}")
    {
        read -r kind
        while IFS=$'\t' read -r word about; do
            values+=("$word")
            shown+=("$word${about:+  -- $about}")
        done
    } < <("${(Q)words[1]}" complete zsh -- "${asked[@]}" 2>/dev/null)
    if (( ! ${#values} )); then
        _files
    elif [[ $kind == files ]]; then
        local -a folders others
        folders=("${(@M)values:#*/}") others=("${(@)values:#*/}")
        (( ${#folders} )) && compadd -f -S '' -- "${folders[@]}"
        (( ${#others} )) && compadd -f -- "${others[@]}"
        return 0
    else
        compadd -l -d shown -- "${values[@]}"
    fi
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
if [[ ${funcstack[1]} == _moot ]]; then _moot "$@"; else compdef _moot moot; fi
"""
_FISH = r"""# Completion of `moot` in fish, made by: moot completion fish
function __moot_words
    set -l asked (commandline -opc)
    set -l program $asked[1]
    set -e asked[1]
    set -l found ($program complete fish -- $asked (commandline -ct) 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c moot -f -a '(__moot_words)'
"""
SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}


class Place(NamedTuple):
    """Where a script goes, and the file that makes the shell read it, unless it looks there by itself."""

    script: Path
    startup: Path | None


def place_of(shell: Shell) -> Place:
    """As the user's environment has it."""
    home = Path.home()
    data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    if shell is Shell.BASH:
        return Place(data / "bash-completion" / "completions" / "moot", home / ".bashrc")
    if shell is Shell.ZSH:
        settings = Path(os.environ.get("ZDOTDIR") or home)
        return Place(data / "zsh" / "site-functions" / "_moot", settings / ".zshrc")
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    return Place(config / "fish" / "completions" / "moot.fish", None)


def install(shell: Shell) -> tuple[Place, bool]:
    """Write the script where the shell finds it; also whether its startup file had to be told. Raises UserError."""
    place = place_of(shell)
    try:
        place.script.parent.mkdir(parents=True, exist_ok=True)
        place.script.write_text(SCRIPTS[shell])
        return place, place.startup is not None and _told(place.startup, place.script)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot write {getattr(error, 'filename', None) or place.startup}: {error}") from None


def _told(startup: Path, script: Path) -> bool:
    """Have a startup file read the script, unless it does already. What stands in it stays as it is."""
    quoted = "'" + str(script).replace("'", "'\\''") + "'"
    line = f"[ -r {quoted} ] && . {quoted}  # completion of moot"
    before = startup.read_text() if startup.exists() else ""
    if line in before.splitlines():
        return False
    startup.parent.mkdir(parents=True, exist_ok=True)
    with startup.open("a") as file:
        file.write(("\n" if before and not before.endswith("\n") else "") + line + "\n")
    return True


def shell_here() -> Shell:
    """The shell that this was called from, else the login shell. Raises UserError where it is none of those known."""
    login = Path(os.environ.get("SHELL") or "").name
    known = set(Shell)
    for name in [*_callers(), login]:
        if name in known:
            return Shell(name)
    raise UserError(f"cannot tell which shell this is; name it: moot completion {'|'.join(Shell)}")


def _callers() -> list[str]:
    """The programs that started this one, the nearest first; none where the system does not tell."""
    names: list[str] = []
    process = os.getppid()
    while process > 1:
        try:
            name, _, rest = Path(f"/proc/{process}/stat").read_text().partition("(")[2].rpartition(")")
            names.append(name.lstrip("-"))
            process = int(rest.split()[1])
        except (OSError, ValueError, IndexError):
            break
    return names
