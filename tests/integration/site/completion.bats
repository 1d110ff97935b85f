#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# What bash offers for our commands. Needs TLC_BUILD, the CMake build directory, and the package bash-completion.

setup() {
  root=$(cd "$BATS_TEST_DIRNAME/../../.." && pwd)
  bin=${TLC_BUILD:?set TLC_BUILD to the CMake build directory}/bin
  export PATH=$bin:$PATH TLC_CONFIG=/dev/null
  unset TLC_VM_CHECKPOINT_DIR
  for name in tlc-restart tlc-run tlc-engine; do "$bin/$name" --version; done
  cd "$BATS_TEST_TMPDIR"
  # A program of the same name that knows two jobs with three checkpoints; everything else it leaves to the real one.
  mkdir stub files
  touch files/a.toml files/b.txt
  cat >stub/tlc-restart <<'EOS'
#!/bin/bash
case " $* " in
  *" list "*) ;;
  *) exec "$REAL" "$@" ;;
esac
[[ " $* " != *" --checkpoint-dir "* || " $* " == *" --checkpoint-dir /here "* ]] || exit 1
case " $* " in
  *" list tlc-7 "*|*" list 7 "*) echo '[{
    "job": "tlc-7",
    "sequence": 3, 
    "whole": true},{
    "job": "tlc-7",
    "sequence": 12
  }]' ;;
  *) echo '[{
    "job": "tlc-7",
    "sequence": 3},{
    "job": "tlc-71"
  },{
    "job": "local-20260131-1"
  }]' ;;
esac
EOS
  chmod 755 stub/tlc-restart
}

# offered COMMAND WORD...: what is offered for the last word, sorted, in one line.
offered() {
  bash -c '
    . /usr/share/bash-completion/bash_completion
    . "$1"
    shift
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_TYPE=9 COMP_KEY=9
    compopt() { :; }
    function=$(complete -p "$1" | sed -nE "s/.* -F ([^ ]+) .*/\1/p")
    previous=""
    [ $# -lt 2 ] || previous=${COMP_WORDS[COMP_CWORD - 1]}
    "$function" "$1" "${COMP_WORDS[COMP_CWORD]}" "$previous"
    printf "%s\n" "${COMPREPLY[@]}"' - "$file" "$@" | LC_ALL=C sort | paste -sd' '
}

offers() { # offers EXPECTED COMMAND WORD...
  local expected=$1 got
  shift
  got=$(offered "$@")
  [ "$got" = "$expected" ] || { printf 'for "%s"\n expected: %s\n offered:  %s\n' "$*" "$expected" "$got"; return 1; }
}

long_options() { "$@" --help | sed -nE 's/^  (-[^ {]*).*/\1/p' | tr , '\n' | grep '^--' | LC_ALL=C sort -u; }

@test "tlc-restart: commands and options are those of the program" {
  file=$root/restart-tools/completion/tlc-restart
  offers 'diff export list log prune run show status verify' tlc-restart ''
  offers 'show' tlc-restart sh
  offers 'status' tlc-restart st
  for command in list show status verify prune run export diff; do
    for option in $(long_options tlc-restart "$command"); do
      [[ " $(offered tlc-restart "$command" --) " == *" $option "* ]] || { echo "$command $option"; return 1; }
    done
  done
  offers '--checkpoint-dir --config' tlc-restart list --c
  offers '' tlc-restart list --format-no
}

@test "tlc-restart: jobs and numbers come from its list" {
  file=$root/restart-tools/completion/tlc-restart
  export REAL=$bin/tlc-restart PATH=$BATS_TEST_TMPDIR/stub:$PATH
  offers 'local-20260131-1 tlc-7 tlc-71' tlc-restart show ''
  offers 'tlc-7 tlc-71' tlc-restart run t
  offers '7 71' tlc-restart run 7
  offers '12 3' tlc-restart run tlc-7 --sequence ''
  offers '12' tlc-restart show 7 --sequence 1
  offers '12 3' tlc-restart diff tlc-7 ''
  offers '12 3' tlc-restart diff tlc-7 3 ''
  offers '' tlc-restart prune --keep ''
  offers 'local-20260131-1 tlc-7 tlc-71' tlc-restart --checkpoint-dir /here show ''
  offers '' tlc-restart --checkpoint-dir /elsewhere show ''
}

@test "tlc-restart: values" {
  file=$root/restart-tools/completion/tlc-restart
  offers 'elf qemu' tlc-restart export 7 --format ''
  offers 'elf' tlc-restart export 7 --format=e
  offers 'error' tlc-restart log 7 --level=e
  offers 'files/a.toml' tlc-restart list --config files/a
  offers 'files' tlc-restart list --checkpoint-dir fi
}

@test "tlc-run: every option, files, the command after --" {
  file=$root/tlc-engine/completion/tlc-run
  for option in $(long_options tlc-run); do
    [[ " $(offered tlc-run --) " == *" $option "* ]] || { echo "$option"; return 1; }
  done
  offers 'files/a.toml files/b.txt' tlc-run --config files/
  offers 'files' tlc-run --checkpoint-dir fi
  offers 'files/b.txt' tlc-run --checkpoint=10m -- ./job.sh files/b
}

@test "tlc-engine: commands, options, values" {
  file=$root/tlc-engine/completion/tlc-engine
  offers 'carry load save serve' tlc-engine ''
  for command in carry load save serve; do
    for option in $(long_options tlc-engine "$command"); do
      [[ " $(offered tlc-engine "$command" --) " == *" $option "* ]] || { echo "$command $option"; return 1; }
    done
  done
  offers 'always auto never' tlc-engine save --compress ''
  offers 'reflink' tlc-engine save --disk=r
}

@test "tlc-guest-image" {
  file=$root/tlc-engine/completion/tlc-guest-image
  offers "$(long_options tlc-guest-image | paste -sd' ')" tlc-guest-image --
  offers 'files' tlc-guest-image --out fi
}

@test "sbatch: ours and Slurm's own" {
  file=$root/spank-plugin/completion/tlc-sbatch
  offers "$(tlc-run --help | grep -oE '^  --vm-[a-z-]+' | sed 's/^ *//; s/$/=/' | LC_ALL=C sort | paste -sd' ')" sbatch --vm-
  offers 'files' sbatch --vm-checkpoint-dir=fi
  [ -e /usr/share/bash-completion/completions/sbatch ] || skip "Slurm's own completion is not installed"
  [[ " $(offered sbatch --) " == *" --vm-image= "* ]]
  [[ " $(offered sbatch --re) " == *--requeue* ]]
}
