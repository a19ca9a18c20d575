#!/usr/bin/env bash
# The firewall of the shop, as a file: tell what would change, change it, or put the rules of before back.
#   rules.sh tell|set|back FOLDER PORT
set -euo pipefail

what=$1 folder=$2 port=$3
now=$folder/rules wanted=$(printf 'allow tcp 22\nallow tcp %s\ndeny all\n' "$port")

case $what in
  tell) diff -u --label "now" --label "wanted" <(cat "$now" 2>/dev/null) <(echo "$wanted") || true ;;
  set)
    mkdir -p "$folder"
    [[ ! -e $now ]] || cp "$now" "$now.before"
    echo "$wanted" >"$now"
    ;;
  back)
    if [[ -e $now.before ]]; then mv "$now.before" "$now"; else rm -f "$now"; fi
    ;;
esac
