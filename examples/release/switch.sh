#!/bin/bash
# Points SITE/current at a release. What was live before is noted beside the release, so that the way back needs no memory
# but the disk.
#   switch.sh SITE to NAME       releases/NAME goes live
#   switch.sh SITE back NAME     what was live before NAME goes live again; harmless when NAME is not live
set -euo pipefail
site=$1 direction=$2 name=$3
cd "$site"

point_at() { # a rename is atomic: no request ever finds `current` missing
  ln -s "$1" "current.$$"
  mv -T "current.$$" current
}

live=$(readlink current || echo none)
before=releases/$name/before

case $direction in
  to)
    [[ $live != "releases/$name" ]] || { echo "already live"; exit 0; }
    echo "$live" >"$before"
    point_at "releases/$name"
    ;;
  back)
    [[ $live == "releases/$name" ]] || { echo "$name is not live: nothing to undo"; exit 0; }
    if [[ $(<"$before") == none ]]; then rm current; else point_at "$(<"$before")"; fi
    ;;
esac
echo "live: $(readlink current || echo none), before: $live"
