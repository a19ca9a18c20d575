#!/bin/bash
# Points SITE/current at a release. Keeps what it pointed at before, so that the way back needs no memory but the disk.
#   switch.sh SITE to NAME       releases/NAME goes live
#   switch.sh SITE back          what was live before NAME goes live again; harmless when nothing was switched
set -euo pipefail
site=$1 direction=$2
[[ -d $site || $direction != back ]] || { echo "there is no site yet"; exit 0; }
cd "$site"

point_at() { # a rename is atomic: no request ever finds `current` missing
  ln -s "$1" "current.$$"
  mv -T "current.$$" current
}

case $direction in
  to)
    [[ $(readlink current) != "releases/$3" ]] || { echo "already live"; exit 0; }
    readlink current >previous || echo none >previous
    point_at "releases/$3"
    echo "live: $(readlink current), before: $(<previous)"
    ;;
  back)
    [[ -f previous ]] || { echo "nothing was switched"; exit 0; }
    if [[ $(<previous) == none ]]; then rm -f current; else point_at "$(<previous)"; fi
    rm previous
    echo "live again: $(readlink current || echo nothing, as before)"
    ;;
esac
