"""Prints the shell completion of ``vllama``: ``completion.py bash|zsh|fish``."""

from __future__ import annotations

import sys
from typing import Final

from click.shell_completion import get_completion_class

from vllama.cli.main import cli

_BASH: Final = """\
_vllama_completion() {
    local IFS=$'\\n' words=() word last=0 current before="" response completion type value
    # bash splits words at colons, and names of models have them: put the parts together again
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        last=$(( ${#words[@]} - 1 ))
        if (( last > 0 )) && [[ $word == :* || ${words[last]} == *: ]]; then
            words[last]+=$word
        else
            words+=("$word")
        fi
    done
    last=$(( ${#words[@]} - 1 ))
    current=${words[last]}
    # bash replaces only what follows the last colon
    [[ $COMP_WORDBREAKS == *:* ]] && before=${current%"${current##*:}"}
    response=$(env COMP_WORDS="${words[*]}" COMP_CWORD=$last _VLLAMA_COMPLETE=bash_complete "$1" 2>/dev/null)
    for completion in $response; do
        IFS=',' read -r type value <<< "$completion"
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("${value#"$before"}") ;;
        esac
    done
}

complete -o nosort -F _vllama_completion vllama"""


def completion(shell: str) -> str:
    """The script that a shell reads; it asks ``vllama`` itself for the words."""
    kind = get_completion_class(shell)
    if kind is None:
        raise SystemExit(f"click completes for no shell {shell!r}")
    return _BASH if shell == "bash" else kind(cli, {}, "vllama", "_VLLAMA_COMPLETE").source()


if __name__ == "__main__":
    sys.stdout.write(completion(sys.argv[1]) + "\n")
